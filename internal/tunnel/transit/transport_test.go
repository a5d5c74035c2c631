package transit_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/setting"
	"allium/internal/signature"
	"allium/internal/sim"
	"allium/internal/transport"
	"allium/internal/transport/ntcp2"
	"allium/internal/tunnel"
	"allium/internal/tunnel/build"
	"allium/internal/tunnel/transit"
	"allium/internal/x25519"
)

// wired is a router with nothing but a transport and transit.
type wired struct {
	tb    testing.TB
	hash  data.Hash
	keys  x25519.KeyPair
	h     *sim.Host
	tr    *transport.Transport
	t     *transit.Transit
	table *tunnel.Table
	inbox []received
	local []i2np.Message
}

// netdb is all RouterInfos there are.
type netdb map[data.Hash]*data.RouterInfo

func (db netdb) RouterInfo(h data.Hash) *data.RouterInfo { return db[h] }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func newWired(tb testing.TB, w *sim.World, db netdb, number int) *wired {
	tb.Helper()
	n := &wired{tb: tb, keys: x25519.Generate(), table: tunnel.NewTable(1000)}
	n.h = w.Host(fmt.Sprintf("10.0.%d.1", number))
	addr := netip.AddrPortFrom(n.h.Addr(), 9000)
	key, err := signature.Generate(signature.Ed25519)
	must(tb, err)
	identity, err := data.NewRouterIdentity(key, n.keys.Public)
	must(tb, err)
	n.hash = identity.Hash()
	local := ntcp2.Local{Hash: n.hash, Static: x25519.Generate(), NetID: 99}
	random.Fill(local.IV[:])
	local.RouterInfo = func(time.Time) *data.RouterInfo { return db[n.hash] }

	var cfg transport.Config
	setting.Defaults(&cfg)
	cfg.Listen, cfg.AllowPrivate = []netip.AddrPort{addr}, true
	limiter := bandwidth.NewLimiter(w.Now(), bandwidth.Limits{})
	n.tr, err = transport.New(cfg, n.h, local, db, limiter, n)
	must(tb, err)
	options, err := data.NewMapping(
		data.Pair{Key: "caps", Value: "XR"},
		data.Pair{Key: "netId", Value: strconv.Itoa(99)},
		data.Pair{Key: "router.version", Value: data.RouterVersion})
	must(tb, err)
	db[n.hash], err = data.SignRouterInfo(key, identity, w.Now(), n.tr.Addresses(), options)
	must(tb, err)
	n.t = transit.New(standard, n.h, n.hash, &n.keys, n.table, tunnel.NewReplays(10000), tunnel.NewReassembly(1<<20),
		n.tr.Send, limiter, n.tr.Subnet, func(_ *host.Round, m i2np.Message) { n.local = append(n.local, clone(m)) })
	return n
}

// Message implements transport.Handler.
func (n *wired) Message(r *host.Round, from data.Hash, m i2np.Message) bandwidth.Class {
	switch m.Type {
	case i2np.TypeShortTunnelBuild:
		n.t.Request(r, from, m)
		return bandwidth.Control
	case i2np.TypeTunnelData:
		d, err := i2np.ParseTunnelData(m.Body)
		if err != nil {
			n.tb.Error(err)
		} else if to, ok := n.table.Lookup(tunnel.ID(d.TunnelID())); ok {
			to.TunnelData(r, from, d)
		}
		return bandwidth.Transit
	}
	n.inbox = append(n.inbox, received{from, clone(m)})
	return bandwidth.Own
}

func (n *wired) RouterInfo(*host.Round, *data.RouterInfo, bool) {}
func (n *wired) Connected(*host.Round, data.Hash)               {}
func (n *wired) Readdressed(*host.Round)                        {}
func (n *wired) Online(*host.Round, time.Time)                  {}
func (n *wired) Failed(_ *host.Round, _ data.Hash, err error)   { n.tb.Error(err) }
func (n *wired) Banned(time.Time, data.Hash) bool               { return false }

// Three hops, joined by real sessions that lend what they have read and seal
// what they are given.
func TestTunnelOverRealSessions(t *testing.T) {
	w := sim.New(t, 3, sim.Config{})
	net := newNetwork(t, w)
	db := make(netdb)
	all := make([]*wired, 5)
	for i := range all {
		all[i] = newWired(t, w, db, i)
	}
	creator, target, hops := all[0], all[1], all[2:]
	p := build.Path{Direction: build.Outbound, EndRouter: creator.hash, EndTunnel: 77}
	for _, n := range hops {
		p.Hops = append(p.Hops, build.Hop{Hash: n.hash, Key: n.keys.Public})
	}
	b, m := net.create(p)
	send := func(all ...i2np.Message) {
		creator.h.Do(func(r *host.Round) {
			for _, m := range all {
				must(t, creator.tr.Send(r, hops[0].hash, m, bandwidth.Own))
			}
		})
	}
	send(m)
	if !w.RunUntil(func() bool { return len(creator.inbox) == 1 }, 10*time.Second) {
		t.Fatal("no answer came")
	}
	g, err := i2np.ParseTunnelGateway(creator.inbox[0].m.Body)
	must(t, err)
	accepted(t, net.codes(b, openReply(t, w.Now(), b, g.Message).Body))

	var sent []i2np.Message
	for size := 10; size < 60000; size = size*3 + 7 {
		sent = append(sent, net.payload(size))
	}
	s := stands{b.Layers(), b.Gateway()}
	send(net.pack(s, tunnel.Delivery{Kind: tunnel.ToRouter, Router: target.hash}, sent...)...)
	if !w.RunUntil(func() bool { return len(target.inbox) == len(sent) }, 10*time.Second) {
		t.Fatalf("%d of %d messages came", len(target.inbox), len(sent))
	}
	for i, got := range target.inbox {
		if got.from != hops[2].hash || got.m.ID != sent[i].ID || !bytes.Equal(got.m.Body, sent[i].Body) {
			t.Errorf("message %d is another", i)
		}
	}
	for i, n := range hops {
		if st := n.t.Stats(); len(st.Dropped) != 0 || st.Messages == 0 {
			t.Errorf("hop %d: %+v", i, st)
		}
	}
}
