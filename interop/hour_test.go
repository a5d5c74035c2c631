//go:build interop

package interop

import (
	"flag"
	"sync"
	"testing"
	"time"
)

var hour = flag.Duration("hour", 0, "how long the test of endurance runs, such as 1h; without, it is left out")

const (
	// readPause is between two pages, whoever reads them, and sampleEvery
	// between two looks at the memory.
	readPause   = time.Second
	sampleEvery = 15 * time.Second
	// settled is the part of the time after which memory must not grow any
	// more, and growth by how many MB in an hour it may.
	settled = 0.4
	growth  = 4.0
)

// TestHour reads pages for an hour or so: from every site through every proxy,
// about one in a second. None may be lost, no session may end for a reason
// of the protocol, and the memory of ours must stay as it is.
func TestHour(t *testing.T) {
	if *hour == 0 {
		t.Skip("no -args -hour")
	}
	n := startNetwork(t)
	nums := []int{hosting, hosting + 1, hosting + 2, oursHosting, oursHosting + 1, oursHosting + 2, newcomer, oursNewcomer}
	for _, r := range []router{n.router(newcomer), n.router(oursNewcomer)} {
		if err := r.run(); err != nil {
			t.Fatal(err)
		}
	}
	n.ready(t)
	sites := n.sites(t, nums...)
	var readers []*reader
	for _, from := range nums {
		for _, of := range nums {
			// Those of i2pd among themselves show what the network can do.
			if from != of {
				readers = append(readers, &reader{proxy: httpProxy(from), page: sites[of] + "/body", want: body(n.router(of).name()), patience: pageLimit, from: from, of: of})
			}
		}
	}
	done := make(chan struct{})
	var reading sync.WaitGroup
	for _, r := range readers {
		reading.Go(func() { r.read(done, readPause*time.Duration(len(readers))) })
	}
	memory := n.watch(t)
	close(done)
	reading.Wait()
	total, slow := 0, 0
	for _, r := range readers {
		pages, worst, lost := r.state()
		total, slow = total+pages, slow+r.slow
		t.Logf("from %s of %s: %d pages, %d took more than %v, the slowest %v",
			n.router(r.from).name(), n.router(r.of).name(), pages, r.slow, slowPage, worst)
		if lost != nil && (r.from > i2pds || r.of > i2pds) {
			t.Errorf("from %s of %s: a page is lost: %v", n.router(r.from).name(), n.router(r.of).name(), lost)
		}
	}
	t.Logf("%d pages of %d bytes, %d slow ones", total, bodySize, slow)
	for i, a := range n.ours {
		s := memory[i]
		from := time.Duration(settled * float64(*hour))
		t.Logf("%s: %.1f MB resident at the end, growth after %v: %.2f MB an hour", a.name(), s.last(), from, s.slope(from))
		if s.slope(from) > growth {
			t.Errorf("the memory of %s grows: %.1f", a.name(), s.value)
		}
	}
	testTests(t, n)
	testBuilds(t, n, minBuilt)
	testHealth(t, n)
}

// watch looks at the memory of ours until the time is over.
func (n *testNet) watch(t *testing.T) []*series {
	t.Helper()
	memory := make([]*series, len(n.ours))
	for i := range memory {
		memory[i] = new(series)
	}
	for begin, told := time.Now(), time.Now(); time.Since(begin) < *hour; time.Sleep(sampleEvery) {
		if err := n.check(); err != nil {
			t.Fatal(err)
		}
		for i, a := range n.ours {
			mb, err := a.memory()
			if err != nil {
				t.Fatal(err)
			}
			memory[i].add(time.Since(begin), mb)
		}
		if time.Since(told) > 5*time.Minute {
			told = time.Now()
			for i, a := range n.ours {
				s, err := a.status()
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%v: %s: %.1f MB, %d builds and %d failed, sessions ended: %v",
					time.Since(begin).Round(time.Second), a.name(), memory[i].last(), s.Builds.Built, s.Builds.Failed, s.Peers.Ended)
			}
		}
	}
	return memory
}
