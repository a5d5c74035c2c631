package crowd_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"allium/internal/crowd"
	"allium/internal/sim"
)

// busiest are the citizens that are hops of most tunnels.
func (t *town) busiest(count int) []*crowd.Node {
	used := make(map[string]int)
	for _, nd := range t.Nodes {
		for _, p := range nd.Status().Pools {
			for _, tunnel := range slices.Concat(p.Inbound.Tunnels, p.Outbound.Tunnels) {
				for _, hop := range tunnel.Hops {
					used[hop]++
				}
			}
		}
	}
	all := slices.Clone(t.citizens())
	slices.SortStableFunc(all, func(a, b *crowd.Node) int {
		return cmp.Compare(used[b.Hash().String()], used[a.Hash().String()])
	})
	return all[:count]
}

// loss kills the busiest twentieth of the routers.
func loss(tb testing.TB, w *sim.World, routers, sites int) {
	n := found(tb, w, routers, sites)
	n.watch("before", 10*time.Minute)
	before := n.complete()
	for _, nd := range n.busiest(routers / 20) {
		nd.Kill()
	}
	n.watch("two minutes", 2*time.Minute)
	after := n.complete()
	n.Logf("%.3f of the tunnels were there, now %.3f", before, after)
	if after < before-0.03 {
		n.Errorf("%.3f of the tunnels are there after two minutes, %.3f before", after, before)
	}
	if _, pages := n.watch("then", 5*time.Minute); pages.Success() < 0.95 {
		n.Errorf("then: %v", pages)
	}
}

func TestLossOfTheBusiestHopsIsMadeUpFor(t *testing.T) {
	play(t, sim.Config{Link: sim.Link{Loss: 0.02}}, func(tb testing.TB, w *sim.World) {
		loss(tb, w, scale(60, 300), 12)
	})
}
