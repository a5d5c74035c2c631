package router

import (
	"net/netip"
	"sync"
	"time"

	"allium/internal/data"
)

// garlicShare shares out among neighbours how much garlic for the router is
// looked into in a second. None may have more than what is left beside all of
// them, so that one alone gets half of it, n all but one of n+1 parts, and
// whoever comes later still some. Those of one subnet count as one.
type garlicShare struct {
	mu    sync.Mutex
	begin time.Time // of the second
	used  int
	by    map[garlicOrigin]int
}

// garlicOrigin is a subnet, or a neighbour whose subnet does not matter. What
// came out of tunnels is at the zero one.
type garlicOrigin struct {
	subnet netip.Prefix
	router data.Hash
}

// allow counts one more from a neighbour, unless it is too much.
func (g *garlicShare) allow(now time.Time, from data.Hash, subnet netip.Prefix) bool {
	key := garlicOrigin{router: from}
	if subnet.IsValid() {
		key = garlicOrigin{subnet: subnet}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if passed := now.Sub(g.begin); passed >= time.Second || passed < 0 {
		g.begin, g.used, g.by = now, 0, make(map[garlicOrigin]int)
	}
	if g.by[key] >= garlicPerSecond-g.used {
		return false
	}
	g.by[key]++
	g.used++
	return true
}
