package pool_test

import (
	"testing"
	"time"

	"allium/internal/tunnel/pool"
)

// Of the tunnels that work no router is in more than its share, so none of
// them sees much of what we do, and the end of one leaves the others.
func TestNoRouterIsInManyOfOurTunnels(t *testing.T) {
	w, net := newWorld(t, 19, 60)
	own := net.open("own", config(2, 3), nil)
	client := net.open("client", config(3, 6), own)
	fill(t, w, own, client)
	for range 60 {
		w.Run(30 * time.Second)
		all, tunnels := make(map[string]int), 0
		for _, m := range []*member{own, client} {
			s := m.state()
			for _, side := range []pool.Status{s.Inbound, s.Outbound} {
				here := make(map[string]int)
				for _, one := range side.Tunnels {
					if one.Expires.Sub(w.Now()) < 3*time.Minute {
						continue // its successor may stand already
					}
					tunnels++
					for _, hop := range one.Hops {
						here[hop]++
						all[hop]++
					}
				}
				for _, n := range here {
					if n > (side.Wanted+2)/3 {
						t.Errorf("one is in %d of %d tunnels of a direction", n, side.Wanted)
					}
				}
			}
		}
		for _, n := range all {
			if n > tunnels/3 {
				t.Errorf("one is in %d of %d tunnels", n, tunnels)
			}
		}
	}
}
