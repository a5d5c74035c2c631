package transit

import (
	"time"

	"allium/internal/bandwidth"
)

const (
	// smoothing is about how many ticks pressure looks back.
	smoothing = 8
	// maxLag is how long workers let a request wait when we take no more. What
	// creators wait for all hops together is some seconds.
	maxLag = 500 * time.Millisecond
)

// Pressures are how near each of our limits is, from 0 to 1. Of bandwidth and
// workers it is what it was in the last seconds.
type Pressures struct {
	Bandwidth float64 `json:"bandwidth"`
	Tunnels   float64 `json:"tunnels"`
	Workers   float64 `json:"workers"` // the time that work for others waits
}

// Most is the greatest of them. From a half on tunnels are refused now and
// then, and ever more often.
func (p Pressures) Most() float64 { return max(p.Bandwidth, p.Tunnels, p.Workers) }

// refuses draws whether one more tunnel is too much, and tells for which
// limit.
func (p Pressures) refuses() Reason {
	most := p.Most()
	if !happens(bandwidth.EarlyDrop(most)) {
		return none
	}
	switch most {
	case p.Bandwidth:
		return Limited
	case p.Tunnels:
		return Full
	}
	return Busy
}

// pressed is how near the limits are now. Under mu.
func (t *Transit) pressed() Pressures {
	p := t.pressures
	if t.tunnels.max > 0 {
		p.Tunnels = float64(t.tunnels.count) / float64(t.tunnels.max)
	}
	return p
}

// measure smooths how full the limits of bandwidth are, and how long requests
// have waited for workers since the last time. Under mu.
func (t *Transit) measure(fill float64) {
	p := &t.pressures
	p.Bandwidth += (fill - p.Bandwidth) / smoothing
	lag := min(float64(t.lag)/float64(maxLag), 1)
	p.Workers += (lag - p.Workers) / smoothing
	t.lag = 0
}

// delayed notes how long a request has waited for a worker. Under mu.
func (t *Transit) delayed(lag time.Duration) { t.lag = max(t.lag, lag) }
