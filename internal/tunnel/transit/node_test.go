package transit_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/sim"
	"allium/internal/tunnel"
	"allium/internal/tunnel/build"
	"allium/internal/tunnel/transit"
	"allium/internal/x25519"
)

// standard is the configuration by its defaults.
var standard = transit.Config{Accept: true, MaxTunnels: 10000, RequestRate: 200}

// network is routers that reach each other.
type network struct {
	tb    testing.TB
	w     *sim.World
	nodes map[data.Hash]*node
	// builds are the message IDs that answers come back under.
	builds map[uint32]bool
}

// node is a router that does nothing but transit. What else comes it keeps.
type node struct {
	net     *network
	h       *sim.Host
	hash    data.Hash
	keys    x25519.KeyPair
	table   *tunnel.Table
	limiter *bandwidth.Limiter
	subnets map[data.Hash]netip.Prefix // of neighbours
	t       *transit.Transit

	inbox []received
	local []i2np.Message
	sent  int
	dead  bool // its messages get nowhere
}

// received is a message from a router.
type received struct {
	from data.Hash
	m    i2np.Message
}

const delay = time.Millisecond

func newNetwork(tb testing.TB, w *sim.World) *network {
	return &network{tb: tb, w: w, nodes: make(map[data.Hash]*node), builds: make(map[uint32]bool)}
}

func world(tb testing.TB) *network { return newNetwork(tb, sim.New(tb, 1, sim.Config{})) }

func (net *network) node(cfg transit.Config) *node {
	return net.limited(cfg, bandwidth.Limits{})
}

func (net *network) limited(cfg transit.Config, limits bandwidth.Limits) *node {
	n := &node{
		net:     net,
		h:       net.w.Host(fmt.Sprintf("198.51.%d.%d", len(net.nodes)/250, len(net.nodes)%250+1)),
		keys:    x25519.Generate(),
		table:   tunnel.NewTable(20000),
		limiter: bandwidth.NewLimiter(net.w.Now(), limits),
		subnets: make(map[data.Hash]netip.Prefix),
	}
	random.Fill(n.hash[:])
	n.t = transit.New(cfg, n.h, n.hash, &n.keys, n.table, tunnel.NewReplays(10000), tunnel.NewReassembly(1<<20),
		n.send, n.limiter, n.subnet, func(_ *host.Round, m i2np.Message) { n.local = append(n.local, clone(m)) })
	net.nodes[n.hash] = n
	return n
}

// subnet is where a neighbour is.
func (n *node) subnet(h data.Hash) netip.Prefix { return n.subnets[h] }

func (net *network) chain(cfg transit.Config, count int) []*node {
	all := make([]*node, count)
	for i := range all {
		all[i] = net.node(cfg)
	}
	return all
}

func clone(m i2np.Message) i2np.Message {
	m.Body = bytes.Clone(m.Body)
	return m
}

// send is a tunnel.Sender.
func (n *node) send(r *host.Round, to data.Hash, m i2np.Message, c bandwidth.Class) error {
	if c == bandwidth.Own {
		n.net.tb.Errorf("a %v message is sent as our own", m.Type)
	}
	if n.dead {
		return host.ErrFull
	}
	n.sent++
	var used bandwidth.Bytes
	used[c] = len(m.Body)
	n.limiter.Settle(r.Now, bandwidth.Out, bandwidth.Bytes{}, used)
	m = clone(m)
	if to == n.hash {
		n.dispatch(r, n.hash, m)
		return nil
	}
	if peer := n.net.nodes[to]; peer != nil {
		peer.h.AfterFunc(delay, func(r *host.Round) { peer.dispatch(r, n.hash, m) })
	}
	return nil
}

// dispatch does with a message what a router would.
func (n *node) dispatch(r *host.Round, from data.Hash, m i2np.Message) {
	switch m.Type {
	case i2np.TypeShortTunnelBuild:
		if !n.net.builds[m.ID] {
			n.t.Request(r, from, m)
			return
		}
	case i2np.TypeTunnelData:
		d := i2np.TunnelData(m.Body)
		if to, ok := n.table.Lookup(tunnel.ID(d.TunnelID())); ok {
			to.TunnelData(r, from, d)
		}
		return
	case i2np.TypeTunnelGateway:
		g, err := i2np.ParseTunnelGateway(m.Body)
		if err != nil {
			n.net.tb.Error(err)
		}
		if to, ok := n.table.Lookup(tunnel.ID(g.TunnelID)); ok {
			to.TunnelGateway(r, from, g.Message)
			return
		}
	}
	n.inbox = append(n.inbox, received{from, m})
}

// receive hands n messages from a neighbour, all in one round.
func (n *node) receive(from data.Hash, all ...i2np.Message) {
	n.h.Do(func(r *host.Round) {
		for _, m := range all {
			n.dispatch(r, from, clone(m))
		}
	})
}

// settle lets everything under way arrive.
func (net *network) settle() { net.w.Run(time.Second) }

// stands is a tunnel whose creator is done.
type stands struct {
	layers  tunnel.Layers
	gateway tunnel.ID
}

// path is a tunnel over hops.
func path(direction build.Direction, hops []*node, end data.Hash, id tunnel.ID) build.Path {
	p := build.Path{Direction: direction, EndRouter: end, EndTunnel: id}
	for _, n := range hops {
		p.Hops = append(p.Hops, build.Hop{Hash: n.hash, Key: n.keys.Public})
	}
	return p
}

func (net *network) create(p build.Path) (*build.Build, i2np.Message) {
	net.tb.Helper()
	b, records, err := build.Create(net.w.Now(), p)
	if err != nil {
		net.tb.Fatal(err)
	}
	net.builds[b.MessageID()] = true
	return b, i2np.Message{
		Type:       i2np.TypeShortTunnelBuild,
		ID:         random.Nonzero32(),
		Expiration: net.w.Now().Add(time.Minute),
		Body:       records,
	}
}

// codes reads the answers of the hops.
func (net *network) codes(b *build.Build, records []byte) []build.Code {
	net.tb.Helper()
	parsed, err := i2np.ParseShortTunnelBuild(records)
	if err != nil {
		net.tb.Fatal(err)
	}
	replies, err := b.Open(parsed)
	if err != nil {
		net.tb.Fatal(err)
	}
	var codes []build.Code
	for _, reply := range replies {
		codes = append(codes, reply.Code)
	}
	return codes
}

// inbound builds an inbound tunnel of creator and gives what its hops said.
// The request comes to the gateway as out of garlic.
func (net *network) inbound(creator *node, hops []*node, id tunnel.ID) (stands, []build.Code) {
	net.tb.Helper()
	b, m := net.create(path(build.Inbound, hops, creator.hash, id))
	hops[0].receive(data.Hash{}, m)
	net.settle()
	got := creator.take(net.tb, i2np.TypeShortTunnelBuild)
	if got.m.ID != b.MessageID() || got.from != hops[len(hops)-1].hash {
		net.tb.Errorf("the answer has ID %d, not %d", got.m.ID, b.MessageID())
	}
	return stands{b.Layers(), b.Gateway()}, net.codes(b, got.m.Body)
}

// outbound builds an outbound tunnel of creator, the answer in the clear.
func (net *network) outbound(creator *node, hops []*node) (stands, []build.Code) {
	net.tb.Helper()
	b, m := net.create(path(build.Outbound, hops, creator.hash, 77))
	hops[0].receive(creator.hash, m)
	net.settle()
	wrapped, err := i2np.ParseTunnelGateway(creator.take(net.tb, i2np.TypeTunnelGateway).m.Body)
	if err != nil || wrapped.TunnelID != 77 {
		net.tb.Fatalf("the answer came to tunnel %d: %v", wrapped.TunnelID, err)
	}
	return stands{b.Layers(), b.Gateway()}, net.codes(b, openReply(net.tb, net.w.Now(), b, wrapped.Message).Body)
}

// take gives the only message n has got, which must be of a type.
func (n *node) take(tb testing.TB, want i2np.Type) received {
	tb.Helper()
	if len(n.inbox) != 1 || n.inbox[0].m.Type != want {
		tb.Fatalf("%d messages came, not one of type %v: %v", len(n.inbox), want, n.inbox)
	}
	got := n.inbox[0]
	n.inbox = nil
	return got
}

// payload is a message to carry.
func (net *network) payload(size int) i2np.Message {
	m := i2np.Message{
		Type: i2np.TypeGarlic, ID: random.Nonzero32(),
		Expiration: net.w.Now().Add(time.Minute), Body: make([]byte, size),
	}
	random.Fill(m.Body)
	return m
}

// gatewayMessage is m on its way into a tunnel.
func (net *network) gatewayMessage(id tunnel.ID, m i2np.Message) i2np.Message {
	g := i2np.TunnelGateway{TunnelID: uint32(id), Message: m.AppendStandard(nil)}
	return i2np.Message{
		Type: i2np.TypeTunnelGateway, ID: random.Nonzero32(), Expiration: m.Expiration, Body: g.Append(nil),
	}
}

// pack makes tunnel messages as the gateway of an outbound tunnel does.
func (net *network) pack(s stands, d tunnel.Delivery, all ...i2np.Message) []i2np.Message {
	net.tb.Helper()
	g := tunnel.NewGateway()
	for _, m := range all {
		if err := g.Add(d, m); err != nil {
			net.tb.Fatal(err)
		}
	}
	var batch tunnel.Batch
	packed := g.Flush(s.gateway)
	var out []i2np.Message
	for _, p := range packed {
		batch.Decrypt(s.layers, p)
		out = append(out, i2np.Message{
			Type: i2np.TypeTunnelData, ID: random.Nonzero32(), Expiration: net.w.Now().Add(time.Minute), Body: p,
		})
	}
	batch.Run()
	return out
}

func same(a, b i2np.Message) bool {
	return a.Type == b.Type && a.ID == b.ID && bytes.Equal(a.Body, b.Body)
}

// accepted fails unless all hops said yes.
func accepted(tb testing.TB, codes []build.Code) {
	tb.Helper()
	for i, code := range codes {
		if code != build.Accept {
			tb.Fatalf("hop %d said %d", i, code)
		}
	}
}
