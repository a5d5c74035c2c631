package crowd_test

import (
	"slices"
	"testing"
	"time"

	"allium/internal/crowd"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/netdb"
	"allium/internal/sim"
)

// liars adds floodfills that confirm every store, keep nothing, and answer
// every lookup by naming one another. All honest routers hear of them.
func (t *town) liars(count int, fits func(h data.Hash) bool) {
	var all []data.Hash
	m := crowd.Manners{
		Caps: "XfR", Builds: crowd.Refusal, Acks: true, Fits: fits,
		Names: func(key data.Hash) []data.Hash { return nearest(all, netdb.RoutingKey(key, t.World.Now()))[:3] },
	}
	var infos []*data.RouterInfo
	for range count {
		f := t.Fake(m)
		all = append(all, f.Hash())
		infos = append(infos, f.Info())
	}
	t.Introduce(infos)
}

// nearest is hashes ordered by their distance to a place, the closest first.
func nearest(all []data.Hash, place data.Hash) []data.Hash {
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b data.Hash) int { return a.XOR(place).Compare(b.XOR(place)) })
	return sorted
}

// lookUp has each of some citizens look for sites through tunnels of its own,
// as strangers, and checks how many find them.
func (t *town) lookUp(citizens []*crowd.Node, sites []*crowd.Site) {
	var seekers []*crowd.Site
	for _, nd := range citizens {
		seekers = append(seekers, nd.Open(crowd.Hops(3, 2)))
	}
	if took, ok := t.Until(crowd.Ready(seekers), 3*time.Minute); !ok {
		t.Errorf("seekers not ready after %v", took)
	}
	found, over, all := 0, 0, len(seekers)*len(sites)
	for _, s := range seekers {
		for _, site := range sites {
			s.Find(site.Hash(), func(_ *host.Round, err error) {
				over++
				if err == nil {
					found++
				}
			})
		}
	}
	t.Until(func() bool { return over == all }, 2*time.Minute)
	t.Logf("found %d of %d", found, all)
	if float64(found) < 0.95*float64(all) {
		t.Errorf("found %d of %d", found, all)
	}
	for _, s := range seekers {
		s.Close()
	}
}

// eclipse surrounds one site with the eight closest floodfills, and has
// strangers look for it each time its leases are others.
func eclipse(tb testing.TB, w *sim.World, routers, times int) {
	n := found(tb, w, routers, 4)
	n.Run(5 * time.Minute)
	victim := n.sites[0]
	place := netdb.RoutingKey(victim.Hash(), w.Now())
	closest := nearest(n.floodfills, place)[0].XOR(place)
	n.liars(8, func(h data.Hash) bool { return h.XOR(place).Compare(closest) < 0 })
	n.Run(5 * time.Minute)
	for range times {
		n.watch("eclipse", 3*time.Minute)
		n.lookUp(n.citizens(), []*crowd.Site{victim})
	}
}

func TestEclipsedLeaseSetIsFound(t *testing.T) {
	play(t, sim.Config{}, func(tb testing.TB, w *sim.World) { eclipse(tb, w, scale(60, 200), 6) })
}

// falsify has three of four floodfills be liars.
func falsify(tb testing.TB, w *sim.World, routers, times int) {
	n := found(tb, w, routers, 8)
	n.Run(5 * time.Minute)
	n.liars(3*len(n.floodfills), nil)
	n.Run(5 * time.Minute)
	for range times {
		n.watch("falsified", 3*time.Minute)
		n.lookUp(n.citizens(), n.sites)
	}
}

func TestLookupsSucceedAmongFakeFloodfills(t *testing.T) {
	play(t, sim.Config{}, func(tb testing.TB, w *sim.World) { falsify(tb, w, scale(60, 200), 3) })
}
