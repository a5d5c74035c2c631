package router

import (
	"errors"
	"sync"
	"time"

	"allium/internal/host"
	"allium/internal/netdb/query"
	"allium/internal/random"
)

const (
	// Our RouterInfo is stored again so often, and soon after the start. At
	// the start it is stored a second time after publishAgain: the first
	// floodfills may have been the wrong ones.
	publishEvery  = 30 * time.Minute
	publishSpread = 15 * time.Minute
	publishFirst  = 3 * time.Second
	publishAgain  = 2 * time.Minute
	// When it could not be stored it is tried again after publishRetry, and
	// then with pauses twice as long each, to publishSlow.
	publishRetry = 10 * time.Second
	publishSlow  = 5 * time.Minute
	// Changes are stored after publishGather, so that several become one, and
	// not before publishLeast has passed since the last time, or publishGap for
	// those that are no hurry.
	publishGather = 2 * time.Second
	publishLeast  = 30 * time.Second
	publishGap    = 9 * time.Minute
)

// publishing is when our RouterInfo is stored in the network next.
type publishing struct {
	mu     sync.Mutex
	turn   int       // counts what was arranged: only the last holds
	at     time.Time // when that is
	pause  time.Duration
	last   time.Time // when it was last sent out
	stored int       // how often somebody has confirmed it
}

// publishLater arranges for the next time our RouterInfo is stored.
func (rt *Router) publishLater(now time.Time, d time.Duration) {
	p := &rt.publishing
	p.mu.Lock()
	p.turn++
	p.at = now.Add(d)
	turn := p.turn
	p.mu.Unlock()
	rt.after(d, func(r *host.Round) {
		p.mu.Lock()
		holds := p.turn == turn
		p.mu.Unlock()
		if holds {
			rt.publish(r)
		}
	})
}

// publishSoon has our RouterInfo stored at once: it says something else of
// where we are, or nobody may have it any more.
func (rt *Router) publishSoon(r *host.Round) { rt.publishAfter(r.Now, publishLeast) }

// publishChange has it stored for a change that is no hurry.
func (rt *Router) publishChange(r *host.Round) { rt.publishAfter(r.Now, publishGap) }

// publishAfter has it stored when gap has passed since the last time, unless
// that is arranged for earlier.
func (rt *Router) publishAfter(now time.Time, gap time.Duration) {
	p := &rt.publishing
	p.mu.Lock()
	p.pause = 0
	wait := max(publishGather, p.last.Add(gap).Sub(now))
	earlier := p.at.After(now) && p.at.Before(now.Add(wait))
	p.mu.Unlock()
	if !earlier {
		rt.publishLater(now, wait)
	}
}

// publish stores our RouterInfo in the network.
func (rt *Router) publish(r *host.Round) {
	ri := rt.own.get(r.Now)
	rt.own.lint(ri)
	if rt.changed != nil {
		rt.changed(r, ri)
	}
	p := &rt.publishing
	p.mu.Lock()
	p.last = r.Now
	p.mu.Unlock()
	rt.queries.PublishRouter(r, ri, rt.publishOn)
}

// publishOn arranges for the next time when it is known how the last one went.
func (rt *Router) publishOn(r *host.Round, err error) {
	if errors.Is(err, query.ErrSuperseded) || errors.Is(err, query.ErrClosed) {
		return
	}
	rt.publishLater(r.Now, rt.publishing.pauseAfter(err))
	if err != nil {
		rt.log.Debug("our RouterInfo is not stored", "err", err)
	}
}

// pauseAfter is how long to wait after a time that went so.
func (p *publishing) pauseAfter(err error) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case errors.Is(err, query.ErrNoFloodfills): // it costs nothing to look again
		return publishRetry
	case err != nil:
		p.pause = min(max(2*p.pause, publishRetry), publishSlow)
		return random.Between(p.pause*3/4, p.pause)
	}
	p.pause = 0
	if p.stored++; p.stored == 1 {
		return publishAgain
	}
	return publishEvery + random.Between(0, publishSpread)
}
