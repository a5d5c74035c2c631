package crowd_test

import (
	"testing"
	"time"

	"allium/internal/crowd"
	"allium/internal/data"
	"allium/internal/sim"
)

// town is honest routers that know each other, a fifth of them floodfills.
// The first of them have sites, and as many the clients of visitors.
type town struct {
	*crowd.Network
	floodfills []data.Hash
	sites      []*crowd.Site
	visitors   []*crowd.Visitor
}

// found starts a town and waits until all sites are ready.
func found(tb testing.TB, w *sim.World, routers, sites int) *town {
	tb.Helper()
	t := &town{Network: crowd.New(tb, w)}
	for i := range routers {
		nd := t.Node(i%5 == 0)
		if i%5 == 0 {
			t.floodfills = append(t.floodfills, nd.Hash())
		}
	}
	t.Introduce(t.Infos())
	var guests []*crowd.Site
	for i := range sites {
		t.sites = append(t.sites, t.Nodes[i].Open(crowd.Hops(3, 3)).Serve())
		guests = append(guests, t.Nodes[sites+i].Open(crowd.Hops(3, 3)))
	}
	if took, ok := t.Until(crowd.Ready(append(guests, t.sites...)), 3*time.Minute); !ok {
		t.Errorf("sites not ready after %v", took)
	}
	for _, g := range guests {
		t.visitors = append(t.visitors, g.Visit(t.sites))
	}
	return t
}

// citizens are the nodes without sites and clients.
func (t *town) citizens() []*crowd.Node { return t.Nodes[2*len(t.sites):] }

// watch lets time go on and tells how builds and pages went meanwhile.
func (t *town) watch(what string, d time.Duration) (crowd.Tally, crowd.Pages) {
	t.TB.Helper()
	builds, explorations, pages := t.Tally(), t.Explorations(), crowd.PagesOf(t.visitors)
	t.Run(d)
	builds, explorations, pages = t.Tally().Since(builds), t.Explorations().Since(explorations), crowd.PagesOf(t.visitors).Since(pages)
	t.Logf("%s: %v; of explorations %.1f %% of %d; %v", what, builds, 100*explorations.Success(), explorations.Built+explorations.Failed, pages)
	return builds, pages
}

// complete is the part of the tunnels wanted that are there and work.
func (t *town) complete() float64 {
	good, wanted := 0, 0
	for _, nd := range t.Alive() {
		for _, p := range nd.Status().Pools {
			good += min(p.Inbound.Good, p.Inbound.Wanted) + min(p.Outbound.Good, p.Outbound.Wanted)
			wanted += p.Inbound.Wanted + p.Outbound.Wanted
		}
	}
	return float64(good) / float64(wanted)
}
