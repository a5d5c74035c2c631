package router

import (
	"time"

	"allium/internal/host"
)

// What is lost when the process is killed: of routers and profiles at most a
// tenth, and what has changed in the last ten minutes. Keys are written before
// they are used.
const (
	// saveEvery is how often what has changed is written. It is not more often
	// for the sake of the disk: most of it changes all the time.
	saveEvery = 10 * time.Minute
	// saveFirst is when it is first looked whether we know much that is not
	// written: again after twice the time, until keep does so each minute.
	saveFirst = time.Second
)

// saveEarly writes what a new router learns in its first seconds.
func (rt *Router) saveEarly(r *host.Round) {
	rt.save(r)
	if age := rt.uptime(r.Now); age < keepEvery/2 {
		rt.after(max(age, saveFirst), rt.saveEarly)
	}
}

// save has written what has changed, if it is time or if we have come to know
// much. The disk is slow: not in this round. Without a free worker it is done
// later.
func (rt *Router) save(r *host.Round) {
	rt.mu.Lock()
	age := r.Now.Sub(rt.saved)
	rt.mu.Unlock()
	if age >= 0 && age < saveEvery && !rt.db.Grown() && !rt.profiles.Grown() {
		return
	}
	rt.h.Spawn(func(r *host.Round) {
		if rt.isClosed() {
			return
		}
		rt.mu.Lock()
		rt.saved = r.Now
		rt.mu.Unlock()
		rt.flush()
	})
}

// flush writes what is to survive.
func (rt *Router) flush() {
	if err := rt.db.Flush(); err != nil {
		rt.log.Warn("netDb not written", "err", err)
	}
	if err := rt.profiles.Flush(); err != nil {
		rt.log.Warn("profiles not written", "err", err)
	}
	if rt.quota != nil {
		if err := rt.quota.flush(); err != nil {
			rt.log.Warn("quota not written", "err", err)
		}
	}
	if err := rt.selector.Flush(rt.h.Now()); err != nil {
		rt.log.Warn("first hops not written", "err", err)
	}
}
