package query_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb"
	"allium/internal/netdb/floodfill"
	"allium/internal/netdb/query"
	"allium/internal/profile"
	"allium/internal/random"
	"allium/internal/signature"
	"allium/internal/sim"
	"allium/internal/store"
	"allium/internal/tunnel"
	"allium/internal/tunnel/pool"
	"allium/internal/x25519"
)

// network is routers of which each has a netDb, a floodfill and queries. In
// the place of transports is a sender that takes 20 ms, and their tunnels
// have no hops.
type network struct {
	t     testing.TB
	w     *sim.World
	nodes []*node
	by    map[data.Hash]*node
	loss  int // messages of 100 that get lost
	cfg   query.Config
}

type node struct {
	n         *network
	h         *sim.Host
	signing   signature.PrivateKey
	keys      x25519.KeyPair
	hash      data.Hash
	identity  *data.RouterIdentity
	address   string
	info      *data.RouterInfo
	db        *netdb.DB
	profiles  *profile.Profiles
	published *netdb.LeaseSets
	table     *tunnel.Table
	builder   *pool.Builder
	selector  *pool.Selector
	queries   *query.Queries
	floodfill *floodfill.Floodfill
	own       *context
	sent      map[i2np.Type]int // directly

	dead bool
	// lies, if any, takes what floodfill.Floodfill would.
	lies func(r *host.Round, m i2np.Message)
}

type context struct {
	*query.Context
	node      *node
	pool      *pool.Pool
	replies   *garlic.Replies
	leaseSets *netdb.LeaseSets
	took      int // answers that it had asked for
	refused   int
}

func newNetwork(t testing.TB, seed uint64, floodfills, others int) *network {
	t.Helper()
	return buildNetwork(t, sim.New(t, seed, sim.Config{}), floodfills, others)
}

func buildNetwork(t testing.TB, w *sim.World, floodfills, others int) *network {
	n := &network{t: t, w: w, by: make(map[data.Hash]*node)}
	for i := range floodfills + others {
		n.add(i, i < floodfills)
	}
	return n
}

// knowAll lets the given nodes know each other's RouterInfos.
func (n *network) knowAll(nodes ...*node) {
	for _, a := range nodes {
		for _, b := range nodes {
			n.know(a, b)
		}
	}
}

func (n *network) know(a, b *node) {
	if a == b {
		return
	}
	if _, err := a.db.AddRouter(n.w.Now(), b.info); err != nil {
		n.t.Fatal(err)
	}
}

func (n *network) add(i int, ff bool) *node {
	return n.addWhere(i, ff, func(data.Hash) bool { return true })
}

// addWhere adds a node whose hash suits.
func (n *network) addWhere(i int, ff bool, suits func(data.Hash) bool) *node {
	n.t.Helper()
	x := &node{
		n: n, address: fmt.Sprintf("45.%d.%d.1", i/200+1, i%200),
		sent: make(map[i2np.Type]int),
	}
	x.h = n.w.Host(x.address)
	var err error
	if x.signing, err = signature.Generate(signature.Ed25519); err != nil {
		n.t.Fatal(err)
	}
	for x.identity == nil || !suits(x.hash) {
		x.keys = x25519.Generate()
		if x.identity, err = data.NewRouterIdentity(x.signing, x.keys.Public); err != nil {
			n.t.Fatal(err)
		}
		x.hash = x.identity.Hash()
	}
	x.sign(ff)
	kept := store.Memory()
	bucket := func(name string) store.Bucket {
		b, err := kept.Bucket(name)
		if err != nil {
			n.t.Fatal(err)
		}
		return b
	}
	if x.db, err = netdb.New(netdb.Config{}, x.hash, bucket("netdb")); err != nil {
		n.t.Fatal(err)
	}
	if x.profiles, err = profile.New(bucket("profiles")); err != nil {
		n.t.Fatal(err)
	}
	x.published = netdb.NewLeaseSets(netdb.LeaseSetsConfig{}, x.hash)
	x.table = tunnel.NewTable(1000)
	x.builder = pool.NewBuilder(x.h, x.hash, x.table, tunnel.NewReplays(1000), tunnel.NewReassembly(1<<20), x.send, nil, x.profiles)
	if x.selector, err = pool.NewSelector(pool.PathConfig{}, x.hash, x.db, x.profiles, everywhere{}, bucket("firsthops")); err != nil {
		n.t.Fatal(err)
	}
	x.queries = query.New(n.cfg, x.h, x.hash, x.db, x.profiles, x.send)
	x.floodfill = floodfill.New(floodfill.Config{}, x.h, x.hash, x.db, x.published, x.send,
		func(time.Time) *data.RouterInfo { return x.info }, func() bool { return ff })
	x.own = x.open(nil)
	n.nodes = append(n.nodes, x)
	n.by[x.hash] = x
	return x
}

// everywhere is sessions with all routers.
type everywhere struct{}

// Dialable implements pool.Neighbours.
func (everywhere) Dialable(*data.RouterInfo) bool { return true }

// Remote implements pool.Neighbours.
func (everywhere) Remote(data.Hash) (netip.Addr, bool) { return netip.Addr{}, true }

// Heard implements pool.Neighbours.
func (everywhere) Heard() time.Time { return sim.Start.Add(1000 * time.Hour) }

// sign makes the RouterInfo of a node as of now.
func (x *node) sign(ff bool) {
	caps := "XR"
	if ff {
		caps = "XfR"
	}
	options, err := data.NewMapping(
		data.Pair{Key: data.OptionNetID, Value: "2"},
		data.Pair{Key: data.OptionVersion, Value: "0.9.67"},
		data.Pair{Key: data.OptionCaps, Value: caps},
	)
	if err != nil {
		x.n.t.Fatal(err)
	}
	address, err := data.NewRouterAddress(10, data.StyleNTCP2,
		data.Pair{Key: "s", Value: data.EncodeBase64(x.keys.Public[:])}, data.Pair{Key: "v", Value: "2"},
		data.Pair{Key: "host", Value: x.address}, data.Pair{Key: "port", Value: "12345"},
		data.Pair{Key: "i", Value: data.EncodeBase64(make([]byte, 16))},
	)
	if err != nil {
		x.n.t.Fatal(err)
	}
	if x.info, err = data.SignRouterInfo(x.signing, x.identity, x.n.w.Now(), []data.RouterAddress{address}, options); err != nil {
		x.n.t.Fatal(err)
	}
}

// start lets the node ask for RouterInfos, and explore.
func (x *node) start() *node {
	x.h.Do(func(r *host.Round) { x.queries.Start(r, x.own.Context) })
	return x
}

// open makes a context with tunnels without hops; without any tunnels yet
// when fallback is another pool and length is not zero.
func (x *node) open(fallback *pool.Pool) *context {
	c := &context{node: x, replies: garlic.NewReplies(), leaseSets: netdb.NewLeaseSets(netdb.LeaseSetsConfig{}, data.Hash{})}
	var cfg pool.Config
	if fallback != nil {
		cfg = pool.Config{Inbound: pool.Direction{Length: 1, Quantity: 1}, Outbound: pool.Direction{Length: 1, Quantity: 1}}
	}
	x.h.Do(func(r *host.Round) {
		c.pool = x.builder.Open(r, cfg, pool.Context{Name: "test", Replies: c.replies, Deliver: c.deliver}, x.selector, fallback)
	})
	c.Context = x.queries.Context(c.pool, c.replies, c.leaseSets)
	return c
}

func (c *context) deliver(r *host.Round, m i2np.Message) {
	if m.Type != i2np.TypeGarlic {
		c.handle(r, data.Hash{}, m)
		return
	}
	g, _ := i2np.ParseGarlic(m.Body)
	from := c.Asked(g.Data)
	cloves, ok := c.replies.Open(r.Now, g.Data)
	if !ok {
		c.node.n.t.Error("garlic nobody asked for")
	}
	for _, clove := range cloves {
		c.handle(r, from, clove.Message)
	}
}

func (c *context) handle(r *host.Round, from data.Hash, m i2np.Message) {
	if c.Handle(r, from, m) {
		c.took++
	} else {
		c.refused++
	}
}

func (x *node) send(_ *host.Round, to data.Hash, m i2np.Message, _ bandwidth.Class) error {
	x.sent[m.Type]++
	target := x.n.by[to]
	if target == nil {
		return host.ErrUnreachable
	}
	if x.dead || target.dead || random.IntN(100) < x.n.loss {
		return nil
	}
	m.Body = bytes.Clone(m.Body)
	target.h.AfterFunc(20*time.Millisecond, func(r *host.Round) { target.dispatch(r, x.hash, m) })
	return nil
}

func (x *node) dispatch(r *host.Round, from data.Hash, m i2np.Message) {
	switch m.Type {
	case i2np.TypeTunnelGateway:
		g, err := i2np.ParseTunnelGateway(m.Body)
		if err != nil {
			x.n.t.Error(err)
			return
		}
		if t, ok := x.table.Lookup(tunnel.ID(g.TunnelID)); ok {
			t.TunnelGateway(r, from, g.Message)
		}
	case i2np.TypeGarlic:
		g, _ := i2np.ParseGarlic(m.Body)
		cloves, err := garlic.OpenRouter(r.Now, &x.keys, nil, g.Data)
		if err != nil {
			x.n.t.Error(err)
		}
		for _, c := range cloves {
			x.serve(r, data.Hash{}, c.Message)
		}
	default:
		x.serve(r, from, m)
	}
}

func (x *node) serve(r *host.Round, from data.Hash, m i2np.Message) {
	if !from.IsZero() && m.Type != i2np.TypeDatabaseLookup && x.own.Handle(r, from, m) {
		return
	}
	if x.lies != nil {
		x.lies(r, m)
		return
	}
	switch m.Type {
	case i2np.TypeDatabaseLookup:
		x.floodfill.Lookup(r, from, m)
	case i2np.TypeDatabaseStore:
		x.floodfill.Store(r, from, m)
	}
}

// destination is somebody who publishes LeaseSets.
type destination struct {
	key  signature.PrivateKey
	dest *data.Destination
}

func newDestination(t testing.TB) destination {
	t.Helper()
	key, err := signature.Generate(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	dest, err := data.NewDestination(key)
	if err != nil {
		t.Fatal(err)
	}
	return destination{key, dest}
}

func (d destination) hash() data.Hash { return d.dest.Hash() }

func (d destination) leaseSet(t testing.TB, now time.Time) *data.LeaseSet2 {
	t.Helper()
	ls, err := data.SignLeaseSet2(d.key, data.LeaseSet2Content{
		Destination: d.dest, Published: now,
		Keys:   []data.EncryptionKey{{Type: data.X25519, Key: make([]byte, 32)}},
		Leases: []data.Lease{{Gateway: d.hash(), TunnelID: 1, Expires: now.Add(10 * time.Minute)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return ls
}

// result is what a callback got.
type result struct {
	calls int
	ls    data.LeaseSetEntry
	ri    *data.RouterInfo
	err   error
}

func (n *network) wait(res *result, limit time.Duration) *result {
	n.t.Helper()
	if !n.w.RunUntil(func() bool { return res.calls > 0 }, limit) {
		n.t.Fatal("no callback")
	}
	if res.calls > 1 {
		n.t.Error("called back twice")
	}
	return res
}

func (c *context) leaseSet(key data.Hash) *result {
	res := new(result)
	c.node.h.Do(func(r *host.Round) {
		c.LeaseSet(r, key, func(_ *host.Round, ls data.LeaseSetEntry, err error) {
			res.calls++
			res.ls, res.err = ls, err
		})
	})
	return res
}

func (c *context) publish(ls data.LeaseSetEntry) *result {
	res := new(result)
	c.node.h.Do(func(r *host.Round) {
		c.Publish(r, ls, nil, func(_ *host.Round, err error) {
			res.calls++
			res.err = err
		})
	})
	return res
}

func (x *node) routerInfo(key data.Hash) *result {
	res := new(result)
	x.h.Do(func(r *host.Round) {
		x.queries.RouterInfo(r, key, func(_ *host.Round, ri *data.RouterInfo, err error) {
			res.calls++
			res.ri, res.err = ri, err
		})
	})
	return res
}

// closest are the floodfills closest to a key, out of those a node knows.
func (n *network) closest(x *node, key data.Hash, count int) []*node {
	var all []*node
	for _, ri := range x.db.Closest(n.w.Now(), key, count, (*data.RouterInfo).Floodfill) {
		all = append(all, n.by[ri.Hash()])
	}
	return all
}
