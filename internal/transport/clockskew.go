package transport

import (
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
)

// skews are how far the clocks of peers are ahead of ours, one for each peer,
// the latest last.
type skews struct {
	mu  sync.Mutex
	all []skew
}

type skew struct {
	peer  data.Hash
	ahead time.Duration
	at    time.Time
}

func (s *skews) add(now time.Time, peer data.Hash, ahead time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = slices.DeleteFunc(s.all, func(k skew) bool {
		return k.peer == peer || now.Sub(k.at) > skewLife
	})
	if len(s.all) == maxSkews {
		s.all = slices.Delete(s.all, 0, 1)
	}
	s.all = append(s.all, skew{peer, ahead, now})
}

// ClockSkew is the median of how far authenticated peers' clocks are ahead of
// ours, and of how many peers. A few of them may lie: trust it from five or
// so on.
func (t *Transport) ClockSkew() (ahead time.Duration, peers int) {
	s := &t.skews
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 {
		return 0, 0
	}
	sorted := make([]time.Duration, len(s.all))
	for i := range s.all {
		sorted[i] = s.all[i].ahead
	}
	slices.Sort(sorted)
	return sorted[len(sorted)/2], len(sorted)
}
