//go:build interop

package interop

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestWithI2pd runs four routers of ours in one network with eight i2pds. What
// is tested comes from the issues about that: each part is in a file of its
// own, and they follow each other in the same network.
func TestWithI2pd(t *testing.T) {
	n := startNetwork(t)
	n.ready(t)
	t.Run("Pages", func(t *testing.T) { testPages(t, n) })
	t.Run("Newcomers", func(t *testing.T) { testNewcomers(t, n) })
	t.Run("Bulk", func(t *testing.T) { testBulk(t, n) })
	t.Run("Tunnels", func(t *testing.T) { testTunnels(t, n) })
	t.Run("Restarts", func(t *testing.T) { testRestarts(t, n) })
	// The routers made up here do not answer as hops: so last.
	t.Run("NetDb", func(t *testing.T) { testNetDb(t, n) })
	t.Run("CrossingDials", func(t *testing.T) { testCrossingDials(t, n) })
	t.Run("Health", func(t *testing.T) { testHealth(t, n) })
}

// testPages has every router with a site visit the sites of all others: those
// of i2pd through our proxies, ours through those of i2pd, and each kind its
// own. The tunnels at either end have 1, 2 and 3 hops.
func testPages(t *testing.T, n *testNet) {
	sites := n.sites(t, hosting, hosting+1, hosting+2, oursHosting, oursHosting+1, oursHosting+2)
	var visiting sync.WaitGroup
	for visitor := range sites {
		visiting.Go(func() {
			for site, base := range sites {
				if site != visitor {
					t.Run(fmt.Sprintf("From%dOf%d", visitor, site), func(t *testing.T) {
						visit(t, httpProxy(visitor), base, n.router(site).name())
					})
				}
			}
		})
	}
	visiting.Wait()
}

// sites are the addresses of the sites of some routers. It waits until ours
// are ready.
func (n *testNet) sites(t *testing.T, nums ...int) map[int]string {
	t.Helper()
	sites := make(map[int]string)
	for _, num := range nums {
		r := n.router(num)
		eventually(t, "site of "+r.name(), readyLimit, func() (bool, string) {
			b32, err := r.site()
			if err != nil {
				return false, err.Error()
			}
			sites[num] = "http://" + b32
			return true, b32
		})
	}
	return sites
}

// harmless are the reasons for which sessions end that no peer minds.
var harmless = []string{
	"idle timeout", "peer: idle timeout", "router shutdown", "peer: router shutdown",
	// The loser of two that were dialled at once.
	"unspecified", "peer: unspecified",
	// A router that restarts says nothing, or its kernel speaks for it.
	"closed by peer", "reset",
}

// testHealth checks what must hold after all that.
func testHealth(t *testing.T, n *testNet) {
	for _, a := range n.ours {
		s, err := a.status()
		if err != nil {
			t.Error(err)
			continue
		}
		t.Logf("%s: %v", a.name(), s)
		if s.Messages.Malformed > 0 {
			t.Errorf("%s: %d messages are malformed", a.name(), s.Messages.Malformed)
		}
		for _, why := range slices.Sorted(maps.Keys(s.Peers.Ended)) {
			if !slices.Contains(harmless, why) {
				t.Errorf("%s: %d sessions ended: %s", a.name(), s.Peers.Ended[why], why)
			}
		}
		log, err := os.ReadFile(a.logFile())
		if err != nil {
			t.Error(err)
		}
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN") {
				t.Errorf("%s: %s", a.name(), line)
			}
		}
	}
	if err := n.check(); err != nil {
		t.Error(err)
	}
}
