package pool

import (
	"time"

	"allium/internal/data"
	"allium/internal/random"
)

const (
	// stock is how many routers we want to have met that have not carried a
	// tunnel yet: whence newcomers are taken.
	stock = 24
	// ready is with how many of those there is to be a session, when newcomers
	// are not taken without one.
	ready = 4
)

// Strangers gives routers to open a session with so that there are always some
// newcomers to choose from, up to most of them. It tells whether more may be
// wanted soon: as long as few were met.
func (s *Selector) Strangers(now time.Time, most int) (chosen []data.Hash, soon bool) {
	f, connected := s.look(now), 0
	var strangers, acquainted []*candidate
	for i := range f.all {
		c := &f.all[i]
		switch {
		case c.profile.Proven || !c.near || !c.profile.Usable:
		case !c.profile.Met:
			strangers = append(strangers, c)
		case c.connected:
			connected++
		default:
			acquainted = append(acquainted, c)
		}
	}
	chosen = some(strangers, min(most, stock-connected-len(acquainted)))
	if len(f.known) >= fewCapable {
		chosen = append(chosen, some(acquainted, min(most-len(chosen), ready-connected))...)
	}
	return chosen, f.few || len(chosen) > 0
}

// doubtful is the score below which a router is no newcomer any more: it has
// shown what it is good for, and is tried again when that has faded.
const doubtful = 0.3

// some draws up to n of the candidates, which are used up.
func some(from []*candidate, n int) (chosen []data.Hash) {
	for n > len(chosen) && len(from) > 0 {
		i, last := random.IntN(len(from)), len(from)-1
		chosen = append(chosen, from[i].hop.Hash)
		from[i], from = from[last], from[:last]
	}
	return chosen
}

// newcomers are routers that have to show yet what they are good for, or have
// to show it again. Those without a session may be gone, and are tried only as
// long as we know few others.
func (f *field) newcomers() (all []*candidate) {
	for _, c := range f.acquainted {
		if c.profile.Score >= doubtful && (c.connected || len(f.known) < fewCapable) {
			all = append(all, c)
		}
	}
	return append(all, f.byClass[proven]...)
}
