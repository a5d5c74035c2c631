package query_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb"
	"allium/internal/random"
)

// gang makes floodfills work together: they confirm all stores and keep
// nothing, and to whoever asks they name only each other.
func gang(all []*node) {
	var names []data.Hash
	for _, x := range all {
		names = append(names, x.hash)
	}
	for _, x := range all {
		x.lie()
		lie := x.lies
		x.lies = func(r *host.Round, m i2np.Message) {
			if m.Type == i2np.TypeDatabaseLookup {
				x.deny(r, m, names)
				return
			}
			lie(r, m)
		}
	}
}

// percentile is how long the slowest but so many of a hundred took.
func percentile(all []time.Duration, of int) time.Duration {
	slices.Sort(all)
	return all[min(len(all)*of/100, len(all)-1)]
}

// trial is how often somebody looks for something.
type trial struct {
	found, failed int
	took          []time.Duration
}

func (tr *trial) String() string {
	return fmt.Sprintf("%d of %d found, half of them in %v, 95 of 100 in %v", tr.found, tr.found+tr.failed, percentile(tr.took, 50), percentile(tr.took, 95))
}

func (tr *trial) look(n *network, c *context, key data.Hash) {
	begun := n.w.Now()
	if n.wait(c.leaseSet(key), time.Minute).err == nil {
		tr.found++
	} else {
		tr.failed++
	}
	tr.took = append(tr.took, n.w.Now().Sub(begun))
}

func (tr *trial) atLeast95(t *testing.T) {
	t.Helper()
	if tr.found*100 < 95*(tr.found+tr.failed) {
		t.Error(tr)
	}
	t.Log(tr)
}

// eclipse is attack A6: the eight floodfills closest to a key are hostile.
// Half of those that look for what belongs there do so at once, the others
// later.
func eclipse(t *testing.T, seed uint64, name func(d data.Hash, gang []*node)) (soon, later trial) {
	n := newNetwork(t, seed, 48, 5)
	n.knowAll(n.nodes...)
	d := newDestination(t)
	server := n.nodes[48].start().open(nil)
	name(d.hash(), n.closest(server.node, d.hash(), 8))
	server.publish(d.leaseSet(t, n.w.Now()))
	for i, x := range n.nodes[49:] {
		if i < 2 {
			n.w.Run(time.Second)
			soon.look(n, x.start().open(nil), d.hash())
			continue
		}
		n.w.Run(10 * time.Second)
		later.look(n, x.start().open(nil), d.hash())
	}
	if server.node.queries.Status().Caught == 0 {
		t.Error("nobody was caught")
	}
	return soon, later
}

func (tr *trial) add(other trial) {
	tr.found += other.found
	tr.failed += other.failed
	tr.took = append(tr.took, other.took...)
}

func TestEclipsedLeaseSetsAreFound(t *testing.T) {
	var soon, later trial
	for seed := range uint64(5) {
		a, b := eclipse(t, 100+seed, func(_ data.Hash, all []*node) { gang(all) })
		soon.add(a)
		later.add(b)
	}
	soon.atLeast95(t)
	later.atLeast95(t)
}

// Here the hostile floodfills name honest ones, only not those nearby.
func TestEclipseByPoliteLiars(t *testing.T) {
	var soon, later trial
	for seed := range uint64(5) {
		a, b := eclipse(t, 150+seed, func(_ data.Hash, all []*node) {
			for _, x := range all {
				x.lie()
				lie := x.lies
				x.lies = func(r *host.Round, m i2np.Message) {
					if m.Type != i2np.TypeDatabaseLookup {
						lie(r, m)
						return
					}
					var far []data.Hash
					for range 3 {
						far = append(far, x.n.nodes[random.IntN(48)].hash)
					}
					x.deny(r, m, far)
				}
			}
		})
		soon.add(a)
		later.add(b)
	}
	soon.atLeast95(t)
	later.atLeast95(t)
}

// Hashes that were made to be close to a key are too many there, and that is
// seen before anybody is asked.
func TestFloodfillsMadeToSurroundAKeyAreNoticed(t *testing.T) {
	n := newNetwork(t, 160, 40, 2)
	d := newDestination(t)
	place := netdb.RoutingKey(d.hash(), n.w.Now())
	var hostile []*node
	for i := range 8 {
		hostile = append(hostile, n.addWhere(50+i, true, func(h data.Hash) bool { return place.XOR(h)[0] < 4 }))
	}
	gang(hostile)
	n.knowAll(n.nodes[:42]...)
	server, asker := n.nodes[40].start().open(nil), n.nodes[41].start().open(nil)
	eclipses := func(c *context) uint64 { return c.node.queries.Status().Eclipses }
	for range 60 {
		n.w.Run(2 * time.Second)
		asker.node.open(nil).leaseSet(newDestination(t).hash())
	}
	n.w.Run(time.Minute)
	if n := eclipses(asker); n != 0 {
		t.Errorf("noticed %d times where there is nothing", n)
	}
	n.knowAll(n.nodes...)
	server.publish(d.leaseSet(t, n.w.Now()))
	n.w.Run(time.Second)
	if res := n.wait(asker.leaseSet(d.hash()), time.Minute); res.err != nil {
		t.Error(res.err)
	}
	if eclipses(asker) == 0 {
		t.Error("not noticed")
	}
}

// Liars that are found out are the last choice within ten minutes, and nobody
// else is.
func TestLiarsAreCaughtInTenMinutes(t *testing.T) {
	n := newNetwork(t, 170, 40, 1)
	n.knowAll(n.nodes...)
	for _, ff := range n.nodes[:12] {
		ff.lie()
	}
	server := n.nodes[40].start().open(nil)
	for range 120 {
		server.publish(newDestination(t).leaseSet(t, n.w.Now()))
		n.w.Run(5 * time.Second)
	}
	if caught := server.node.queries.Status().Caught; caught < 11 || caught > 12 {
		t.Errorf("%d of 12 caught", caught)
	}
	asked := 0
	for _, ff := range n.nodes[:12] {
		told := ff.lies
		ff.lies = func(r *host.Round, m i2np.Message) {
			if s, err := i2np.ParseDatabaseStore(m.Body); m.Type != i2np.TypeDatabaseStore || err == nil && s.ReplyToken != 0 {
				asked++ // not by others, who flood to it
			}
			told(r, m)
		}
	}
	for range 10 {
		server.publish(newDestination(t).leaseSet(t, n.w.Now()))
		n.w.Run(10 * time.Second)
	}
	if asked > 5 {
		t.Errorf("told or asked %d times afterwards", asked)
	}
}

// Attack A2: three of four that claim to be floodfills are nobody.
func TestFakeFloodfills(t *testing.T) {
	var tr trial
	for seed := range uint64(2) {
		n := newNetwork(t, 200+seed, 160, 4)
		n.knowAll(n.nodes[160:]...)
		for i, ff := range n.nodes[:160] {
			ff.dead = i%4 != 0
			for _, x := range n.nodes[160:] {
				n.know(x, ff)
			}
			for j := 0; j < 160 && !ff.dead; j++ {
				n.know(ff, n.nodes[j])
			}
		}
		server := n.nodes[160].start().open(nil)
		for range 10 {
			d := newDestination(t)
			server.publish(d.leaseSet(t, n.w.Now()))
			n.w.Run(30 * time.Second)
			for _, x := range n.nodes[161:] {
				tr.look(n, x.start().open(nil), d.hash())
			}
		}
	}
	tr.atLeast95(t)
}

// Attack A9: three of ten floodfills confirm what they do not keep, and deny,
// or do not answer, or answer too late.
func TestLyingFloodfills(t *testing.T) {
	var tr trial
	for seed := range uint64(3) {
		n := newNetwork(t, 300+seed, 40, 4)
		n.knowAll(n.nodes...)
		for i, ff := range n.nodes[:12] {
			ff.lie()
			switch lie := ff.lies; i % 3 {
			case 1:
				ff.lies = func(r *host.Round, m i2np.Message) {
					if m.Type == i2np.TypeDatabaseStore {
						lie(r, m)
					}
				}
			case 2:
				ff.lies = func(r *host.Round, m i2np.Message) {
					m.Body = slices.Clone(m.Body)
					ff.h.AfterFunc(4*time.Second, func(r *host.Round) { lie(r, m) })
				}
			}
		}
		server := n.nodes[40].start().open(nil)
		for range 10 {
			d := newDestination(t)
			server.publish(d.leaseSet(t, n.w.Now()))
			n.w.Run(20 * time.Second)
			for _, x := range n.nodes[41:] {
				tr.look(n, x.start().open(nil), d.hash())
			}
		}
	}
	tr.atLeast95(t)
	if slow := percentile(tr.took, 95); slow > 3*time.Second {
		t.Errorf("takes up to %v", slow)
	}
}

// A network that was cut in two is whole again: those that could not be reached
// for a while are asked again, though others answer.
func TestWhoCouldNotBeReachedIsNotForgotten(t *testing.T) {
	n := newNetwork(t, 180, 100, 2)
	n.knowAll(n.nodes...)
	here, there := n.nodes[:50], n.nodes[50:100]
	server, asker := n.nodes[100].start(), n.nodes[101].start()
	cut := func(away []*node, dead bool) {
		for _, ff := range away {
			ff.dead = dead
		}
	}
	cut(there, true)
	for range 120 {
		server.open(nil).publish(newDestination(t).leaseSet(t, n.w.Now()))
		n.w.Run(5 * time.Second)
	}
	cut(there, false)
	cut(here, true)
	for range 120 {
		asker.open(nil).leaseSet(newDestination(t).hash())
		n.w.Run(5 * time.Second)
	}
	cut(here, false)
	var tr trial
	for range 20 {
		d := newDestination(t)
		server.open(nil).publish(d.leaseSet(t, n.w.Now()))
		n.w.Run(15 * time.Second)
		tr.look(n, asker.open(nil), d.hash())
	}
	tr.atLeast95(t)
}
