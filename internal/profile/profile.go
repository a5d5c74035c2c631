// Package profile remembers how other routers have treated us: who joined our
// tunnels and who refused, how soon and how reliably, who could be reached, who
// answered lookups, and who is banned.
//
// What happens with a peer is an event. Events are counted, and the counts
// fade: after an hour without new ones they are worth half. Peers are compared
// by their counts, as hops in a [Standing] and as floodfills by
// [Profiles.LookupScore]; an unknown peer stands in the middle, so that
// newcomers get a chance and lose it when they waste it.
//
// When several peers may be to blame, as for a tunnel that stays silent, the
// blame of one is divided among them, and most of it goes to those who deserve
// least trust. A peer in a tunnel that a test message has come through is
// proven, and that is remembered for two weeks: it is what sybils have not.
//
// Peers that keep failing are left alone for a while, a little longer each
// time, and never for good: [Profiles.Usable] and [Profiles.UsableForLookups].
// All of it comes from what we have seen ourselves; nothing that one peer says
// can harm another. Only [Profiles.Ban] takes anybody's word, that of the rest
// of our router, and bans end too.
//
// A Profiles never reads the clock and decides the same for the same events.
package profile

import (
	"cmp"
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
	// forgetAfter is how long a peer is remembered that nothing happens with,
	// and provenFor one that is proven.
	forgetAfter = 36 * time.Hour
	provenFor   = 14 * 24 * time.Hour
	// maxPeers bounds the memory, at some 250 bytes each.
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
	// dirty are the keys in the bucket whose value is no longer right, and
	// flushed is how many peers there were when it last was.
	dirty   map[storeKey]struct{}
	flushed int
}

// peer is what we remember of one of them.
type peer struct {
	// seen is when the last event was, and what all that fades is faded to.
	seen   time.Time
	counts [events]float32
	// delays are the seconds that messages took to it and from it when tunnels
	// were built, and delayed is how many those were.
	delays, delayed float32
	// pace is the most tunnel messages a second that a tunnel with it was seen
	// to carry.
	pace float32
	// met is when a session was last opened, and proven when it was last in a
	// tunnel that a test message came through.
	met, proven time.Time
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

// TunnelAccepted notes that a peer joined a tunnel of ours. took is the mean
// time of one leg of the way that request and answers went, 0 if unknown.
func (p *Profiles) TunnelAccepted(now time.Time, h data.Hash, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.note(now, h, tunnelAccepted, 1)
	if took > 0 {
		of.delays += float32(took.Seconds())
		of.delayed++
	}
}

// TunnelRefused notes that a peer answered a build request with a code other
// than 0.
func (p *Profiles) TunnelRefused(now time.Time, h data.Hash, code uint8) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.note(now, h, tunnelRefused, 1).refusal = code
}

// TunnelTimeout notes that a tunnel was to be built of the hops and no answer
// came. Nobody knows which of them was silent.
func (p *Profiles) TunnelTimeout(now time.Time, hops ...data.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blame(now, hops, tunnelTimeout)
}

// TestPassed notes that a peer is in a tunnel that was found to work. pace is
// how many tunnel messages a second the tunnel has carried of late.
func (p *Profiles) TestPassed(now time.Time, h data.Hash, pace float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.note(now, h, testPassed, 1)
	of.proven = now
	of.pace = max(of.pace, float32(min(pace, maxPace)))
}

// maxPace is more messages a second than any tunnel carries.
const maxPace = 1e6

// TestFailed notes that a message was lost in one of the tunnels the hops are
// in.
func (p *Profiles) TestFailed(now time.Time, hops ...data.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blame(now, hops, testFailed)
}

// DialFailed notes that no session with a peer came about.
func (p *Profiles) DialFailed(now time.Time, h data.Hash) { p.count(now, h, dialFailed) }

// Connected notes a session with a peer.
func (p *Profiles) Connected(now time.Time, h data.Hash) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.note(now, h, connected, 1).met = now
}

// LookupAnswered notes that a floodfill answered or acknowledged in time.
func (p *Profiles) LookupAnswered(now time.Time, h data.Hash) { p.count(now, h, lookupAnswered) }

// LookupFailed notes that a floodfill did not.
func (p *Profiles) LookupFailed(now time.Time, h data.Hash) { p.count(now, h, lookupFailed) }

func (p *Profiles) count(now time.Time, h data.Hash, e event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.note(now, h, e, 1)
}

// note counts an event, or a part of one. The lock is held, as in all that
// follows.
func (p *Profiles) note(now time.Time, h data.Hash, e event, part float32) *peer {
	of := p.peers[h]
	if of == nil {
		of = &peer{seen: now}
		p.peers[h] = of
	}
	of.fade(now)
	of.counts[e] += part
	r := rules[e]
	of.patience[r.role].note(now, r.role, r.blame*part)
	p.dirty[peerKey(h)] = struct{}{}
	if len(p.peers) > maxPeers {
		p.trim()
	}
	return of
}

// leastDoubt is the doubt in the most reliable of peers.
const leastDoubt = 0.02

// blame divides one failure among those who may have caused it, by how much
// each of them is to be doubted.
func (p *Profiles) blame(now time.Time, hops []data.Hash, e event) {
	doubt := func(h data.Hash) float64 {
		score := unknownScore
		if of := p.peers[h]; of != nil {
			score = of.score(now)
		}
		return max(1-score, leastDoubt)
	}
	all := 0.0
	for _, h := range hops {
		all += doubt(h)
	}
	parts := make([]float32, len(hops))
	for i, h := range hops {
		parts[i] = float32(doubt(h) / all)
	}
	for i, h := range hops {
		p.note(now, h, e, parts[i])
	}
}

// fade brings what fades to what it is worth now.
func (of *peer) fade(now time.Time) {
	worth := float32(of.worth(now))
	for e := range of.counts {
		of.counts[e] *= worth
	}
	of.delays *= worth
	of.delayed *= worth
	of.pace *= worth
	of.seen = now
}

// worth is what a count of one has become.
func (of *peer) worth(now time.Time) float64 {
	return math.Exp2(-max(0, now.Sub(of.seen).Seconds()) / halfLife.Seconds())
}

// trim forgets an eighth of the peers: those that are not proven first, and of
// them those seen least recently. So no crowd of strangers pushes out those
// that have carried our tunnels.
func (p *Profiles) trim() {
	all := sortedKeys(p.peers)
	slices.SortStableFunc(all, func(a, b data.Hash) int {
		x, y := p.peers[a], p.peers[b]
		return cmp.Or(cmp.Compare(x.proven.Unix(), y.proven.Unix()), x.seen.Compare(y.seen))
	})
	for _, h := range all[:maxPeers/8] {
		p.forget(h)
	}
}

func (p *Profiles) forget(h data.Hash) {
	delete(p.peers, h)
	p.dirty[peerKey(h)] = struct{}{}
}

// Expire forgets peers that nothing has happened with for 36 hours and that
// were not proven in two weeks, and bans that have ended.
func (p *Profiles) Expire(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for h, of := range p.peers {
		if now.Sub(of.seen) > forgetAfter && !of.isProven(now) {
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
	// Standing is what whoever chooses hops has to know.
	Standing
	// LastRefusal is the code of the last refusal to join a tunnel, or 0.
	LastRefusal uint8
	LookupScore float64
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
			LookupScore: of.lookupScore(now), Standing: p.standing(now, h),
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
