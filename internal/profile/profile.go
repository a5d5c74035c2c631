// Package profile remembers how other routers have treated us: who joined our
// tunnels and who refused, who could be reached, who answered lookups, and who
// is banned.
//
// What happens with a peer is an event. Events are counted, and the counts
// fade: after an hour without new ones they are worth half. [Profiles.Score]
// and [Profiles.LookupScore] compare peers by their counts, and an unknown peer
// stands in the middle, so that newcomers get a chance and lose it when they
// waste it.
//
// Peers that keep failing are left alone for a while, a little longer each
// time, and never for good: [Profiles.Usable] and [Profiles.UsableForLookups].
// All of it comes from what we have seen ourselves; nothing that one peer says
// can harm another. Only [Profiles.Ban] takes anybody's word, that of the rest
// of our router, and bans end too.
//
// A Profiles never reads the clock and decides the same for the same events.
// Finer classes of peers can be made from the counts that [Profiles.Peers]
// shows.
package profile

import (
	"math"
	"slices"
	"sync"
	"time"

	"allium/internal/data"
	"allium/internal/store"
)

const (
	// halfLife is how long counts take to be worth half.
	halfLife = time.Hour
	// forgetAfter is how long a peer is remembered that nothing happens with.
	forgetAfter = 36 * time.Hour
	// maxPeers bounds the memory, at some 200 bytes each.
	maxPeers = 8192
)

// event is something that happened with a peer.
type event uint8

const (
	tunnelAccepted event = iota
	tunnelRefused
	tunnelTimeout
	testPassed
	testFailed
	dialFailed
	connected
	lookupAnswered
	lookupFailed
	events
)

// Profiles is what we remember of our peers. It is safe for concurrent use.
type Profiles struct {
	bucket store.Bucket
	// writing lets one Flush follow another. Nothing else waits for it.
	writing sync.Mutex

	mu    sync.Mutex
	peers map[data.Hash]*peer
	bans  map[data.Hash]ban
	// dirty are the keys in the bucket whose value is no longer right.
	dirty map[storeKey]struct{}
}

// peer is what we remember of one of them.
type peer struct {
	// seen is when the last event was, and what counts are faded to.
	seen   time.Time
	counts [events]float32
	// refusal is the code of the last refusal to join a tunnel.
	refusal  uint8
	patience [roles]patience
}

// New loads what the bucket holds. Records it cannot read are dropped. Errors
// are those of the bucket.
func New(bucket store.Bucket) (*Profiles, error) {
	p := &Profiles{
		bucket: bucket,
		peers:  make(map[data.Hash]*peer),
		bans:   make(map[data.Hash]ban),
		dirty:  make(map[storeKey]struct{}),
	}
	if err := p.load(); err != nil {
		return nil, err
	}
	return p, nil
}

// TunnelAccepted notes that a peer joined a tunnel of ours.
func (p *Profiles) TunnelAccepted(now time.Time, h data.Hash) { p.note(now, h, tunnelAccepted, 0) }

// TunnelRefused notes that a peer answered a build request with a code other
// than 0.
func (p *Profiles) TunnelRefused(now time.Time, h data.Hash, code uint8) {
	p.note(now, h, tunnelRefused, code)
}

// TunnelTimeout notes that a peer was to be in a tunnel whose build was never
// answered. All hops are noted, since nobody knows which of them was silent.
func (p *Profiles) TunnelTimeout(now time.Time, h data.Hash) { p.note(now, h, tunnelTimeout, 0) }

// TestPassed notes that a peer is in a tunnel that was found to work.
func (p *Profiles) TestPassed(now time.Time, h data.Hash) { p.note(now, h, testPassed, 0) }

// TestFailed notes that a peer is in a tunnel that lost a test message.
func (p *Profiles) TestFailed(now time.Time, h data.Hash) { p.note(now, h, testFailed, 0) }

// DialFailed notes that no session with a peer came about.
func (p *Profiles) DialFailed(now time.Time, h data.Hash) { p.note(now, h, dialFailed, 0) }

// Connected notes a session with a peer.
func (p *Profiles) Connected(now time.Time, h data.Hash) { p.note(now, h, connected, 0) }

// LookupAnswered notes that a floodfill answered or acknowledged in time.
func (p *Profiles) LookupAnswered(now time.Time, h data.Hash) { p.note(now, h, lookupAnswered, 0) }

// LookupFailed notes that a floodfill did not.
func (p *Profiles) LookupFailed(now time.Time, h data.Hash) { p.note(now, h, lookupFailed, 0) }

func (p *Profiles) note(now time.Time, h data.Hash, e event, code uint8) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.peers[h]
	if of == nil {
		of = &peer{seen: now}
		p.peers[h] = of
	}
	of.fade(now)
	of.counts[e]++
	if e == tunnelRefused {
		of.refusal = code
	}
	r := rules[e]
	of.patience[r.role].note(now, r.role, r.blame)
	p.dirty[peerKey(h)] = struct{}{}
	if len(p.peers) > maxPeers {
		p.trim()
	}
}

// fade brings the counts to what they are worth now.
func (of *peer) fade(now time.Time) {
	worth := of.worth(now)
	for e := range of.counts {
		of.counts[e] = float32(float64(of.counts[e]) * worth)
	}
	of.seen = now
}

// worth is what a count of one has become.
func (of *peer) worth(now time.Time) float64 {
	return math.Exp2(-max(0, now.Sub(of.seen).Seconds()) / halfLife.Seconds())
}

// trim forgets the eighth of the peers that were seen least recently.
func (p *Profiles) trim() {
	all := sortedKeys(p.peers)
	slices.SortStableFunc(all, func(a, b data.Hash) int { return p.peers[a].seen.Compare(p.peers[b].seen) })
	for _, h := range all[:maxPeers/8] {
		p.forget(h)
	}
}

func (p *Profiles) forget(h data.Hash) {
	delete(p.peers, h)
	p.dirty[peerKey(h)] = struct{}{}
}

// Expire forgets peers that nothing has happened with for 36 hours, and bans
// that have ended.
func (p *Profiles) Expire(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for h, of := range p.peers {
		if now.Sub(of.seen) > forgetAfter {
			p.forget(h)
		}
	}
	for h, b := range p.bans {
		if !b.until.After(now) {
			p.unban(h)
		}
	}
}

// Peer is what Profiles knows of one peer. Counts have faded to the time they
// were asked for.
type Peer struct {
	Hash data.Hash
	// Seen is when the last event was.
	Seen                                     time.Time
	TunnelsAccepted, TunnelsRefused          float64
	TunnelTimeouts, TestsPassed, TestsFailed float64
	DialsFailed, Sessions                    float64
	LookupsAnswered, LookupsFailed           float64
	// LastRefusal is the code of the last refusal to join a tunnel, or 0.
	LastRefusal        uint8
	Score, LookupScore float64
	Usable             bool
}

// Peers lists all peers in the order of their hashes.
func (p *Profiles) Peers(now time.Time) []Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]Peer, 0, len(p.peers))
	for _, h := range sortedKeys(p.peers) {
		of := p.peers[h]
		worth := of.worth(now)
		count := func(e event) float64 { return float64(of.counts[e]) * worth }
		list = append(list, Peer{
			Hash: h, Seen: of.seen, LastRefusal: of.refusal,
			TunnelsAccepted: count(tunnelAccepted), TunnelsRefused: count(tunnelRefused), TunnelTimeouts: count(tunnelTimeout),
			TestsPassed: count(testPassed), TestsFailed: count(testFailed),
			DialsFailed: count(dialFailed), Sessions: count(connected),
			LookupsAnswered: count(lookupAnswered), LookupsFailed: count(lookupFailed),
			Score: of.score(now), LookupScore: of.lookupScore(now),
			Usable: !p.banned(now, h) && of.usable(now),
		})
	}
	return list
}

// Len is how many peers are remembered.
func (p *Profiles) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.peers)
}
