package profile

import (
	"time"

	"allium/internal/data"
)

// role is a thing we want of a peer, and that it can fail at for itself.
type role uint8

const (
	asHop role = iota
	asNeighbour
	asFloodfill
	roles
)

// success is the blame that takes away all blame before it.
const success = -1

// rules say which role an event speaks of and how much whoever caused it is to
// blame. A failed test has no blame, as the next build has its own, and answers
// at once who is there.
var rules = [events]struct {
	role  role
	blame float32
}{
	tunnelAccepted: {asHop, success},
	tunnelRefused:  {asHop, 2},
	tunnelTimeout:  {asHop, 2},
	testPassed:     {asHop, success},
	testFailed:     {asHop, 0},
	dialFailed:     {asNeighbour, 1},
	connected:      {asNeighbour, success},
	lookupAnswered: {asFloodfill, success},
	lookupFailed:   {asFloodfill, 1},
}

// limits say how much blame in a row starts a pause, how long the first one
// is, and how long the longest, each being twice the one before.
var limits = [roles]struct {
	blame          float32
	first, longest time.Duration
}{
	asHop:       {4, 30 * time.Second, 10 * time.Minute},
	asNeighbour: {1, 30 * time.Second, 8 * time.Minute},
	asFloodfill: {3, 30 * time.Second, 10 * time.Minute},
}

// blameLasts is how long after the last failure a new one is the first again.
const blameLasts = time.Hour

// patience is how a peer stands in one role.
type patience struct {
	blame  float32   // in a row
	pauses uint8     // in a row
	last   time.Time // the last failure
	until  time.Time // the end of the pause
}

func (p *patience) note(now time.Time, r role, blame float32) {
	if blame == success || now.Sub(p.last) > blameLasts {
		*p = patience{}
	}
	// What fails in a pause was begun before it.
	if blame <= 0 || p.paused(now, r) {
		return
	}
	p.last = now
	limit := limits[r]
	p.blame = min(p.blame+blame, limit.blame)
	if p.blame < limit.blame {
		return
	}
	p.until = now.Add(min(limit.first<<p.pauses, limit.longest))
	p.blame = limit.blame - 1 // the next failure starts the next pause
	if limit.first<<p.pauses < limit.longest {
		p.pauses++
	}
}

// paused reports whether the peer is left alone. A pause that is longer than
// any can be was set by a clock that was wrong.
func (p *patience) paused(now time.Time, r role) bool {
	left := p.until.Sub(now)
	return left > 0 && left <= limits[r].longest
}

// Usable reports whether a peer may be asked to join a tunnel: it is not
// banned, and not left alone after refusals, silence or failed dials.
func (p *Profiles) Usable(now time.Time, h data.Hash) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.peers[h]
	return !p.banned(now, h) && (of == nil || of.usable(now))
}

func (of *peer) usable(now time.Time) bool {
	return !of.patience[asHop].paused(now, asHop) && !of.patience[asNeighbour].paused(now, asNeighbour)
}

// UsableForLookups reports whether a floodfill may be asked or told
// something: it is not banned, and not left alone after failing at that.
func (p *Profiles) UsableForLookups(now time.Time, h data.Hash) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.peers[h]
	return !p.banned(now, h) && (of == nil || !of.patience[asFloodfill].paused(now, asFloodfill))
}

// unknownScore is what a peer begins with.
const unknownScore = 0.5

// score compares peers as hops: from 0 to 1, higher for those who lately
// joined more of the tunnels they were asked for, lost fewer tests and could
// be dialled.
func (of *peer) score(now time.Time) float64 {
	worth := of.worth(now)
	tests := of.share(worth, 2, 0, testPassed, testFailed)
	reached := of.share(worth, 1, 0, connected, dialFailed)
	return of.share(worth, 1, 1, tunnelAccepted, tunnelRefused, tunnelTimeout) * tests * reached
}

// LookupScore compares floodfills: from 0 to 1, higher for those who lately
// answered more often. An unknown one has 0.5.
func (p *Profiles) LookupScore(now time.Time, h data.Hash) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if of := p.peers[h]; of != nil {
		return of.lookupScore(now)
	}
	return unknownScore
}

func (of *peer) lookupScore(now time.Time) float64 {
	return of.share(of.worth(now), 1, 1, lookupAnswered, lookupFailed)
}

// share is how much of the good and bad events are good, starting from so
// many of each.
func (of *peer) share(worth, goods, bads float64, good event, bad ...event) float64 {
	goods += float64(of.counts[good]) * worth
	for _, e := range bad {
		bads += float64(of.counts[e]) * worth
	}
	return goods / (goods + bads)
}

// Forgive takes back the pauses of peers that failed last at since or later:
// our own network was gone.
func (p *Profiles) Forgive(since time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for h, of := range p.peers {
		for role := range of.patience {
			if last := of.patience[role].last; !last.IsZero() && !last.Before(since) {
				of.patience[role] = patience{}
				p.dirty[peerKey(h)] = struct{}{}
			}
		}
	}
}
