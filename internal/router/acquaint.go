package router

import (
	"fmt"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/store"
	"allium/internal/tunnel/pool"
)

const (
	// acquaintEvery is how often we see whether there are enough routers that
	// we have met, and no tunnel has needed yet; acquaintSlow when there were.
	acquaintEvery = time.Second
	acquaintSlow  = 30 * time.Second
	// maxAcquainting is how many dials there may be at a time for more to be
	// begun here.
	maxAcquainting = 12
)

// choice makes what chooses the routers we build tunnels through.
func (rt *Router) choice(s store.Store) error {
	bucket, err := s.Bucket("firsthops")
	if err != nil {
		return fmt.Errorf("router: %w", err)
	}
	cfg := pool.PathConfig{AnySubnet: rt.cfg.Private, Peers: rt.cfg.Peers}
	if v, ok := data.ParseVersion(rt.cfg.MinVersion); ok {
		cfg.MinVersion = v
	}
	if rt.selector, err = pool.NewSelector(cfg, rt.hash, rt.db, rt.profiles, rt.transport, bucket); err != nil {
		return fmt.Errorf("router: %w", err)
	}
	return nil
}

// acquaint opens sessions with routers of which only a RouterInfo is known: so
// many dead ones, and so many that were made up, that none gets into a tunnel
// before it has shown that it is there.
func (rt *Router) acquaint(r *host.Round) {
	strangers, soon := rt.selector.Strangers(r.Now, maxAcquainting-rt.transport.Stats().Dialling)
	for _, h := range strangers {
		// What stands against it will be there the next time, too.
		_ = rt.transport.Connect(r, h)
	}
	if soon {
		rt.after(acquaintEvery, rt.acquaint)
	} else {
		rt.after(acquaintSlow, rt.acquaint)
	}
}
