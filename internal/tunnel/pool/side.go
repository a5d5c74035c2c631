package pool

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"allium/internal/data"
	"allium/internal/random"
	"allium/internal/tunnel"
)

const (
	// renewBefore is how long before its end a tunnel is replaced, with up to
	// renewSpread more so that tunnels do not all end together.
	renewBefore = 120 * time.Second
	renewSpread = 60 * time.Second
	// retireBefore is how long before its end a tunnel is used no more: what
	// enters it then might not get out.
	retireBefore = 15 * time.Second
	// maxPause is the longest wait after builds have failed, and minPause the
	// first.
	minPause = 250 * time.Millisecond
	maxPause = 10 * time.Second
	// maxBuilding is how many builds of one direction are under way, and
	// fewBuilding how many when so many have failed in a row that the pause is
	// fewPause.
	maxBuilding = 4
	fewBuilding = 2
	fewPause    = 2 * time.Second
	// maxStrikes is how often in a row a tunnel may be found not to work: its
	// partner in the first test may have been the one to blame.
	maxStrikes = 2
)

// side is one direction of a pool. The pool's lock guards it and the lives of
// its tunnels.
type side[T tunnelOf] struct {
	want    int
	tunnels []T
	builds
}

// builds is how the builds of a side go.
type builds struct {
	building  int
	pause     time.Duration
	notBefore time.Time
	stats     DirectionStats
}

// tunnelOf is what both directions have in common.
type tunnelOf interface {
	life() *life
	carried() (hops []data.Hash, messages uint64)
}

// life is the age and health of one tunnel.
type life struct {
	pool    *Pool
	expires time.Time // zero for a tunnel without hops: never
	renewAt time.Time
	gone    atomic.Bool // it is out of the pool

	testAt   time.Time
	strikes  int           // in a row
	struckAt time.Time     // when the last was
	provedAt time.Time     // when the message of the last passed test was sent
	rtt      time.Duration // of that test, both tunnels together; 0 untested
	counted  uint64        // messages it had carried at countAt
	countAt  time.Time
}

// begin is the life of a tunnel whose hops were asked at built.
func (l *life) begin(p *Pool, built time.Time) {
	l.pool = p
	l.expires = built.Add(tunnel.Lifetime)
	l.renewAt = l.expires.Add(-renewBefore - random.Between(0, renewSpread))
	l.testAt = built.Add(random.Between(time.Second, 5*time.Second))
	l.countAt = built
}

// pace is how many messages a second the tunnel has carried since it was last
// asked, given how many those are in all.
func (l *life) pace(now time.Time, messages uint64) float64 {
	took := now.Sub(l.countAt)
	if took < time.Second {
		return 0
	}
	n := messages - l.counted
	l.counted, l.countAt = messages, now
	return float64(n) / took.Seconds()
}

// over tells a tunnel through which nothing goes any more.
func (l *life) over(now time.Time) bool {
	return l.gone.Load() || !l.expires.IsZero() && !now.Before(l.expires)
}

// usable tells a tunnel that messages may be given to.
func (l *life) usable(now time.Time) bool {
	return !l.gone.Load() && (l.expires.IsZero() || now.Before(l.expires.Add(-retireBefore)))
}

// good tells a tunnel that works and needs no successor yet.
func (l *life) good(now time.Time) bool { return l.strikes == 0 && now.Before(l.renewAt) }

// strike notes that the tunnel seems not to work, and has it tested again. One
// without hops has nothing that could fail.
func (l *life) strike(now, testAt time.Time) {
	if l.expires.IsZero() {
		return
	}
	l.strikes++
	l.struckAt = now
	l.testAt = testAt
}

// rank orders tunnels by how much they are to be preferred.
type rank int

const (
	unusable rank = iota
	failing       // a sign that it does not work
	working       // no such sign
	fresh         // nor does it end soon
)

func (l *life) rank(now time.Time) rank {
	switch {
	case !l.usable(now):
		return unusable
	case l.strikes > 0:
		return failing
	case !l.good(now):
		return working
	}
	return fresh
}

// pick takes a random one of the best rank there is.
func pick[T tunnelOf](all []T, now time.Time) (best T, of rank) {
	n := 0
	for _, t := range all {
		k := t.life().rank(now)
		if k > of {
			of, n = k, 0
		}
		if k == of && k > unusable {
			n++
			if random.IntN(n) == 0 {
				best = t
			}
		}
	}
	return best, of
}

// longest lists the usable tunnels: those that work first, and of them those
// that end last.
func longest[T tunnelOf](all []T, now time.Time) []T {
	var usable []T
	for _, t := range all {
		if t.life().usable(now) {
			usable = append(usable, t)
		}
	}
	slices.SortStableFunc(usable, func(a, b T) int {
		return cmp.Or(
			cmp.Compare(min(a.life().strikes, 1), min(b.life().strikes, 1)),
			b.life().expires.Compare(a.life().expires),
		)
	})
	return usable
}

// expired removes and returns the tunnels that are over.
func (s *side[T]) expired(now time.Time) (gone []T) {
	kept := s.tunnels[:0]
	for _, t := range s.tunnels {
		l := t.life()
		switch {
		case l.over(now):
			gone = append(gone, t)
		case l.strikes >= maxStrikes:
			s.stats.Dropped++
			gone = append(gone, t)
		default:
			kept = append(kept, t)
		}
	}
	clear(s.tunnels[len(kept):])
	s.tunnels = kept
	return gone
}

// lacking is how many good tunnels are missing, those being built aside.
func (s *side[T]) lacking(now time.Time) int {
	n := s.want
	for _, t := range s.tunnels {
		if t.life().good(now) {
			n--
		}
	}
	return max(n, 0)
}

// missing is how many builds to start now.
func (s *side[T]) missing(now time.Time) int {
	if now.Before(s.notBefore) {
		return 0
	}
	return max(min(s.lacking(now), s.most())-s.building, 0)
}

// most is how many builds may be under way: fewer when they fail in a row.
func (b *builds) most() int {
	if b.pause >= fewPause {
		return fewBuilding
	}
	return maxBuilding
}

// stood notes that a tunnel was built. It reports whether it is wanted: one
// whose build was given up only where others have not made up for it.
func (s *side[T]) stood(now time.Time, late bool) bool {
	if !late {
		s.ended(now, "")
		return true
	}
	s.stats.Late++
	return s.lacking(now) > 0
}

// ended notes how a build went: cause is "" for success. Builds that fail
// together make the pause longer once.
func (b *builds) ended(now time.Time, cause Cause) {
	b.building--
	b.stats.count(cause)
	if cause == "" {
		b.pause, b.notBefore = 0, time.Time{}
		return
	}
	if now.Before(b.notBefore) {
		return
	}
	longest := maxPause
	if cause.local() {
		longest = tickEvery
	}
	b.pause = min(max(2*b.pause, minPause), longest)
	b.notBefore = now.Add(random.Between(b.pause/2, b.pause))
}
