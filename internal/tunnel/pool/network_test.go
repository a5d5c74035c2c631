package pool_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/profile"
	"allium/internal/random"
	"allium/internal/store"
	"allium/internal/tunnel"
	"allium/internal/tunnel/build"
	"allium/internal/tunnel/pool"
)

// network is our router, of which only tunnels are real, among hops that do
// what the specification asks of them. Messages between routers take 40 ms.
type network struct {
	t        testing.TB
	h        host.Host
	self     data.Hash
	table    *tunnel.Table
	builder  *pool.Builder
	selector *pool.Selector
	profiles *profile.Profiles

	mu     sync.Mutex
	hops   []*hop
	byHash map[data.Hash]*hop
	// asked counts build records opened, toUs those of outbound endpoints
	// that were to answer to us directly.
	asked, toUs int
	// offline tells that nobody can be heard.
	offline bool
}

const latency = 40 * time.Millisecond

func newNetwork(t testing.TB, h host.Host, n int) *network {
	t.Helper()
	profiles, err := profile.New(bucket(t))
	if err != nil {
		t.Fatal(err)
	}
	net := &network{
		t: t, h: h, self: data.HashOf([]byte("our router")),
		table: tunnel.NewTable(1000), profiles: profiles,
		byHash: make(map[data.Hash]*hop),
	}
	for i := range n {
		p := &hop{net: net, peer: newPeer(t, fmt.Sprintf("%d.%d.1.1", 50+i/100, i%100)), tunnels: make(map[tunnel.ID]*carried)}
		net.hops = append(net.hops, p)
		net.byHash[p.hash] = p
	}
	net.builder = pool.NewBuilder(h, net.self, net.table, tunnel.NewReplays(1<<12), tunnel.NewReassembly(1<<20), net.send, nil, profiles)
	net.selector = newSelector(t, pool.PathConfig{}, net.self, net, profiles, net)
	return net
}

func bucket(t testing.TB) store.Bucket {
	t.Helper()
	b, err := store.Memory().Bucket("profiles")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// peer is a router with its keys.
type peer struct {
	hash data.Hash
	keys *data.RouterKeys
	ri   *data.RouterInfo
}

// newPeer makes a router that listens at the addresses.
func newPeer(t testing.TB, hosts ...string) peer {
	t.Helper()
	return makePeer(t, "XR", data.RouterVersion, "", hosts...)
}

func makePeer(t testing.TB, caps, version, family string, hosts ...string) peer {
	t.Helper()
	keys, err := data.GenerateRouterKeys()
	if err != nil {
		t.Fatal(err)
	}
	secret := data.HashOf([]byte(hosts[0]))
	secret[31] &= 0x7F
	var addresses []data.RouterAddress
	for _, h := range hosts {
		a, err := data.NewRouterAddress(10, data.StyleNTCP2,
			data.Pair{Key: "host", Value: h}, data.Pair{Key: "port", Value: "12345"}, data.Pair{Key: "v", Value: "2"},
			data.Pair{Key: "s", Value: secret.String()}, data.Pair{Key: "i", Value: data.EncodeBase64(secret[:16])})
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, a)
	}
	options := []data.Pair{{Key: data.OptionVersion, Value: version}, {Key: data.OptionCaps, Value: caps}}
	if family != "" {
		options = append(options, data.Pair{Key: data.OptionFamily, Value: family})
	}
	mapping, err := data.NewMapping(options...)
	if err != nil {
		t.Fatal(err)
	}
	ri, err := data.SignRouterInfo(keys.Signing, keys.Identity, now.Add(-time.Minute), addresses, mapping)
	if err != nil {
		t.Fatal(err)
	}
	return peer{hash: ri.Hash(), keys: keys, ri: ri}
}

// Select implements pool.RouterInfos.
func (n *network) Select(keep func(*data.RouterInfo) bool) (kept []*data.RouterInfo) {
	for _, p := range n.hops {
		if keep(p.ri) {
			kept = append(kept, p.ri)
		}
	}
	return kept
}

// Dialable implements pool.Neighbours.
func (n *network) Dialable(*data.RouterInfo) bool { return true }

// Remote implements pool.Neighbours: there is a session with all that can be
// reached.
func (n *network) Remote(peer data.Hash) (at netip.Addr, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.byHash[peer]
	return at, p != nil && !p.unreachable
}

// Heard implements pool.Neighbours.
func (n *network) Heard() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.offline {
		return time.Time{}
	}
	return n.h.Now()
}

// all does something with each hop.
func (n *network) all(f func(p *hop)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range n.hops {
		f(p)
	}
}

// with does something with one hop.
func (n *network) with(h data.Hash, f func(p *hop)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(n.byHash[h])
}

// seen is asked and toUs.
func (n *network) seen() (asked, toUs int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked, n.toUs
}

var errNoSuchRouter = errors.New("no such router")

// send is our router's Sender.
func (n *network) send(_ *host.Round, to data.Hash, m i2np.Message, c bandwidth.Class) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.byHash[to]
	switch {
	case c != bandwidth.Own:
		n.t.Errorf("a message of class %d", c)
	case to == n.self:
	case p == nil:
		return errNoSuchRouter
	case p.unreachable:
		n.h.AfterFunc(latency, func(r *host.Round) { n.fail(r, to) })
		return nil
	}
	n.post(n.self, to, m, 0)
	return nil
}

// fail tells what package router does of a router that cannot be reached.
func (n *network) fail(r *host.Round, peer data.Hash) {
	n.profiles.DialFailed(r.Now, peer)
	n.builder.PeerFailed(r, peer)
}

// post has m arrive later.
func (n *network) post(from, to data.Hash, m i2np.Message, delay time.Duration) {
	m.Body = bytes.Clone(m.Body)
	n.h.AfterFunc(latency+delay, func(r *host.Round) {
		if to == n.self {
			n.dispatch(r, from, m)
			return
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		if p := n.byHash[to]; p != nil && !p.dead {
			p.take(r, from, m)
		}
	})
}

// dispatch does what package router does.
func (n *network) dispatch(r *host.Round, from data.Hash, m i2np.Message) {
	switch m.Type {
	case i2np.TypeTunnelData:
		if t, ok := n.table.Lookup(tunnel.ID(i2np.TunnelData(m.Body).TunnelID())); ok {
			t.TunnelData(r, from, m.Body)
		}
	case i2np.TypeTunnelGateway:
		g, err := i2np.ParseTunnelGateway(m.Body)
		if err != nil {
			n.t.Error(err)
		} else if t, ok := n.table.Lookup(tunnel.ID(g.TunnelID)); ok {
			t.TunnelGateway(r, from, g.Message)
		}
	case i2np.TypeShortTunnelBuild:
		n.builder.Reply(r, m)
	default:
		n.t.Errorf("message of type %d from a router", m.Type)
	}
}

// hop is a router that carries tunnels. The network's lock guards it.
type hop struct {
	peer
	net     *network
	tunnels map[tunnel.ID]*carried

	dead        bool // drops everything
	unreachable bool // from us
	answer      build.Code
	delay       time.Duration // of answers
	spoils      bool          // answers
	keeps       bool          // answers that are to go back through a tunnel it is the gateway of
	asked       int           // how often it was
	stolen      *[]i2np.Message
}

// carried is a tunnel of a hop.
type carried struct {
	request build.RequestRecord
	layer   tunnel.Layer
	gateway *tunnel.Gateway
	end     *tunnel.Endpoint
}

func (p *hop) take(r *host.Round, from data.Hash, m i2np.Message) {
	switch m.Type {
	case i2np.TypeShortTunnelBuild:
		p.build(r, from, m.Body)
	case i2np.TypeGarlic:
		g, err := i2np.ParseGarlic(m.Body)
		if err != nil {
			p.net.t.Error(err)
			return
		}
		cloves, err := garlic.OpenRouter(r.Now, &p.keys.Encryption, nil, g.Data)
		if err != nil {
			p.net.t.Error(err)
			return
		}
		for _, c := range cloves {
			p.take(r, data.Hash{}, c.Message)
		}
	case i2np.TypeTunnelData:
		if t := p.tunnels[tunnel.ID(i2np.TunnelData(m.Body).TunnelID())]; t != nil {
			p.relay(r, t, m.Body)
		}
	case i2np.TypeTunnelGateway:
		g, err := i2np.ParseTunnelGateway(m.Body)
		if err != nil {
			p.net.t.Error(err)
		} else if t := p.tunnels[tunnel.ID(g.TunnelID)]; t != nil {
			p.enter(r, t, g.Message)
		}
	}
}

// build answers a request.
func (p *hop) build(r *host.Round, from data.Hash, records i2np.ShortTunnelBuild) {
	q, err := build.Open(p.hash, &p.keys.Encryption, records)
	if err != nil {
		p.net.t.Error(err)
		return
	}
	if err := q.Validate(r.Now, from, p.hash); err != nil {
		p.net.t.Error(err)
		return
	}
	p.net.asked++
	p.asked++
	q.Answer(records, p.answer)
	if p.answer == build.Accept {
		keys := q.Keys()
		p.tunnels[q.Receive] = &carried{
			request: q.RequestRecord, layer: tunnel.NewLayer(&keys),
			gateway: tunnel.NewGateway(), end: tunnel.NewEndpoint(tunnel.NewReassembly(1 << 20)),
		}
		p.net.h.AfterFunc(tunnel.Lifetime, func(*host.Round) {
			p.net.mu.Lock()
			delete(p.tunnels, q.Receive)
			p.net.mu.Unlock()
		})
	}
	if p.spoils {
		random.Fill(records[1:])
	}
	m := i2np.Message{Type: i2np.TypeShortTunnelBuild, ID: q.NextMessageID, Expiration: r.Now.Add(time.Minute), Body: records}
	if q.Role != build.OutboundEndpoint {
		p.net.post(p.hash, q.NextRouter, m, p.delay)
		return
	}
	if q.NextRouter == p.net.self {
		p.net.toUs++
	}
	m.Type = i2np.TypeOutboundTunnelBuildReply
	if p.stolen != nil {
		m.Body = bytes.Clone(m.Body)
		*p.stolen = append(*p.stolen, m)
		return
	}
	if q.NextRouter == p.hash && p.keeps {
		return
	}
	if q.NextRouter != p.hash {
		key, tag := q.ReplyKey()
		m.Body = i2np.Garlic{Data: garlic.SealOnce(&key, tag, garlic.Clove{Message: m})}.Append(nil)
		m.Type, m.ID = i2np.TypeGarlic, random.Nonzero32()
	}
	p.deliver(r, tunnel.Delivery{Kind: tunnel.ToTunnel, Router: q.NextRouter, Tunnel: q.Next}, m, p.delay)
}

// enter takes a message into an inbound tunnel.
func (p *hop) enter(r *host.Round, t *carried, message []byte) {
	if t.request.Role != build.InboundGateway {
		p.net.t.Error("a gateway message for another than a gateway")
		return
	}
	if err := t.gateway.AddEncoded(tunnel.Delivery{}, message); err != nil {
		p.net.t.Error(err)
	}
	for _, m := range t.gateway.Flush(t.request.Receive) {
		p.relay(r, t, m)
	}
	t.gateway.Reset()
}

// relay does a hop's work on a tunnel message.
func (p *hop) relay(r *host.Round, t *carried, message i2np.TunnelData) {
	var b tunnel.Batch
	b.Encrypt(t.layer, message)
	b.Run()
	if t.request.Role == build.OutboundEndpoint {
		err := t.end.Push(r.Now, message, func(d tunnel.Delivery, m i2np.Message) { p.deliver(r, d, m, 0) })
		if err != nil {
			p.net.t.Error(err)
		}
		return
	}
	message.SetTunnelID(uint32(t.request.Next))
	p.net.post(p.hash, t.request.NextRouter, i2np.Message{
		Type: i2np.TypeTunnelData, ID: random.Nonzero32(), Expiration: r.Now.Add(time.Minute), Body: message,
	}, 0)
}

// deliver sends on what came out of an outbound tunnel.
func (p *hop) deliver(r *host.Round, d tunnel.Delivery, m i2np.Message, delay time.Duration) {
	if d.Kind == tunnel.ToTunnel {
		m = i2np.Message{
			Type: i2np.TypeTunnelGateway, ID: random.Nonzero32(), Expiration: m.Expiration,
			Body: i2np.TunnelGateway{TunnelID: uint32(d.Tunnel), Message: m.AppendStandard(nil)}.Append(nil),
		}
	}
	if d.Router == p.hash {
		p.take(r, p.hash, m)
		return
	}
	p.net.post(p.hash, d.Router, m, delay)
}

// member is a pool with what package router puts around it.
type member struct {
	*pool.Pool
	net     *network
	replies *garlic.Replies

	mu      sync.Mutex
	got     map[uint32]bool // Data messages that came out of its tunnels
	changes int
}

func config(length, quantity int) pool.Config {
	d := pool.Direction{Length: length, Quantity: quantity}
	return pool.Config{Inbound: d, Outbound: d}
}

// open opens a pool; fallback is nil for the router's own.
func (n *network) open(name string, cfg pool.Config, fallback *member) *member {
	m := &member{net: n, replies: garlic.NewReplies(), got: make(map[uint32]bool)}
	ctx := pool.Context{Name: name, Replies: m.replies, Deliver: m.deliver, Changed: func(*host.Round) {
		m.mu.Lock()
		m.changes++
		m.mu.Unlock()
	}}
	var own *pool.Pool
	if fallback != nil {
		own = fallback.Pool
		ctx.Key = &[32]byte{1}
	}
	n.h.Do(func(r *host.Round) { m.Pool = n.builder.Open(r, cfg, ctx, n.selector, own) })
	return m
}

func (m *member) deliver(r *host.Round, message i2np.Message) {
	if message.Type != i2np.TypeGarlic {
		m.answer(r, message)
		return
	}
	g, err := i2np.ParseGarlic(message.Body)
	if err != nil {
		m.net.t.Error(err)
		return
	}
	cloves, ok := m.replies.Open(r.Now, g.Data)
	for _, c := range cloves {
		m.answer(r, c.Message)
	}
	if !ok {
		m.net.t.Errorf("%s: garlic nobody expected", m.Status(r.Now).Name)
	}
}

func (m *member) answer(r *host.Round, message i2np.Message) {
	switch message.Type {
	case i2np.TypeDeliveryStatus:
		s, err := i2np.ParseDeliveryStatus(message.Body)
		if err != nil || !m.Tested(r, s.ID) {
			m.net.t.Errorf("no test of ours: %v", err)
		}
	case i2np.TypeOutboundTunnelBuildReply:
		m.Reply(r, message)
	case i2np.TypeData:
		m.mu.Lock()
		m.got[message.ID] = true
		m.mu.Unlock()
	default:
		m.net.t.Errorf("message of type %d from a tunnel", message.Type)
	}
}

func (m *member) has(id uint32) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.got[id]
}

// state is Status now.
func (m *member) state() pool.PoolStatus { return m.Status(m.net.h.Now()) }

// full tells whether the pool has all tunnels it wants.
func (m *member) full() bool {
	s := m.state()
	return s.Inbound.Good >= s.Inbound.Wanted && s.Outbound.Good >= s.Outbound.Wanted
}

// sendAround sends a message out through one tunnel and back through another,
// and gives its ID.
func (m *member) sendAround(to *member) uint32 {
	m.net.t.Helper()
	id := random.Nonzero32()
	m.net.h.Do(func(r *host.Round) {
		out, ok1 := m.Outbound(r.Now)
		in, ok2 := to.Inbound(r.Now)
		if !ok1 || !ok2 {
			m.net.t.Errorf("no tunnel: out %v, in %v", ok1, ok2)
			return
		}
		gateway, at := in.Gateway()
		err := out.Send(r, tunnel.Delivery{Kind: tunnel.ToTunnel, Router: gateway, Tunnel: at}, i2np.Message{
			Type: i2np.TypeData, ID: id, Expiration: r.Now.Add(time.Minute), Body: make([]byte, 1500),
		})
		if err != nil {
			m.net.t.Error(err)
		}
	})
	return id
}
