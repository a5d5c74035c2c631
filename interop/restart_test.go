//go:build interop

package interop

import (
	"fmt"
	"sync"
	"testing"
)

const (
	// betweenRestarts is how many pages must come before the next router
	// restarts.
	betweenRestarts = 2
	// restartPatience is how long a page may take then: i2pd finds out late
	// which of its tunnels have ended with the router.
	restartPatience = 2 * pageLimit
)

// testRestarts restarts routers of both kinds, hops and hosts, while pages are
// fetched. All have to come, sooner or later. Nobody gets any RouterInfo from
// us: who starts again knows the network from before.
func testRestarts(t *testing.T, n *testNet) {
	sites := n.sites(t, hosting, hosting+2, oursHosting, oursHosting+2)
	var readers []*reader
	for _, way := range [][2]int{{hosting + 2, oursHosting + 2}, {oursHosting + 2, hosting + 2}, {oursHosting + 2, oursHosting}, {oursHosting + 2, hosting}} {
		readers = append(readers, &reader{
			proxy: httpProxy(way[0]), page: sites[way[1]] + "/", want: []byte(greeting(n.router(way[1]).name())), patience: restartPatience,
		})
	}
	done := make(chan struct{})
	var reading sync.WaitGroup
	for _, r := range readers {
		reading.Go(func() { r.read(done, readPause/5) })
	}
	// A floodfill of either kind that carries tunnels, and a host of either.
	for _, num := range []int{1, oursHosting + 1, hosting, oursHosting} {
		n.restartAmong(t, num, readers)
	}
	close(done)
	reading.Wait()
	for _, r := range readers {
		pages, worst, lost := r.state()
		t.Logf("from %s %s: %d pages, the slowest %v", r.proxy, r.page, pages, worst)
		if lost != nil {
			t.Errorf("from %s %s: a page is lost: %v", r.proxy, r.page, lost)
		}
	}
	// An i2pd that has visited a site before sends to its old tunnels as long
	// as they would have lasted. This one has not.
	visit(t, httpProxy(newcomer), sites[oursHosting], n.router(oursHosting).name())
}

// restartAmong restarts a router and waits until each reader has got some more
// pages. One of ours has to know the network at once.
func (n *testNet) restartAmong(t *testing.T, num int, readers []*reader) {
	t.Helper()
	r := n.router(num)
	var before status
	var err error
	if num > i2pds {
		if before, err = n.allium(num).status(); err != nil {
			t.Fatal(err)
		}
	}
	n.restart(t, r)
	if num > i2pds {
		n.remembers(t, n.allium(num), before)
	}
	eventually(t, r.name()+" has tunnels again", readyLimit, r.ready)
	var have []int
	for _, reader := range readers {
		pages, _, _ := reader.state()
		have = append(have, pages)
	}
	eventually(t, fmt.Sprintf("pages come with %s", r.name()), restartPatience, func() (bool, string) {
		least := betweenRestarts
		for i, reader := range readers {
			pages, _, lost := reader.state()
			if lost != nil {
				return true, "a page is lost"
			}
			least = min(least, pages-have[i])
		}
		return least >= betweenRestarts, fmt.Sprintf("%d at least", least)
	})
}

// remembers checks that one of ours knows the network as soon as it says
// anything.
func (n *testNet) remembers(t *testing.T, a *alliumRouter, before status) {
	t.Helper()
	eventually(t, a.name()+" knows the network", identityLimit, func() (bool, string) {
		now, err := a.status()
		if err != nil {
			return false, err.Error()
		}
		if now.Known.Routers < before.Known.Routers {
			t.Errorf("%s knew %d routers and knows %d", a.name(), before.Known.Routers, now.Known.Routers)
		}
		return true, fmt.Sprintf("%d routers, and %d before", now.Known.Routers, before.Known.Routers)
	})
}
