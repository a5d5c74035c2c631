package router_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/netdb"
	"allium/internal/router"
	"allium/internal/sim"
)

// At midnight UTC everything belongs somewhere else. What was published
// shortly before is there already, and found at once.
func TestWhatWasPublishedBeforeMidnightIsFoundAfterIt(t *testing.T) {
	w := sim.New(t, 41, sim.Config{})
	midnight := sim.Start.Add(12 * time.Hour)
	w.Run(midnight.Sub(w.Now()) - 20*time.Minute)
	var floodfills []*node
	for i := range 36 {
		n := prepare(t, w, fmt.Sprintf("10.%d.1.1", i+1))
		n.cfg.Floodfill, n.cfg.Exploratory = role(true), hops(0)
		floodfills = append(floodfills, n.start())
	}
	introduce(floodfills...)
	server := start(t, w, "10.101.1.1", false)
	server.know(floodfills...)
	client := server.open(router.ContextConfig{Tunnels: hops(0)})
	w.Run(midnight.Add(-8 * time.Minute).Sub(w.Now()))
	ls := site(t, w.Now())
	server.h.Do(func(r *host.Round) { client.Publish(r, ls, nil, nil) })
	w.Run(midnight.Add(time.Second).Sub(w.Now()))

	// Whoever asks knows only those that are the closest on the new day.
	closest := func(key data.Hash) (near []*node) {
		for _, ri := range server.NetDB().ClosestTo(netdb.RoutingKey(key, w.Now()), 3, (*data.RouterInfo).Floodfill) {
			i := slices.IndexFunc(floodfills, func(n *node) bool { return n.Hash() == ri.Hash() })
			near = append(near, floodfills[i])
		}
		return near
	}
	found := 0
	a := start(t, w, "10.102.1.1", false)
	a.know(closest(ls.Key())...)
	asking := a.open(router.ContextConfig{Tunnels: hops(0)})
	a.h.Do(func(r *host.Round) {
		asking.LeaseSet(r, ls.Key(), func(_ *host.Round, ls data.LeaseSetEntry, _ error) {
			if ls != nil {
				found++
			}
		})
	})
	b := start(t, w, "10.103.1.1", false)
	b.know(closest(server.Hash())...)
	b.h.Do(func(r *host.Round) {
		b.Queries().RouterInfo(r, server.Hash(), func(_ *host.Round, ri *data.RouterInfo, _ error) {
			if ri != nil {
				found++
			}
		})
	})
	if !w.RunUntil(func() bool { return found == 2 }, 3*time.Second) {
		t.Errorf("%d of two found", found)
	}
}
