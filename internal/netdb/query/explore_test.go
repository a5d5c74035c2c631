package query_test

import (
	"testing"
	"time"

	"allium/internal/i2np"
)

// Who was off for hours knows many routers by what they said then, and has
// them looked up before they are dialled in vain.
func TestOldRouterInfosAreLookedUpAtTheStart(t *testing.T) {
	n := newNetwork(t, 31, 12, 8)
	x, others := n.nodes[19], n.nodes[:19]
	n.knowAll(n.nodes...)
	met := n.nodes[12]
	x.db.Reached(n.w.Now(), met.hash)
	n.w.Run(3 * time.Hour)
	for i, other := range others {
		other.sign(i < 12)
	}
	n.knowAll(others...)
	x.start()
	n.w.Run(2 * time.Minute)
	fresh := func(y *node) bool { return x.db.RouterInfo(y.hash).Published().Equal(y.info.Published()) }
	for i, ff := range n.nodes[:12] {
		if !fresh(ff) {
			t.Errorf("floodfill %d is outdated", i)
		}
	}
	if !fresh(met) {
		t.Error("a router we met is outdated")
	}
	if sent := x.lookups(); sent > 60 {
		t.Errorf("%d lookups", sent)
	}
	n.w.Run(10 * time.Minute)
	before := x.lookups()
	n.w.Run(10 * time.Minute)
	if n := x.lookups() - before; n > 200 {
		t.Errorf("%d lookups in ten minutes afterwards", n)
	}
}

// lookups is how many a node has sent: sealed, or directly.
func (x *node) lookups() int { return x.sent[i2np.TypeGarlic] + x.sent[i2np.TypeDatabaseLookup] }

func TestTheMoreAreKnownTheLessIsExplored(t *testing.T) {
	n := newNetwork(t, 32, 4, 0) // floodfills, who do not know the others
	n.knowAll(n.nodes...)
	n.cfg.ManyRouters = 10
	var sent []int
	for _, known := range []int{0, 10, 100} {
		x := n.add(len(n.nodes), false)
		for _, ff := range n.nodes[:4] {
			n.know(x, ff)
		}
		for range known {
			n.know(x, n.add(len(n.nodes), false))
		}
		x.start()
		n.w.Run(50 * time.Minute)
		sent = append(sent, x.lookups())
		if s := x.queries.Status(); s.NothingNew == 0 {
			t.Errorf("%+v after %d lookups that brought nothing", s, x.lookups())
		}
	}
	if sent[0] < 150 || sent[1] > 30 || sent[2] > 10 || sent[2] == 0 {
		t.Errorf("sent %v lookups", sent)
	}
}
