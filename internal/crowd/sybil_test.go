package crowd_test

import (
	"testing"
	"time"

	"allium/internal/crowd"
	"allium/internal/data"
	"allium/internal/sim"
)

// invade adds sybils that claim to be good floodfills: of a third there is
// nothing but the RouterInfo, a third refuses to be in tunnels and a third
// stays silent. All honest routers hear of all of them.
func (t *town) invade(sybils int) {
	var infos []*data.RouterInfo
	for i := range sybils {
		m := crowd.Manners{Caps: "XfR", Acks: true}
		switch i % 3 {
		case 0:
			infos = append(infos, t.Ghost("XfR"))
			continue
		case 1:
			m.Builds = crowd.Refusal
		}
		infos = append(infos, t.Fake(m).Info())
	}
	t.Introduce(infos)
}

// siege has twelve sybils for each honest router come, flood the network with
// requests for tunnels, and go.
func siege(tb testing.TB, w *sim.World, routers, sites, perSecond int) {
	n := found(tb, w, routers, sites)
	peace, _ := n.watch("peace", 10*time.Minute)
	n.invade(12 * routers)
	storm := n.Storm(perSecond, 8*time.Minute)
	n.watch("siege begins", 2*time.Minute)
	builds, pages := n.watch("siege", 6*time.Minute)
	n.Logf("%d requests in the storm", storm.Sent)
	if builds.Success() < 0.6 || pages.Success() < 0.95 {
		n.Errorf("siege: %v; %v", builds, pages)
	}
	for _, f := range n.Fakes {
		f.Kill()
	}
	n.watch("relief", 5*time.Minute)
	builds, pages = n.watch("afterwards", 10*time.Minute)
	if builds.Success() < 0.9*peace.Success() || pages.Success() < 0.95 {
		n.Errorf("afterwards: %v; %v", builds, pages)
	}
}

func TestTwelveSybilsForEachHonestRouter(t *testing.T) {
	play(t, sim.Config{}, func(tb testing.TB, w *sim.World) {
		siege(tb, w, scale(40, 120), scale(8, 16), scale(200, 1000))
	})
}
