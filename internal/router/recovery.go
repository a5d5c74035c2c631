package router

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"allium/internal/data"
	"allium/internal/host"
)

const (
	// watchEvery is how often the machine's addresses are looked at. A look
	// that comes leastJump late, by the clock on the wall, has been missed by
	// a machine that was asleep, or the clock has been set.
	watchEvery = 5 * time.Second
	leastJump  = time.Minute
	// Nothing expires before expireAfter has passed since an outage: what we
	// know is old then, and still better than nothing to begin with again.
	expireAfter = 10 * time.Minute
	// silentFor is how long nobody must have been heard for us to be without
	// a network as far as memory is concerned.
	silentFor = 3 * time.Minute
)

// watch is what we last saw of the machine.
type watch struct {
	mu      sync.Mutex
	addrs   []netip.Addr
	due     time.Time     // when the next look is
	revived time.Time     // when the last outage ended
	jumped  time.Time     // when the clock last jumped
	by      time.Duration // and by how much
}

// look compares the machine with what it was, and will again.
func (rt *Router) look(r *host.Round) {
	addrs := rt.h.Addrs()
	// The reading of the monotonic clock does not count the time asleep.
	now := r.Now.Round(0)
	w := &rt.watch
	w.mu.Lock()
	changed := w.addrs != nil && len(addrs) > 0 && !slices.Equal(addrs, w.addrs)
	if len(addrs) > 0 {
		w.addrs = addrs
	}
	var jump time.Duration
	if !w.due.IsZero() {
		jump = now.Sub(w.due)
	}
	w.due = now.Add(watchEvery)
	w.mu.Unlock()
	if jump.Abs() >= leastJump {
		rt.Jumped(r, jump)
	}
	if changed {
		rt.NetworkChanged(r)
	}
	rt.after(watchEvery, rt.look)
}

// NetworkChanged tells that the addresses of this machine have changed: what
// is connected from those that are gone is cut off, and what waits to be tried
// again is tried at once.
func (rt *Router) NetworkChanged(r *host.Round) {
	rt.log.Info("the addresses of this machine have changed")
	rt.transport.NetworkChanged(r)
	rt.resume(r, time.Time{})
}

// Jumped tells that the clock has jumped forward, or back with a negative by,
// or that the machine was asleep for so long. Peers have given us up meanwhile,
// so sessions and tunnels are made anew.
func (rt *Router) Jumped(r *host.Round, by time.Duration) {
	if by.Abs() < leastJump || rt.toldOfJump(r.Now, by) {
		return
	}
	rt.log.Info("the clock has jumped, or the machine was asleep", "by", by.Round(time.Second))
	rt.transport.Jumped(r, by)
	rt.resume(r, time.Time{})
}

// toldOfJump tells whether a jump was seen already: whoever keeps the time sees
// it, and so does look.
func (rt *Router) toldOfJump(now time.Time, by time.Duration) bool {
	w := &rt.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	since := now.Sub(w.jumped)
	if since >= 0 && since < 2*watchEvery && (by-w.by).Abs() < leastJump {
		return true
	}
	w.jumped, w.by = now, by
	return false
}

// Online implements transport.Handler.
func (in incoming) Online(r *host.Round, since time.Time) {
	if !in.running.Load() {
		return
	}
	in.log.Info("peers are heard again", "after", r.Now.Sub(since).Round(time.Second))
	in.resume(r, since)
}

// resume has everything tried again at once that failed since the network was
// gone: nobody is to blame for that.
func (rt *Router) resume(r *host.Round, since time.Time) {
	w := &rt.watch
	w.mu.Lock()
	w.revived = r.Now
	w.mu.Unlock()
	rt.profiles.Forgive(since)
	for _, c := range rt.openContexts() {
		for _, peer := range c.Pool.Neighbours() {
			// A peer that cannot be dialled fails the test of its tunnels.
			_ = rt.transport.Connect(r, peer)
		}
	}
	rt.builder.Resume(r)
	rt.publishSoon(r)
}

// meet has a session with a peer that is to send to us made from here when
// nobody can connect to us. It reports whether the peer can send by now.
func (rt *Router) meet(r *host.Round, peer data.Hash) bool {
	if rt.own.isPublished() || peer == rt.hash || rt.transport.Connected(peer) {
		return true
	}
	// A peer that cannot be dialled cannot answer: the build fails in time.
	_ = rt.transport.Connect(r, peer)
	return false
}

// remembers tells that nothing is to be forgotten now: there is no network, or
// it has only just come back, so nothing newer can have been learned.
func (rt *Router) remembers(now time.Time) bool {
	w := &rt.watch
	w.mu.Lock()
	revived := w.revived
	w.mu.Unlock()
	return now.Sub(rt.transport.Heard()) > silentFor || now.Sub(revived) < expireAfter
}
