package router

import (
	"sync"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/random"
)

const (
	// What our RouterInfo says of our load is looked at again so often, and
	// not before: peers, and those who watch us, see every change.
	judgeLoadMin, judgeLoadMax = 11 * time.Minute, 13 * time.Minute
	// From so much pressure on we say that we are loaded, and how much.
	someLoad, muchLoad = 0.7, 0.9
	// relief is by how much it must fall again before we say less.
	relief = 0.15
)

// congestion is how loaded we have been since that was last looked at.
type congestion struct {
	mu      sync.Mutex
	sum     float64
	samples int
	level   data.Congestion
}

// sample notes the pressure of the moment, 0 to 1.
func (c *congestion) sample(pressure float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sum += pressure
	c.samples++
}

// judge gives the level that the samples speak for, and begins anew. A level
// is left only when the pressure is well below where it begins.
func (c *congestion) judge() data.Congestion {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.samples == 0 {
		return c.level
	}
	mean := c.sum / float64(c.samples)
	c.sum, c.samples = 0, 0
	c.level = max(loadLevel(mean), min(c.level, loadLevel(mean+relief)))
	return c.level
}

func loadLevel(pressure float64) data.Congestion {
	switch {
	case pressure >= muchLoad:
		return data.HighCongestion
	case pressure >= someLoad:
		return data.MediumCongestion
	}
	return data.NotCongested
}

// judgeLoad has our RouterInfo say how loaded we are, and will again.
func (rt *Router) judgeLoad(r *host.Round) {
	if rt.own.setLoad(rt.congestion.judge()) {
		rt.publishChange(r)
	}
	rt.after(random.Between(judgeLoadMin, judgeLoadMax), rt.judgeLoad)
}
