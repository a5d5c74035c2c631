package transit

import (
	"time"

	"allium/internal/host"
	"allium/internal/tunnel"
)

const (
	// life is how long a hop lasts: as long as the tunnel, and a minute for
	// what is under way and clocks that differ. That is also how long replayed
	// messages are remembered.
	life = tunnel.Lifetime + time.Minute
	// tickEvery is how often hops that are over are looked for.
	tickEvery = time.Second
	// sweepEvery is how many ticks lie between looks for fragments that have
	// waited too long at endpoints where nothing comes any more.
	sweepEvery = 15
)

// tick ends the hops whose time is over and looks at the limits. One timer
// does for all of them.
func (t *Transit) tick(r *host.Round) {
	fill := t.fill(r.Now)
	var idle []*hop
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return
	}
	t.timer = t.h.AfterFunc(tickEvery, t.tick)
	t.measure(fill)
	t.ticks++
	gone := t.tunnels.expire(r.Now)
	if t.ticks%sweepEvery == 0 {
		idle = append(idle, t.tunnels.hops...)
	}
	t.mu.Unlock()
	for _, h := range gone {
		h.close()
	}
	for _, h := range idle {
		if h.end != nil {
			h.end.Expire(r.Now)
		}
	}
}

// expire removes and returns the hops that are over. One that would last
// longer than any does was made before the clock was put back.
func (s *tunnels) expire(now time.Time) (gone []*hop) {
	kept := s.hops[:0]
	for _, h := range s.hops {
		if left := h.expires.Sub(now); left > 0 && left <= life+clockPlay {
			kept = append(kept, h)
			continue
		}
		gone = append(gone, h)
		s.remove(h)
	}
	clear(s.hops[len(kept):])
	s.hops = kept
	return gone
}

// clockPlay is how far a clock may go back without harm.
const clockPlay = time.Minute
