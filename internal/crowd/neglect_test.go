package crowd_test

import (
	"testing"
	"time"

	"allium/internal/crowd"
	"allium/internal/data"
	"allium/internal/sim"
)

// neglected is a network like the public one: of the RouterInfos 30 % are of
// routers that are no more, and of the routers 15 % refuse to be in tunnels and
// 5 % do not answer when they are asked.
func neglected(tb testing.TB, w *sim.World, routers int) *crowd.Network {
	n := crowd.New(tb, w)
	var floodfills []data.Hash
	for i := range routers * 4 / 5 {
		nd := n.Node(i%12 == 0)
		if i%12 == 0 {
			floodfills = append(floodfills, nd.Hash())
		}
	}
	for i := range routers / 5 {
		m := crowd.Manners{Caps: "PR", Builds: crowd.Refusal}
		if i%4 == 0 {
			m.Builds = crowd.Silence
		}
		n.Fake(m).Publish(floodfills)
	}
	for range routers * 3 / 7 {
		n.Ghost("PR")
	}
	n.Introduce(n.Infos())
	return n
}

// neglect looks at the builds of such a network.
func neglect(tb testing.TB, w *sim.World, routers int, d time.Duration) {
	n := neglected(tb, w, routers)
	const period = 10 * time.Minute
	all := n.Buckets(int(d/period), period)[1:]
	for i, t := range all {
		if t.Success() < 0.8 {
			n.Errorf("after %v: %v", time.Duration(i+1)*period, t)
		}
	}
	if slope := crowd.Slope(all) * float64(len(all)); slope < -0.03 {
		n.Errorf("success has fallen by %.3f", -slope)
	}
}

func TestBuildsSucceedAmongTheDeadAndTheUnwilling(t *testing.T) {
	play(t, sim.Config{}, func(tb testing.TB, w *sim.World) {
		neglect(tb, w, 300, scale(40*time.Minute, 6*time.Hour))
	})
}

func TestBuildsOfAThousandSucceed(t *testing.T) {
	if !full {
		t.Skip("takes hours")
	}
	play(t, sim.Config{}, func(tb testing.TB, w *sim.World) { neglect(tb, w, 1000, 2*time.Hour) })
}
