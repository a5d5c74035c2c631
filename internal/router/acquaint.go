package router

import (
	"time"

	"allium/internal/host"
)

const (
	// acquaintEvery is how often we see whether there are enough routers that
	// we have met, and no tunnel has needed yet.
	acquaintEvery = time.Second
	// maxAcquainting is how many dials there may be at a time for more to be
	// begun here.
	maxAcquainting = 12
)

// acquaint opens sessions with routers of which only a RouterInfo is known: so
// many dead ones, and so many that were made up, that none gets into a tunnel
// before it has shown that it is there.
func (rt *Router) acquaint(r *host.Round) {
	for _, h := range rt.selector.Strangers(r.Now, maxAcquainting-rt.transport.Stats().Dialling) {
		// What stands against it will be there in a second, too.
		_ = rt.transport.Connect(r, h)
	}
	rt.after(acquaintEvery, rt.acquaint)
}
