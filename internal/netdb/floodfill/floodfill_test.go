package floodfill_test

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb"
	"allium/internal/netdb/floodfill"
	"allium/internal/signature"
	"allium/internal/sim"
	"allium/internal/store"
	"allium/internal/x25519"
)

// bench is a floodfill of which everything that it sends is kept.
type bench struct {
	t         testing.TB
	w         *sim.World
	h         *sim.Host
	self      peer
	own       *data.RouterInfo
	db        *netdb.DB
	leaseSets *netdb.LeaseSets
	f         *floodfill.Floodfill
	active    bool
	sent      []sent
}

type sent struct {
	to data.Hash
	m  i2np.Message
}

func newBench(t testing.TB) *bench {
	t.Helper()
	w := sim.New(t, 1, sim.Config{})
	b := &bench{t: t, w: w, h: w.Host("45.9.9.9"), active: true}
	b.self = newPeer(t)
	b.own = b.self.info(t, w.Now(), "XfR")
	bucket, err := store.Memory().Bucket("netdb")
	if err != nil {
		t.Fatal(err)
	}
	if b.db, err = netdb.New(netdb.Config{}, b.self.hash(), bucket); err != nil {
		t.Fatal(err)
	}
	b.leaseSets = netdb.NewLeaseSets(netdb.LeaseSetsConfig{}, b.self.hash())
	b.f = floodfill.New(floodfill.Config{}, b.h, b.self.hash(), b.db, b.leaseSets, b.send,
		func(time.Time) *data.RouterInfo { return b.own }, func() bool { return b.active })
	return b
}

func (b *bench) send(_ *host.Round, to data.Hash, m i2np.Message, c bandwidth.Class) error {
	if c != bandwidth.Control {
		b.t.Errorf("a %v is sent in class %d", m.Type, c)
	}
	m.Body = bytes.Clone(m.Body)
	b.sent = append(b.sent, sent{to, m})
	return nil
}

// know adds routers to the netDb.
func (b *bench) know(n int, caps string) (all []data.Hash) {
	b.t.Helper()
	for range n {
		p := newPeer(b.t)
		if _, err := b.db.AddRouter(b.w.Now(), p.info(b.t, b.w.Now(), caps)); err != nil {
			b.t.Fatal(err)
		}
		all = append(all, p.hash())
	}
	return all
}

// after runs f and gives what was sent until the workers are done.
func (b *bench) after(f func(r *host.Round)) []sent {
	b.sent = nil
	b.h.Do(f)
	b.w.Run(100 * time.Millisecond)
	return b.sent
}

func (b *bench) lookup(l i2np.DatabaseLookup) []sent {
	return b.after(func(r *host.Round) {
		b.f.Lookup(r, l.From, i2np.Message{Type: i2np.TypeDatabaseLookup, Body: l.Append(nil)})
	})
}

func (b *bench) store(from data.Hash, s i2np.DatabaseStore) []sent {
	return b.after(func(r *host.Round) {
		b.f.Store(r, from, i2np.Message{Type: i2np.TypeDatabaseStore, Body: s.Append(nil)})
	})
}

// closest are the floodfills closest to a key.
func (b *bench) closest(key data.Hash, n int, except ...data.Hash) (all []data.Hash) {
	for _, ri := range b.db.Closest(b.w.Now(), key, n, func(ri *data.RouterInfo) bool {
		return ri.Floodfill() && !slices.Contains(except, ri.Hash())
	}) {
		all = append(all, ri.Hash())
	}
	return all
}

type peer struct {
	key      signature.PrivateKey
	identity *data.RouterIdentity
}

func newPeer(t testing.TB) peer {
	t.Helper()
	key, err := signature.Generate(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := data.NewRouterIdentity(key, x25519.Generate().Public)
	if err != nil {
		t.Fatal(err)
	}
	return peer{key, identity}
}

func (p peer) hash() data.Hash { return p.identity.Hash() }

func (p peer) info(t testing.TB, published time.Time, caps string) *data.RouterInfo {
	t.Helper()
	options, err := data.NewMapping(
		data.Pair{Key: data.OptionNetID, Value: "2"},
		data.Pair{Key: data.OptionVersion, Value: "0.9.67"},
		data.Pair{Key: data.OptionCaps, Value: caps},
	)
	if err != nil {
		t.Fatal(err)
	}
	static, h := x25519.Generate().Public, p.hash()
	address, err := data.NewRouterAddress(10, data.StyleNTCP2,
		data.Pair{Key: "s", Value: data.EncodeBase64(static[:])}, data.Pair{Key: "v", Value: "2"},
		data.Pair{Key: "host", Value: netip.AddrFrom4([4]byte{45, h[0], h[1], h[2]}).String()}, data.Pair{Key: "port", Value: "12345"},
		data.Pair{Key: "i", Value: data.EncodeBase64(make([]byte, 16))},
	)
	if err != nil {
		t.Fatal(err)
	}
	ri, err := data.SignRouterInfo(p.key, p.identity, published, []data.RouterAddress{address}, options)
	if err != nil {
		t.Fatal(err)
	}
	return ri
}

// routerStore stores a RouterInfo without a token.
func routerStore(t testing.TB, ri *data.RouterInfo) i2np.DatabaseStore {
	t.Helper()
	compressed, err := new(i2np.Deflater).DeflateRouterInfo(nil, ri.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return i2np.DatabaseStore{Key: ri.Hash(), Type: i2np.StoreRouterInfo, Data: compressed}
}

func leaseSet(t testing.TB, now time.Time, edit ...func(*data.LeaseSet2Content)) *data.LeaseSet2 {
	t.Helper()
	key, err := signature.Generate(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	dest, err := data.NewDestination(key)
	if err != nil {
		t.Fatal(err)
	}
	c := data.LeaseSet2Content{
		Destination: dest, Published: now,
		Keys:   []data.EncryptionKey{{Type: data.X25519, Key: make([]byte, 32)}},
		Leases: []data.Lease{{Gateway: dest.Hash(), TunnelID: 1, Expires: now.Add(10 * time.Minute)}},
	}
	for _, e := range edit {
		e(&c)
	}
	ls, err := data.SignLeaseSet2(key, c)
	if err != nil {
		t.Fatal(err)
	}
	return ls
}

func leaseSetStore(ls *data.LeaseSet2) i2np.DatabaseStore {
	return i2np.DatabaseStore{Key: ls.Key(), Type: i2np.StoreLeaseSet2, Data: ls.Bytes()}
}

// gateway is where answers of tests go to.
var gateway = data.HashOf([]byte("gateway"))

// withToken asks for a confirmation through a tunnel.
func withToken(s i2np.DatabaseStore) i2np.DatabaseStore {
	s.ReplyToken, s.ReplyTunnel, s.ReplyGateway = 77, 5, gateway
	return s
}

// inside takes a message out of a TunnelGateway.
func inside(t testing.TB, m i2np.Message, id uint32) i2np.Message {
	t.Helper()
	g, err := i2np.ParseTunnelGateway(m.Body)
	if err != nil || m.Type != i2np.TypeTunnelGateway || g.TunnelID != id {
		t.Fatalf("%v, tunnel %d: %v", m.Type, g.TunnelID, err)
	}
	inner, _, err := i2np.ParseStandard(g.Message)
	if err != nil {
		t.Fatal(err)
	}
	return inner
}

// floods are whom a store was passed on to.
func floods(t testing.TB, all []sent) (to []data.Hash) {
	t.Helper()
	for _, x := range all {
		if x.m.Type != i2np.TypeDatabaseStore {
			continue
		}
		s, err := i2np.ParseDatabaseStore(x.m.Body)
		if err != nil || s.ReplyToken != 0 {
			t.Errorf("flooded with token %d: %v", s.ReplyToken, err)
		}
		to = append(to, x.to)
	}
	return to
}

func confirmed(t testing.TB, all []sent) bool {
	t.Helper()
	for _, x := range all {
		if x.m.Type != i2np.TypeTunnelGateway {
			continue
		}
		s, err := i2np.ParseDeliveryStatus(inside(t, x.m, 5).Body)
		if err != nil || s.ID != 77 || x.to != gateway {
			t.Errorf("wrong confirmation %v: %v", s, err)
		}
		return true
	}
	return false
}

func TestStoreIsKeptConfirmedAndFloodedToTheThreeClosest(t *testing.T) {
	b := newBench(t)
	b.know(10, "XfR")
	b.know(5, "XR")
	now := b.w.Now()
	ls, ri := leaseSet(t, now), newPeer(t).info(t, now, "XfR")
	for name, s := range map[string]i2np.DatabaseStore{"LeaseSet": leaseSetStore(ls), "RouterInfo": routerStore(t, ri)} {
		from := b.closest(s.Key, 1)[0]
		want := b.closest(s.Key, 3, from, s.Key)
		all := b.store(from, withToken(s))
		if got := floods(t, all); !slices.Equal(got, want) {
			t.Errorf("%s: flooded to %v, want %v", name, got, want)
		}
		if !confirmed(t, all) {
			t.Errorf("%s: not confirmed", name)
		}
		// The second time it is confirmed, as it is stored, and nothing more.
		all = b.store(data.Hash{}, withToken(s))
		if !confirmed(t, all) || len(floods(t, all)) != 0 {
			t.Errorf("%s again: %d sent", name, len(all))
		}
	}
	if b.leaseSets.GetPublished(now, ls.Key()) == nil || b.db.RouterInfo(ri.Hash()) == nil {
		t.Error("not kept")
	}
}

// Others need workers, too: of a flood most is dropped where it arrives.
func TestFloodOfLookupsTakesFewWorkers(t *testing.T) {
	b := newBench(t)
	b.after(func(r *host.Round) {
		for i := range 100 {
			l := i2np.DatabaseLookup{Key: data.HashOf([]byte{1, byte(i)}), From: data.HashOf([]byte{2, byte(i)}), Kind: i2np.LookupAny}
			b.f.Lookup(r, l.From, i2np.Message{Type: i2np.TypeDatabaseLookup, Body: l.Append(nil)})
		}
	})
	if s := b.f.Status(); s.Answered != 64 || s.Busy != 36 {
		t.Errorf("%+v", s)
	}
}

func TestStoreWithoutTokenGoesNoFurther(t *testing.T) {
	b := newBench(t)
	b.know(5, "XfR")
	if all := b.store(gateway, leaseSetStore(leaseSet(t, b.w.Now()))); len(all) != 0 || b.leaseSets.Len() != 1 {
		t.Errorf("%d sent, %d kept", len(all), b.leaseSets.Len())
	}
}

func TestWrongStoresAreNeitherKeptNorConfirmed(t *testing.T) {
	b := newBench(t)
	b.know(5, "XfR")
	now := b.w.Now()
	ls, known := leaseSet(t, now), b.db.Len()
	forged, other := leaseSetStore(ls), leaseSetStore(ls)
	forged.Data = bytes.Clone(forged.Data)
	forged.Data[len(forged.Data)-1] ^= 1
	other.Key = gateway
	renamed := routerStore(t, newPeer(t).info(t, now, "XR"))
	renamed.Key = gateway
	for name, s := range map[string]i2np.DatabaseStore{
		"forged":      forged,
		"other key":   other,
		"renamed":     renamed,
		"unpublished": leaseSetStore(leaseSet(t, now, func(c *data.LeaseSet2Content) { c.Unpublished = true })),
		"expired":     leaseSetStore(leaseSet(t, now.Add(-time.Hour))),
		"old":         routerStore(t, newPeer(t).info(t, now.Add(-28*time.Hour), "XR")),
		"no gzip":     {Key: gateway, Data: []byte("x")},
		"ourselves":   routerStore(t, b.own),
	} {
		if all := b.store(data.Hash{}, withToken(s)); len(all) != 0 {
			t.Errorf("%s: %d sent", name, len(all))
		}
	}
	if b.leaseSets.Len() != 0 || b.db.Len() != known {
		t.Error("kept")
	}
}

func TestOldRouterInfoIsKeptButNotFlooded(t *testing.T) {
	b := newBench(t)
	b.know(5, "XfR")
	all := b.store(data.Hash{}, withToken(routerStore(t, newPeer(t).info(t, b.w.Now().Add(-2*time.Hour), "XR"))))
	if !confirmed(t, all) || len(floods(t, all)) != 0 {
		t.Errorf("%d sent", len(all))
	}
}

func TestOneKeyIsFloodedThreeTimesInNinetySeconds(t *testing.T) {
	b := newBench(t)
	b.know(5, "XfR")
	p, flooded := newPeer(t), 0
	for i := range 5 {
		ri := p.info(t, b.w.Now().Add(time.Duration(i)*time.Millisecond), "XR")
		if len(floods(t, b.store(data.Hash{}, withToken(routerStore(t, ri))))) > 0 {
			flooded++
		}
	}
	if flooded != 3 {
		t.Errorf("flooded %d times", flooded)
	}
	b.w.Run(90 * time.Second)
	if len(floods(t, b.store(data.Hash{}, withToken(routerStore(t, p.info(t, b.w.Now(), "XR")))))) == 0 {
		t.Error("not flooded later")
	}
}

func TestShortlyBeforeMidnightTomorrowsFloodfillsGetIt(t *testing.T) {
	b := newBench(t)
	b.know(30, "XfR")
	midnight := sim.Start.Add(12 * time.Hour)
	b.w.Run(12*time.Hour - 9*time.Minute)
	ls := leaseSet(t, b.w.Now())
	got := floods(t, b.store(data.Hash{}, withToken(leaseSetStore(ls))))
	for _, ri := range b.db.ClosestTo(netdb.RoutingKey(ls.Key(), midnight), 2, (*data.RouterInfo).Floodfill) {
		if !slices.Contains(got, ri.Hash()) {
			t.Error("tomorrow's floodfill was left out")
		}
	}
	if len(got) < 4 || len(got) > 5 {
		t.Errorf("flooded to %d", len(got))
	}
}

// Fakes that claim to be floodfills do not take the place of those that are.
func TestFloodGoesToFloodfillsWeMetAsWell(t *testing.T) {
	b := newBench(t)
	b.know(30, "XfR")
	ls := leaseSet(t, b.w.Now())
	near := b.closest(ls.Key(), 30)
	for _, i := range []int{1, 4, 6, 8, 25} {
		b.db.Reached(b.w.Now(), near[i])
	}
	want := []data.Hash{near[0], near[1], near[2], near[4], near[6]}
	if got := floods(t, b.store(data.Hash{}, withToken(leaseSetStore(ls)))); !slices.Equal(got, want) {
		t.Errorf("flooded to %v, want %v", got, want)
	}
}

func TestOthersTakeTheRouterInfoOfWhoSendsItAndNothingElse(t *testing.T) {
	b := newBench(t)
	b.active = false
	b.know(5, "XfR")
	ri := newPeer(t).info(t, b.w.Now(), "XR")
	for _, from := range []data.Hash{gateway, {}} {
		if all := b.store(from, withToken(routerStore(t, ri))); len(all) != 0 || b.db.RouterInfo(ri.Hash()) != nil {
			t.Error("took one from a stranger")
		}
	}
	if all := b.store(ri.Hash(), withToken(routerStore(t, ri))); !confirmed(t, all) || len(all) != 1 {
		t.Errorf("%d sent", len(all))
	}
	if b.db.RouterInfo(ri.Hash()) == nil {
		t.Error("RouterInfo not kept")
	}
	if all := b.store(gateway, withToken(leaseSetStore(leaseSet(t, b.w.Now())))); len(all) != 0 || b.leaseSets.Len() != 0 {
		t.Error("took a LeaseSet")
	}
}

func FuzzStore(f *testing.F) {
	b := newBench(f)
	b.know(4, "XfR")
	now := b.w.Now()
	for _, s := range []i2np.DatabaseStore{
		withToken(leaseSetStore(leaseSet(f, now))), withToken(routerStore(f, newPeer(f).info(f, now, "XR"))),
		{Key: gateway, Type: i2np.StoreMetaLeaseSet, Data: []byte("x")}, {Key: gateway, Type: i2np.StoreEncryptedLeaseSet, ReplyToken: 1},
	} {
		f.Add(s.Append(nil))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		all := b.after(func(r *host.Round) { b.f.Store(r, data.Hash{}, i2np.Message{Body: body}) })
		if len(all) > 6 {
			t.Errorf("%d sent", len(all))
		}
	})
}

func FuzzLookup(f *testing.F) {
	b := newBench(f)
	known := b.know(4, "XfR")
	key, tag := [32]byte{1}, [garlic.TagSize]byte{2}
	for _, l := range []i2np.DatabaseLookup{
		{Key: known[0], From: gateway, Kind: i2np.LookupRouterInfo},
		{Key: gateway, From: gateway, Kind: i2np.LookupLeaseSet, ReplyTunnel: 1, ReplyKey: &key, ReplyTag: &tag},
		{Key: gateway, From: gateway, Kind: i2np.LookupExploration, Excluded: known},
		{Key: gateway, From: gateway},
	} {
		f.Add(l.Append(nil))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		all := b.after(func(r *host.Round) { b.f.Lookup(r, data.Hash{}, i2np.Message{Body: body}) })
		if len(all) > 1 {
			t.Errorf("%d sent", len(all))
		}
		b.w.Run(time.Minute)
	})
}
