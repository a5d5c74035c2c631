package transport

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"allium/internal/data"
)

const (
	// maxSkews is how many peers' clocks are remembered.
	maxSkews = 64
	// skewLife is for how long.
	skewLife = time.Hour
	// The bits of a network: what it takes to come from many of them.
	networkBits4, networkBits6 = 16, 32
)

// skews are how far the clocks of peers are ahead of ours, the latest last:
// one for each peer and, in public, one for each network, so that it takes
// more than many routers of one's own to tell us the time.
type skews struct {
	mu  sync.Mutex
	all []skew
}

type skew struct {
	peer    data.Hash
	network netip.Prefix // zero if it does not matter
	ahead   time.Duration
	at      time.Time
}

// networkOf is what clocks are counted by.
func networkOf(a netip.Addr) netip.Prefix { return prefixOf(a, networkBits4, networkBits6) }

func (s *skews) add(k skew) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = slices.DeleteFunc(s.all, func(o skew) bool {
		return o.peer == k.peer || k.network.IsValid() && o.network == k.network
	})
	if len(s.all) == maxSkews {
		s.all = slices.Delete(s.all, 0, 1)
	}
	s.all = append(s.all, k)
}

// ClockSkew is the median of how far authenticated peers' clocks were ahead of
// ours within the last hour, and of how many peers. A few of them may lie:
// trust it from five or so on.
func (t *Transport) ClockSkew() (ahead time.Duration, peers int) {
	return t.skews.median(t.h.Now())
}

// ClockSkews are what ClockSkew is the median of, in order: how far each peer's
// clock was ahead of ours.
func (t *Transport) ClockSkews() []time.Duration { return t.skews.sorted(t.h.Now()) }

// ClockStepped tells that our clock has been moved by so much: what was ahead of
// it is less so now.
func (t *Transport) ClockStepped(by time.Duration) { t.skews.shift(by) }

// ForgetClockSkews tells that our clock is another one.
func (t *Transport) ForgetClockSkews() { t.skews.forget() }

func (s *skews) sorted(now time.Time) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sorted []time.Duration
	for _, k := range s.all {
		if now.Sub(k.at) <= skewLife {
			sorted = append(sorted, k.ahead)
		}
	}
	slices.Sort(sorted)
	return sorted
}

func (s *skews) median(now time.Time) (time.Duration, int) {
	sorted := s.sorted(now)
	n := len(sorted)
	if n == 0 {
		return 0, 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2, n
}

func (s *skews) shift(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.all {
		s.all[i].ahead -= by
		s.all[i].at = s.all[i].at.Add(by)
	}
}

func (s *skews) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = nil
}
