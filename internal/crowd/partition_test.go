package crowd_test

import (
	"testing"
	"time"

	"allium/internal/crowd"
	"allium/internal/host"
	"allium/internal/sim"
)

// partition cuts a network in two, heals it, and has visitors get a page of
// every site.
func partition(tb testing.TB, w *sim.World, routers, sites int, cut time.Duration) {
	n := found(tb, w, routers, sites)
	n.watch("whole", 5*time.Minute)
	heal := n.Partition(halves(n.Nodes))
	n.watch("cut in two", cut)
	heal()
	took, _ := n.Until(n.everyoneReaches(), 10*time.Minute)
	n.Logf("whole again after %v", took)
	if took > 2*time.Minute {
		n.Errorf("it took %v until every visitor had reached every site", took)
	}
	builds, pages := n.watch("healed", 5*time.Minute)
	if builds.Success() < 0.8 || pages.Success() < 0.95 {
		n.Errorf("healed: %v; %v", builds, pages)
	}
}

// halves deals nodes out by fives, so that each half has floodfills, sites and
// visitors.
func halves(nodes []*crowd.Node) (here, there []*crowd.Node) {
	for i, nd := range nodes {
		if i/5%2 == 0 {
			here = append(here, nd)
		} else {
			there = append(there, nd)
		}
	}
	return here, there
}

// everyoneReaches tells that each visitor has got a page of each site since.
func (t *town) everyoneReaches() func() bool {
	missing := len(t.visitors) * len(t.sites)
	for _, v := range t.visitors {
		for _, s := range t.sites {
			v.Insist(s.Hash(), 15*time.Second, func(*host.Round) { missing-- })
		}
	}
	return func() bool { return missing == 0 }
}

func TestNetworkCutInTwoIsSoonWholeAgain(t *testing.T) {
	play(t, sim.Config{}, func(tb testing.TB, w *sim.World) {
		partition(tb, w, scale(40, 120), 8, 20*time.Minute)
	})
}
