//go:build interop

package interop

import (
	"slices"
	"testing"
)

const (
	// much is how many messages a tunnel must have carried to be compared: the
	// data is in one tunnel each way, or in several when one is replaced.
	much = 2000
	// minBuilt and minTested are the least shares of our builds and of our
	// tests of tunnels that have to succeed. The short form has some 70 builds,
	// most of them in the first seconds, when i2pds are not ready yet.
	minBuilt      = 0.90
	minBuiltShort = 0.80
	minTested     = 0.90
	// moreFailed is by how much the share of i2pd's tunnels that fail may be
	// greater among those which pass one of ours than among others. There are
	// few of either.
	moreFailed = 0.10
)

// testTunnels looks at tunnels from both sides after much data has gone
// through: what each hop of a fixed path has counted, what became of builds
// and tests, and in which roles ours have served.
func testTunnels(t *testing.T, n *testNet) {
	t.Run("Counters", func(t *testing.T) { testCounters(t, n) })
	t.Run("Builds", func(t *testing.T) { testBuilds(t, n, minBuiltShort) })
	t.Run("Tests", func(t *testing.T) { testTests(t, n) })
}

// testCounters compares what the hops of the two fixed paths have counted.
func testCounters(t *testing.T, n *testNet) {
	near, between, other, far := n.carried(t, oursHosting), n.carried(t, 1), n.carried(t, 2), n.carried(t, oursHosting+1)
	if counts, ok := common(far[gateway], between[participant], near[participant]); ok {
		t.Logf("inbound tunnel of i2pd, gateway first: each hop has counted %v messages", counts)
		near[participant] = slices.DeleteFunc(near[participant], func(c int) bool { return c == counts[2] })
	} else {
		t.Errorf("inbound tunnel of i2pd: no agreement between %v, %v, %v", far[gateway], between[participant], near[participant])
	}
	// Our endpoint counts the messages it has put together, not the tunnel
	// messages they came in.
	if counts, ok := common(near[participant], between[participant]); ok {
		t.Logf("outbound tunnel of i2pd: the hops before ours have counted %v messages, of which ours has made %d", counts, slices.Max(far[endpoint]))
	} else {
		t.Errorf("outbound tunnel of i2pd: no agreement between %v, %v", near[participant], between[participant])
	}
	// Ours passes three of these four.
	hops := []map[string][]int{between, other, near, far}
	for _, order := range [][3]int{{0, 1, 2}, {0, 1, 3}, {0, 2, 3}, {1, 0, 2}, {1, 0, 3}, {1, 2, 3}, {2, 0, 1}, {2, 0, 3}, {2, 1, 3}, {3, 0, 1}, {3, 0, 2}, {3, 1, 2}} {
		if counts, ok := common(hops[order[0]][gateway], hops[order[1]][participant], hops[order[2]][participant]); ok {
			t.Logf("inbound tunnel of ours, gateway first: hops %v have counted %v messages", order, counts)
			return
		}
	}
	t.Errorf("inbound tunnel of ours: no agreement between %v", hops)
}

// common finds a tunnel with much traffic of which all hops have counted about
// the same: some messages are under way when they are asked.
func common(hops ...[]int) (counts []int, ok bool) {
	for _, c := range hops[0] {
		if c < much {
			continue
		}
		counts = []int{c}
		for _, other := range hops[1:] {
			i := slices.IndexFunc(other, func(d int) bool { return max(c, d)-min(c, d) <= 20+c/500 })
			if i < 0 {
				break
			}
			counts = append(counts, other[i])
		}
		if len(counts) == len(hops) {
			return counts, true
		}
	}
	return nil, false
}

// carried is how many messages a router has carried in each tunnel of others,
// by its role.
func (n *testNet) carried(t *testing.T, num int) map[string][]int {
	t.Helper()
	var all []carried
	var err error
	if num <= i2pds {
		all, err = readTransit(n.i2pd(num).console())
	} else {
		all, err = n.allium(num).carried()
	}
	if err != nil {
		t.Fatal(err)
	}
	by := make(map[string][]int)
	for _, c := range all {
		by[c.role] = append(by[c.role], c.messages)
	}
	return by
}

// testBuilds checks the share of builds that have succeeded, and that ours
// carry tunnels in each role.
func testBuilds(t *testing.T, n *testNet, least float64) {
	built, failed := 0, 0
	for _, a := range n.ours {
		s, err := a.status()
		if err != nil {
			t.Fatal(err)
		}
		// Before any has restarted, that is.
		if s.Lookups.Caught > 0 {
			t.Errorf("%s: %d floodfills did not have what they had confirmed", a.name(), s.Lookups.Caught)
		}
		built, failed = built+s.Builds.Built, failed+s.Builds.Failed
		t.Logf("%s: %d built, %d failed %v; carries %d as participant, %d as gateway, %d as endpoint",
			a.name(), s.Builds.Built, s.Builds.Failed, s.Builds.Causes, s.Transit.Participants, s.Transit.InboundGateways, s.Transit.OutboundEndpoints)
		// Those who have not met the newcomer yet build through others.
		if a.num != oursNewcomer && s.Transit.Participants*s.Transit.InboundGateways*s.Transit.OutboundEndpoints == 0 {
			t.Errorf("%s does not serve in every role", a.name())
		}
	}
	success := float64(built) / float64(built+failed)
	t.Logf("of our builds %.1f %% have succeeded", 100*success)
	if success < least {
		t.Errorf("only %d of %d builds have succeeded", built, built+failed)
	}
	for _, r := range n.i2pds {
		c, err := readConsole(r.console())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %v", r.name(), c)
	}
}

// testTests checks what routers have found when they tested their tunnels:
// ours, and those of i2pd that pass one of ours beside those that do not.
func testTests(t *testing.T, n *testNet) {
	passed, failed := 0, 0
	idents := make(map[string]bool)
	for _, a := range n.ours {
		s, err := a.status()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range s.Pools {
			passed, failed = passed+p.Passed, failed+p.Failed
		}
		idents[n.hash(t, a.num).String()[:4]] = true
	}
	t.Logf("%d tests of our tunnels passed, %d failed", passed, failed)
	if passed == 0 || float64(passed)/float64(passed+failed) < minTested {
		t.Errorf("%d tests of our tunnels passed, and %d failed", passed, failed)
	}
	var stand, fail [2]int
	for _, r := range n.i2pds {
		ok, bad, err := tested(r.console(), func(ident string) bool { return idents[ident] })
		if err != nil {
			t.Fatal(err)
		}
		for i := range stand {
			stand[i], fail[i] = stand[i]+ok[i], fail[i]+bad[i]
		}
	}
	t.Logf("tunnels of i2pd: of those through ours %d stand and %d have failed, of the others %d and %d", stand[1], fail[1], stand[0], fail[0])
	share := func(i int) float64 { return float64(fail[i]) / float64(max(stand[i]+fail[i], 1)) }
	if share(1) > share(0)+moreFailed {
		t.Errorf("%.0f %% of the tunnels through ours have failed, and %.0f %% of the others", 100*share(1), 100*share(0))
	}
}
