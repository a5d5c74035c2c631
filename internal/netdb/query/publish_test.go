package query_test

import (
	"slices"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb"
	"allium/internal/netdb/query"
	"allium/internal/sim"
)

// deny answers a lookup with a search reply.
func (x *node) deny(r *host.Round, m i2np.Message, peers []data.Hash) {
	l, err := i2np.ParseDatabaseLookup(m.Body)
	if err != nil || m.Type != i2np.TypeDatabaseLookup {
		return
	}
	reply := i2np.DatabaseSearchReply{Key: l.Key, From: x.hash, Peers: peers}
	x.answer(r, l.From, l.ReplyTunnel, i2np.Message{
		Type: i2np.TypeDatabaseSearchReply, ID: 1, Expiration: r.Now.Add(time.Minute), Body: reply.Append(nil),
	})
}

// lie makes a floodfill confirm stores without keeping anything.
func (x *node) lie() {
	x.lies = func(r *host.Round, m i2np.Message) {
		x.deny(r, m, nil)
		if s, err := i2np.ParseDatabaseStore(m.Body); err == nil && m.Type == i2np.TypeDatabaseStore && s.ReplyToken != 0 {
			status := i2np.DeliveryStatus{ID: s.ReplyToken}
			x.answer(r, s.ReplyGateway, s.ReplyTunnel, i2np.Message{
				Type: i2np.TypeDeliveryStatus, ID: 1, Expiration: r.Now.Add(time.Minute), Body: status.Append(nil),
			})
		}
	}
}

func (x *node) answer(r *host.Round, to data.Hash, id uint32, m i2np.Message) {
	if id != 0 {
		g := i2np.TunnelGateway{TunnelID: id, Message: m.AppendStandard(nil)}
		m.Type, m.Body = i2np.TypeTunnelGateway, g.Append(nil)
	}
	_ = x.send(r, to, m, 0)
}

func TestPublishedLeaseSetIsVerified(t *testing.T) {
	n := newNetwork(t, 1, 10, 1)
	n.knowAll(n.nodes...)
	c := n.nodes[10].start().open(nil)
	d := newDestination(t)
	begun := n.w.Now()
	if res := n.wait(c.publish(d.leaseSet(t, begun)), time.Minute); res.err != nil {
		t.Fatal(res.err)
	}
	if took := n.w.Now().Sub(begun); took < 5*time.Second || took > 12*time.Second {
		t.Error("took", took)
	}
	for _, ff := range n.closest(c.node, d.hash(), 4) {
		if ff.published.GetPublished(n.w.Now(), d.hash()) == nil {
			t.Error("a close floodfill does not have it")
		}
	}
	if c.leaseSets.Len() != 0 || c.node.sent[i2np.TypeDatabaseStore] != 0 {
		t.Error("kept its own LeaseSet, or sent it in the clear")
	}
}

func TestLiarsAreFoundOutAndPassedBy(t *testing.T) {
	n := newNetwork(t, 2, 10, 1)
	n.knowAll(n.nodes...)
	c := n.nodes[10].start().open(nil)
	d := newDestination(t)
	liars := n.closest(c.node, d.hash(), 2)
	for _, ff := range liars {
		ff.lie()
	}
	if res := n.wait(c.publish(d.leaseSet(t, n.w.Now())), 2*time.Minute); res.err != nil {
		t.Fatal(res.err)
	}
	held := 0
	for _, ff := range n.nodes[:10] {
		held += ff.published.Len()
	}
	if held < 2 {
		t.Errorf("%d floodfills have it", held)
	}
	for _, x := range liars {
		if s := c.node.profiles.LookupScore(n.w.Now(), x.hash); s > 0.6 {
			t.Errorf("a liar has score %v", s)
		}
	}
}

func TestOnlyTheContextThatPublishesTakesTheConfirmation(t *testing.T) {
	n := newNetwork(t, 9, 1, 1)
	n.knowAll(n.nodes...)
	x := n.nodes[1].start()
	c, other := x.open(nil), x.open(nil)
	var token uint32
	n.nodes[0].lies = func(_ *host.Round, m i2np.Message) {
		if s, err := i2np.ParseDatabaseStore(m.Body); err == nil {
			token = s.ReplyToken
		}
	}
	c.publish(newDestination(t).leaseSet(t, n.w.Now()))
	n.w.Run(time.Second)
	m := i2np.Message{Type: i2np.TypeDeliveryStatus, Body: i2np.DeliveryStatus{ID: token}.Append(nil)}
	x.h.Do(func(r *host.Round) {
		if token == 0 || other.Handle(r, data.Hash{}, m) || x.own.Handle(r, data.Hash{}, m) || !c.Handle(r, data.Hash{}, m) {
			t.Error("taken by another, or not at all")
		}
	})
}

func TestAllLiarsLeaveItUnverified(t *testing.T) {
	n := newNetwork(t, 3, 5, 1)
	n.knowAll(n.nodes...)
	c := n.nodes[5].start().open(nil)
	for _, ff := range n.nodes[:5] {
		ff.lie()
	}
	if res := n.wait(c.publish(newDestination(t).leaseSet(t, n.w.Now())), 10*time.Minute); res.err != query.ErrUnverified {
		t.Error(res.err)
	}
}

func TestPublishingGivesUpOnADeadNetwork(t *testing.T) {
	n := newNetwork(t, 4, 5, 1)
	n.knowAll(n.nodes...)
	c := n.nodes[5].start().open(nil)
	for _, ff := range n.nodes[:5] {
		ff.dead = true
	}
	if res := n.wait(c.publish(newDestination(t).leaseSet(t, n.w.Now())), 10*time.Minute); res.err != query.ErrNoAnswer {
		t.Error(res.err)
	}
}

func TestOneFloodfillIsANetworkToo(t *testing.T) {
	n := newNetwork(t, 5, 1, 2)
	n.knowAll(n.nodes...)
	n.loss = 20
	d := newDestination(t)
	if res := n.wait(n.nodes[1].start().open(nil).publish(d.leaseSet(t, n.w.Now())), 5*time.Minute); res.err != nil {
		t.Error(res.err)
	}
	if res := n.wait(n.nodes[2].start().open(nil).leaseSet(d.hash()), time.Minute); res.err != nil {
		t.Error(res.err)
	}
}

func TestNewerLeaseSetTakesThePlaceOfTheOlder(t *testing.T) {
	n := newNetwork(t, 6, 5, 1)
	n.knowAll(n.nodes...)
	c := n.nodes[5].start().open(nil)
	d := newDestination(t)
	first := c.publish(d.leaseSet(t, n.w.Now()))
	n.w.Run(8 * time.Second)
	newer := d.leaseSet(t, n.w.Now())
	second := c.publish(newer)
	if first.calls != 1 || first.err != query.ErrSuperseded && first.err != nil {
		t.Error(first.err)
	}
	if n.wait(second, time.Minute); second.err != nil {
		t.Error(second.err)
	}
	ff := n.closest(c.node, d.hash(), 1)[0]
	if got := ff.published.GetPublished(n.w.Now(), d.hash()); got == nil || !got.Published().Equal(newer.Published()) {
		t.Error("the older one is still there")
	}
}

func TestOwnRouterInfoReachesTheFloodfills(t *testing.T) {
	n := newNetwork(t, 7, 8, 1)
	n.knowAll(n.nodes[:8]...)
	x := n.nodes[8].start()
	for _, ff := range n.nodes[:8] {
		n.know(x, ff)
	}
	var told []error
	x.h.Do(func(r *host.Round) {
		x.queries.PublishRouter(r, x.info, func(_ *host.Round, err error) { told = append(told, err) })
	})
	if !n.w.RunUntil(func() bool { return x.queries.Status().Publications == 0 }, 10*time.Second) {
		t.Fatal("not confirmed")
	}
	if len(told) != 1 || told[0] != nil {
		t.Errorf("told %v", told)
	}
	n.w.Run(time.Second)
	for _, ff := range n.closest(x, x.hash, 4) {
		if ff.db.RouterInfo(x.hash) == nil {
			t.Error("a close floodfill does not know us")
		}
	}
}

func TestOwnRouterInfoThatNobodyTakesIsReported(t *testing.T) {
	n := newNetwork(t, 17, 4, 1)
	n.knowAll(n.nodes[:4]...)
	x := n.nodes[4].start()
	var told []error
	publish := func() {
		x.h.Do(func(r *host.Round) {
			x.queries.PublishRouter(r, x.info, func(_ *host.Round, err error) { told = append(told, err) })
		})
		n.w.RunUntil(func() bool { return x.queries.Status().Publications == 0 }, time.Minute)
	}
	publish()
	for _, ff := range n.nodes[:4] {
		n.know(x, ff)
		ff.dead = true
	}
	publish()
	x.h.Do(x.queries.Close)
	publish()
	want := []error{query.ErrNoFloodfills, query.ErrNoAnswer, query.ErrClosed}
	if !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

func TestShortlyBeforeMidnightTomorrowsFloodfillsGetItToo(t *testing.T) {
	w, midnight := sim.New(t, 8, sim.Config{}), sim.Start.Add(12*time.Hour)
	w.Run(midnight.Sub(w.Now()) - 5*time.Minute)
	n := buildNetwork(t, w, 30, 1)
	n.knowAll(n.nodes...)
	c := n.nodes[30].start().open(nil)
	d := newDestination(t)
	if res := n.wait(c.publish(d.leaseSet(t, n.w.Now())), time.Minute); res.err != nil {
		t.Fatal(res.err)
	}
	for _, ri := range c.node.db.ClosestTo(netdb.RoutingKey(d.hash(), midnight), 2, (*data.RouterInfo).Floodfill) {
		if n.by[ri.Hash()].published.Len() == 0 {
			t.Error("tomorrow's floodfill does not have it")
		}
	}
}

func FuzzHandle(f *testing.F) {
	key := data.HashOf([]byte("wanted"))
	f.Add(byte(i2np.TypeDatabaseStore), (&i2np.DatabaseStore{Key: key, Type: i2np.StoreLeaseSet2, Data: []byte("x")}).Append(nil))
	f.Add(byte(i2np.TypeDatabaseStore), (&i2np.DatabaseStore{Key: key, Data: []byte("gzip")}).Append(nil))
	f.Add(byte(i2np.TypeDatabaseSearchReply), (&i2np.DatabaseSearchReply{Key: key, Peers: []data.Hash{key}}).Append(nil))
	f.Add(byte(i2np.TypeDeliveryStatus), i2np.DeliveryStatus{ID: 1}.Append(nil))
	n := newNetwork(f, 16, 2, 1)
	n.knowAll(n.nodes...)
	n.nodes[0].dead, n.nodes[1].dead = true, true // so that searches last
	x := n.nodes[2].start()
	c := x.open(nil)
	f.Fuzz(func(t *testing.T, typ byte, body []byte) {
		c.leaseSet(key)
		x.routerInfo(key)
		x.h.Do(func(r *host.Round) {
			m := i2np.Message{Type: i2np.Type(typ), Body: body}
			c.Handle(r, data.Hash{}, m)
			x.own.Handle(r, data.Hash{}, m)
		})
		n.w.Run(time.Second)
		if c.leaseSets.Len() != 0 || x.db.RouterInfo(key) != nil {
			t.Error("took something forged")
		}
	})
}
