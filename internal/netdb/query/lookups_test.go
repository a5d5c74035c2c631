package query_test

import (
	"errors"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb"
	"allium/internal/netdb/query"
	"allium/internal/sim"
)

func TestRouterInfoIsFoundAndKept(t *testing.T) {
	n := newNetwork(t, 1, 6, 2)
	n.knowAll(n.nodes[:6]...)
	asker, wanted := n.nodes[6].start(), n.nodes[7]
	n.know(asker, n.nodes[0])
	n.know(asker, n.nodes[1])
	for _, ff := range n.nodes[:6] {
		n.know(ff, wanted)
	}
	if res := n.wait(asker.routerInfo(wanted.hash), time.Minute); res.err != nil || res.ri.Hash() != wanted.hash {
		t.Fatal(res.err)
	}
	if asker.db.RouterInfo(wanted.hash) == nil {
		t.Error("not kept")
	}
	// Lookups are sealed, and answers come through a tunnel.
	if asker.sent[i2np.TypeGarlic] == 0 || asker.sent[i2np.TypeDatabaseLookup] != 0 || asker.own.took == 0 {
		t.Errorf("sent %v, took %d", asker.sent, asker.own.took)
	}
	// What is known is not asked for.
	sent := asker.sent[i2np.TypeGarlic]
	if res := asker.routerInfo(wanted.hash); res.calls != 1 || asker.sent[i2np.TypeGarlic] != sent {
		t.Error("asked again")
	}
}

func TestSearchEndsWhenTheRouterInfoComesFromElsewhere(t *testing.T) {
	n := newNetwork(t, 17, 1, 2)
	x, wanted := n.nodes[1].start(), n.nodes[2]
	n.know(x, n.nodes[0])
	n.nodes[0].dead = true
	res := x.routerInfo(wanted.hash)
	n.w.Run(time.Second)
	n.know(x, wanted)
	if n.wait(res, time.Second); res.err != nil || res.ri != wanted.info {
		t.Error(res.err)
	}
}

// Who publishes while we search has not answered us, and wants his answer.
func TestStoreWithTokenIsNoAnswer(t *testing.T) {
	n := newNetwork(t, 18, 1, 1)
	n.knowAll(n.nodes...)
	n.nodes[0].dead = true
	c := n.nodes[1].start().open(nil)
	d := newDestination(t)
	c.leaseSet(d.hash())
	s := i2np.DatabaseStore{Key: d.hash(), Type: i2np.StoreLeaseSet2, ReplyToken: 1, Data: d.leaseSet(t, n.w.Now()).Bytes()}
	c.node.h.Do(func(r *host.Round) {
		if c.Handle(r, data.Hash{}, i2np.Message{Type: i2np.TypeDatabaseStore, Body: s.Append(nil)}) {
			t.Error("taken")
		}
	})
}

func TestSearchFollowsFloodfillsItHearsOf(t *testing.T) {
	n := newNetwork(t, 2, 8, 1)
	n.knowAll(n.nodes[:8]...)
	d := newDestination(t)
	asker := n.nodes[8].start()
	for _, x := range n.nodes[:8] {
		n.know(asker, x)
	}
	holder := n.closest(asker, d.hash(), 1)[0]
	if _, err := holder.published.Add(n.w.Now(), d.leaseSet(t, n.w.Now()), netdb.Published); err != nil {
		t.Fatal(err)
	}
	// Now it knows all but the one that has it and those near.
	for _, x := range n.closest(asker, d.hash(), 6) {
		asker.db.Remove(x.hash)
	}
	c := asker.open(nil)
	if res := n.wait(c.leaseSet(d.hash()), time.Minute); res.err != nil {
		t.Fatal(res.err)
	}
	if asker.db.RouterInfo(holder.hash) == nil {
		t.Error("found without knowing whom to ask")
	}
}

func TestSearchesForOneKeyAreOne(t *testing.T) {
	n := newNetwork(t, 3, 4, 1)
	n.knowAll(n.nodes...)
	c := n.nodes[4].start().open(nil)
	d := newDestination(t)
	first, second := c.leaseSet(d.hash()), c.leaseSet(d.hash())
	if s := c.node.queries.Status(); s.Searches != 1 {
		t.Errorf("%d searches", s.Searches)
	}
	n.wait(first, time.Minute)
	n.wait(second, time.Minute)
	if !errors.Is(first.err, query.ErrNotFound) || !errors.Is(second.err, query.ErrNotFound) {
		t.Error(first.err, second.err)
	}
}

func TestAbsentKeyIsNotAskedForAgainAndAgain(t *testing.T) {
	n := newNetwork(t, 4, 4, 1)
	n.knowAll(n.nodes...)
	c := n.nodes[4].start().open(nil)
	d := newDestination(t)
	for range 3 {
		n.wait(c.leaseSet(d.hash()), time.Minute)
	}
	if res := c.leaseSet(d.hash()); res.calls != 1 || !errors.Is(res.err, query.ErrNotFound) {
		t.Error("asked a fourth time")
	}
	// Another context has nothing to do with it.
	if res := n.nodes[4].open(nil).leaseSet(d.hash()); res.calls != 0 {
		t.Error("contexts share what they did not find")
	}
	// Somebody who asks every second makes a search within every half minute.
	for range 3 {
		searched := false
		for range 31 {
			n.w.Run(time.Second)
			res := c.leaseSet(d.hash())
			searched = searched || res.calls == 0
			n.wait(res, time.Minute)
		}
		if !searched {
			t.Error("absent for more than half a minute")
		}
	}
}

func TestNothingToAskFailsAtOnce(t *testing.T) {
	n := newNetwork(t, 5, 0, 2)
	n.knowAll(n.nodes...)
	x := n.nodes[0]
	if res := x.routerInfo(data.HashOf([]byte("x"))); res.err != query.ErrClosed {
		t.Error("before Start:", res.err)
	}
	x.start()
	if res := x.routerInfo(data.HashOf([]byte("x"))); res.err != query.ErrNoFloodfills {
		t.Error(res.err)
	}
}

func TestDestinationWaitsForItsTunnels(t *testing.T) {
	n := newNetwork(t, 6, 1, 1)
	n.knowAll(n.nodes...)
	x := n.nodes[1].start()
	n.nodes[0].dead = true // nobody builds a tunnel
	c := x.open(x.own.pool)
	before := x.sent[i2np.TypeGarlic]
	if res := n.wait(c.leaseSet(data.HashOf([]byte("x"))), time.Minute); res.err != query.ErrNoTunnels {
		t.Error(res.err)
	}
	if x.sent[i2np.TypeDatabaseLookup] != 0 {
		t.Error("a Destination's lookup went without a tunnel", before)
	}
}

func TestCloseTellsEverybody(t *testing.T) {
	n := newNetwork(t, 7, 3, 1)
	n.knowAll(n.nodes...)
	x := n.nodes[3].start()
	c, other := x.open(nil), x.open(nil)
	d := newDestination(t)
	asked, published, others := c.leaseSet(d.hash()), c.publish(d.leaseSet(t, n.w.Now())), other.leaseSet(d.hash())
	x.h.Do(c.Close)
	if asked.err != query.ErrClosed || published.err != query.ErrClosed || others.calls != 0 {
		t.Error(asked.err, published.err, others.calls)
	}
	if res := c.leaseSet(d.hash()); res.err != query.ErrClosed {
		t.Error("closed context asks")
	}
	ri := x.routerInfo(d.hash())
	x.h.Do(x.queries.Close)
	if others.err != query.ErrClosed || ri.err != query.ErrClosed {
		t.Error(others.err, ri.err)
	}
	if s := x.queries.Status(); s != (query.Status{}) {
		t.Error(s)
	}
	sent := x.sent[i2np.TypeGarlic]
	n.w.Run(10 * time.Minute)
	if x.sent[i2np.TypeGarlic] > sent {
		t.Error("asks after Close")
	}
}

func TestLookupsAreBounded(t *testing.T) {
	n := newNetwork(t, 8, 2, 1)
	n.knowAll(n.nodes...)
	c := n.nodes[2].start().open(nil)
	busy := 0
	for i := range 1000 {
		if res := c.leaseSet(data.HashOf([]byte{byte(i), byte(i >> 8)})); res.err == query.ErrBusy {
			busy++
		}
	}
	if s := c.node.queries.Status(); s.Searches > 200 || busy+s.Searches != 1000 {
		t.Errorf("%d searches, %d refused", s.Searches, busy)
	}
}

// A floodfill that names routers that do not exist costs a few lookups.
func TestNamedRoutersAreFollowedInBounds(t *testing.T) {
	n := newNetwork(t, 9, 3, 1)
	n.knowAll(n.nodes...)
	c := n.nodes[3].start().open(nil)
	for _, ff := range n.nodes[:3] {
		ff.lies = func(r *host.Round, m i2np.Message) {
			var bogus []data.Hash
			for i := range 255 {
				bogus = append(bogus, data.HashOf([]byte{byte(i), byte(m.ID)}))
			}
			ff.deny(r, m, bogus)
		}
	}
	before := n.nodes[3].sent[i2np.TypeGarlic]
	if res := n.wait(c.leaseSet(data.HashOf([]byte("x"))), time.Minute); res.err != query.ErrNotFound {
		t.Error(res.err)
	}
	n.w.Run(10 * time.Second)
	if asked := n.nodes[3].sent[i2np.TypeGarlic] - before; asked > 3+8*3 {
		t.Errorf("asked %d times", asked)
	}
}

func TestLossAndDeadAndLyingFloodfillsHardlyMatter(t *testing.T) {
	const count = 60
	n := newNetwork(t, 10, 40, 2)
	n.knowAll(n.nodes...)
	n.loss = 10
	for i, ff := range n.nodes[:40] {
		switch i % 10 {
		case 0, 1, 2:
			ff.lie()
		case 3:
			ff.dead = true
		}
	}
	server, asker := n.nodes[40].start().open(nil), n.nodes[41].start()
	published, found := 0, 0
	for range count {
		d := newDestination(t)
		if n.wait(server.publish(d.leaseSet(t, n.w.Now())), 5*time.Minute).err == nil {
			published++
		}
		if n.wait(asker.open(nil).leaseSet(d.hash()), time.Minute).err == nil {
			found++
		}
	}
	if published < count*95/100 || found < count*95/100 {
		t.Errorf("of %d, %d published, %d found", count, published, found)
	}
}

// All of the closest floodfills belong to somebody who wants a Destination
// not to be found.
func TestEclipsedLeaseSetIsFoundBeyond(t *testing.T) {
	n := newNetwork(t, 11, 30, 2)
	n.knowAll(n.nodes...)
	d := newDestination(t)
	server, asker := n.nodes[30].start().open(nil), n.nodes[31].start().open(nil)
	for _, ff := range n.closest(n.nodes[30], d.hash(), 6) {
		ff.lie()
	}
	if res := n.wait(server.publish(d.leaseSet(t, n.w.Now())), 10*time.Minute); res.err != nil {
		t.Error("publish:", res.err)
	}
	if res := n.wait(asker.leaseSet(d.hash()), time.Minute); res.err != nil {
		t.Error("look up:", res.err)
	}
}

func TestForgedAndStrangeAnswersAreNotTaken(t *testing.T) {
	n := newNetwork(t, 12, 1, 1)
	n.knowAll(n.nodes...)
	c := n.nodes[1].start().open(nil)
	wanted, other := newDestination(t), newDestination(t)
	n.nodes[0].lies = func(*host.Round, i2np.Message) {} // silent
	res := c.leaseSet(wanted.hash())
	give := func(key data.Hash, ls data.LeaseSetEntry, edit func([]byte)) (took bool) {
		b := append([]byte(nil), ls.Bytes()...)
		if edit != nil {
			edit(b)
		}
		s := i2np.DatabaseStore{Key: key, Type: i2np.StoreType(ls.Type()), Data: b}
		c.node.h.Do(func(r *host.Round) {
			took = c.Handle(r, data.Hash{}, i2np.Message{Type: i2np.TypeDatabaseStore, Body: s.Append(nil)})
		})
		n.w.Run(time.Second)
		return took
	}
	theirs := other.leaseSet(t, n.w.Now())
	if give(other.hash(), theirs, nil) || c.leaseSets.Len() != 0 {
		t.Error("took a LeaseSet that was not asked for")
	}
	if give(wanted.hash(), theirs, nil); res.calls != 0 || c.leaseSets.Len() != 0 {
		t.Error("took a LeaseSet of another key")
	}
	mine := wanted.leaseSet(t, n.w.Now())
	if give(wanted.hash(), mine, func(b []byte) { b[len(b)-1] ^= 1 }); res.calls != 0 || c.leaseSets.Len() != 0 {
		t.Error("took a LeaseSet with a wrong signature")
	}
	// A reply in the name of somebody who was not asked changes nothing.
	reply := i2np.DatabaseSearchReply{Key: wanted.hash(), From: other.hash()}
	c.node.h.Do(func(r *host.Round) {
		c.Handle(r, data.Hash{}, i2np.Message{Type: i2np.TypeDatabaseSearchReply, Body: reply.Append(nil)})
	})
	// Nor does one that another router sends than the one it names.
	reply.From = n.nodes[0].hash
	c.node.h.Do(func(r *host.Round) {
		c.Handle(r, other.hash(), i2np.Message{Type: i2np.TypeDatabaseSearchReply, Body: reply.Append(nil)})
	})
	if res.calls != 0 {
		t.Error("search ended by a stranger")
	}
	if !give(wanted.hash(), mine, nil) || res.err != nil || res.ls == nil {
		t.Error("right answer not taken", res.err)
	}
}

// What one Destination asks and gets, nobody else sees (pain A10).
func TestContextsAreSeparate(t *testing.T) {
	n := newNetwork(t, 13, 6, 2)
	n.knowAll(n.nodes...)
	d := newDestination(t)
	server := n.nodes[6].start().open(nil)
	if res := n.wait(server.publish(d.leaseSet(t, n.w.Now())), time.Minute); res.err != nil {
		t.Fatal(res.err)
	}
	// A floodfill that was not told hosts a Destination that looks it up.
	var x *node
	for _, ff := range n.nodes[:6] {
		if ff.published.Len() == 0 {
			x = ff
		}
	}
	x.start()
	a, b := x.open(nil), x.open(nil)
	if res := n.wait(a.leaseSet(d.hash()), time.Minute); res.err != nil {
		t.Fatal(res.err)
	}
	if a.leaseSets.Len() != 1 || b.leaseSets.Len() != 0 || x.own.leaseSets.Len() != 0 || x.published.Len() != 0 {
		t.Error("found its way into another sub-database")
	}
	// An answer to a works for nobody else.
	a.leaseSet(newDestination(t).hash())
	other := newDestination(t)
	a.leaseSet(other.hash())
	s := i2np.DatabaseStore{Key: other.hash(), Type: i2np.StoreLeaseSet2, Data: other.leaseSet(t, n.w.Now()).Bytes()}
	x.h.Do(func(r *host.Round) {
		m := i2np.Message{Type: i2np.TypeDatabaseStore, Body: s.Append(nil)}
		if b.Handle(r, data.Hash{}, m) || x.own.Handle(r, data.Hash{}, m) {
			t.Error("another context took it")
		}
	})
}

func TestExplorationFindsRouters(t *testing.T) {
	n := newNetwork(t, 14, 5, 40)
	n.knowAll(n.nodes[:5]...)
	for _, ff := range n.nodes[:5] {
		for _, x := range n.nodes[6:] {
			n.know(ff, x)
		}
	}
	x := n.nodes[5]
	n.know(x, n.nodes[0])
	x.start()
	if !n.w.RunUntil(func() bool { return x.db.Len() > 35 && x.db.Floodfills() == 5 }, 20*time.Minute) {
		t.Errorf("knows %d routers, %d of them floodfills", x.db.Len(), x.db.Floodfills())
	}
}

func TestTheSameSeedGoesTheSameWay(t *testing.T) {
	sim.Twice(t, 15, sim.Config{}, func(w *sim.World) {
		n := buildNetwork(t, w, 12, 2)
		n.knowAll(n.nodes...)
		n.loss = 20
		d := newDestination(t)
		server, asker := n.nodes[12].start().open(nil), n.nodes[13].start().open(nil)
		server.publish(d.leaseSet(t, w.Now()))
		w.Run(3 * time.Second)
		asker.leaseSet(d.hash())
		w.Run(5 * time.Minute)
	})
}
