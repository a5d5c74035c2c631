//go:build interop

package interop

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"allium/internal/data"
)

const (
	// findLimit is how long it may take until every router finds a LeaseSet,
	// from the moment it is published.
	findLimit = 10 * time.Second
	// findTry is how long one try may take: a tunnel may have died.
	findTry = 4 * time.Second
	// Where the client tunnels of the i2pd newcomer listen: fixedPort leads to
	// a site of ours and shortPort to one of i2pd.
	fixedPort = 4481
	shortPort = 4482
)

// testNewcomers starts a router of each kind that has never heard of any of
// ours. Both publish a site, which everybody has to find soon. The tunnels of
// both are confined to chosen routers: those of the i2pd must pass two of
// ours, and those of ours two i2pds and one of ours.
func testNewcomers(t *testing.T, n *testNet) {
	theirs, mine := n.i2pd(newcomer), n.allium(oursNewcomer)
	near, far := n.hash(t, oursHosting), n.hash(t, oursHosting+1)
	between := n.hash(t, 1)
	site, err := n.router(oursHosting + 2).site()
	if err != nil {
		t.Fatal(err)
	}
	other, err := n.i2pd(hosting).site()
	if err != nil {
		t.Fatal(err)
	}
	// The far end is ours: as endpoint i2pd 2.45.1 keeps back the answer to a
	// build if it is the gateway of the way back as well.
	theirs.tunnels = append(theirs.tunnels,
		i2pdTunnel{name: "fixed", port: fixedPort, destination: site, inbound: 3, outbound: 3, peers: []data.Hash{near, between, far}},
		i2pdTunnel{name: "short", port: shortPort, destination: other, inbound: 1, outbound: 1, peers: []data.Hash{near}})
	mine.peers = []data.Hash{between, n.hash(t, 2), near, far}
	for _, r := range []router{theirs, mine} {
		if err := r.run(); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range []router{theirs, mine} {
		t.Run(fmt.Sprintf("LeaseSetOf%d", r.number()), func(t *testing.T) {
			t.Parallel()
			testFound(t, n, r)
		})
	}
}

// hash is the hash of a router.
func (n *testNet) hash(t *testing.T, num int) data.Hash {
	t.Helper()
	info, err := n.router(num).routerInfo()
	if err != nil {
		t.Fatal(err)
	}
	return info.Hash()
}

// testFound waits until the LeaseSet of a site is published: one of the i2pd
// floodfills has it, as some must whichever floodfill got it first. Then all
// routers with a proxy have to find it.
func testFound(t *testing.T, n *testNet, host router) {
	site := n.sites(t, host.number())[host.number()]
	eventually(t, "LeaseSet of "+host.name()+" is published", readyLimit, func() (bool, string) {
		for _, r := range n.i2pds[:i2pdFloodfills] {
			if has, err := published(r.console(), site[len("http://"):]); err == nil && has {
				return true, "at " + r.name()
			}
		}
		return false, "nowhere"
	})
	seekers := []int{hosting, hosting + 1, hosting + 2, oursHosting, oursHosting + 1, oursHosting + 2}
	finds := make([]outcome, len(seekers))
	var finding sync.WaitGroup
	for i, num := range seekers {
		finding.Go(func() {
			finds[i] = insist(httpProxy(num), site+"/", []byte(greeting(host.name())), findTry, findLimit)
		})
	}
	finding.Wait()
	for i, o := range finds {
		name := n.router(seekers[i]).name()
		o.check(t, name)
		if o.took > findLimit {
			t.Errorf("%s has found it after %v", name, o.took)
		}
	}
}
