package router_test

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb/floodfill"
	"allium/internal/random"
	"allium/internal/router"
	"allium/internal/setting"
	"allium/internal/sim"
	"allium/internal/store"
	"allium/internal/tunnel"
	"allium/internal/tunnel/pool"
)

// node is a router and its machine.
type node struct {
	*router.Router
	t    testing.TB
	w    *sim.World
	h    *sim.Host
	cfg  router.Config
	kept store.Store
	log  *slog.Logger
}

// hops is tunnels with so many hops, one of each direction.
func hops(n int) pool.Config {
	d := pool.Direction{Length: n, Quantity: 1}
	return pool.Config{Inbound: d, Outbound: d}
}

// prepare makes a router that is not running yet.
func prepare(t testing.TB, w *sim.World, address string) *node {
	n := &node{t: t, w: w, h: w.Host(address), kept: store.Memory()}
	setting.Defaults(&n.cfg.Transit)
	setting.Defaults(&n.cfg.Transport.NTCP2)
	n.cfg.NetID = 77
	n.cfg.Private = true
	n.cfg.Share = 1e6
	n.cfg.Transport.Publish = true
	n.cfg.Transport.MaxSessions = 100
	n.cfg.Transport.Listen = []netip.AddrPort{netip.AddrPortFrom(n.h.Addr(), 12345)}
	n.cfg.Exploratory = hops(1)
	n.log = n.h.Logger(slog.LevelDebug)
	return n
}

// start starts it, or starts it anew.
func (n *node) start() *node {
	n.t.Helper()
	rt, err := router.New(n.cfg, n.h, n.kept, n.log, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	n.Router = rt
	return n
}

// role is that of a router that is a floodfill, or is none, from the start.
func role(is bool) floodfill.Role {
	if is {
		return floodfill.On
	}
	return floodfill.Off
}

// start starts a router, a floodfill or not.
func start(t testing.TB, w *sim.World, address string, isFloodfill bool) *node {
	t.Helper()
	n := prepare(t, w, address)
	n.cfg.Floodfill = role(isFloodfill)
	return n.start()
}

// know lets n know others.
func (n *node) know(others ...*node) {
	n.NetDB().Import(n.w.Now(), func(yield func(string, []byte) bool) {
		for _, other := range others {
			if other != n && !yield("router.info", other.RouterInfo(n.w.Now()).Bytes()) {
				return
			}
		}
	})
}

func introduce(all ...*node) {
	for _, n := range all {
		n.know(all...)
	}
}

// status is that of now.
func (n *node) status() router.Status { return n.Status(n.w.Now()) }

// message is a fresh one.
func (n *node) message(kind i2np.Type, body []byte) i2np.Message {
	return i2np.Message{Type: kind, ID: random.Nonzero32(), Expiration: n.w.Now().Add(time.Minute), Body: body}
}

// tell sends a message directly.
func (n *node) tell(to data.Hash, m i2np.Message) (err error) {
	n.h.Do(func(r *host.Round) { err = n.Send(r, to, m, bandwidth.Own) })
	return err
}

// inject sends a message into the tunnel that begins at a gateway.
func (n *node) inject(gateway data.Hash, id tunnel.ID, m i2np.Message) {
	n.t.Helper()
	g := i2np.TunnelGateway{TunnelID: uint32(id), Message: m.AppendStandard(nil)}
	if err := n.tell(gateway, n.message(i2np.TypeTunnelGateway, g.Append(nil))); err != nil {
		n.t.Fatal(err)
	}
}

// open makes a context, and waits for its tunnels.
func (n *node) open(cfg router.ContextConfig) *router.Context {
	n.t.Helper()
	var c *router.Context
	n.h.Do(func(r *host.Round) { c = n.OpenContext(r, cfg) })
	stands := func() bool {
		now := n.w.Now()
		return len(c.Pool.Inbounds(now)) > 0 && len(c.Pool.Outbounds(now)) > 0
	}
	if !n.w.RunUntil(stands, 2*time.Minute) {
		n.t.Fatal("no tunnels")
	}
	return c
}

// portOf is the address of n with another port.
func portOf(n *node, port uint16) netip.AddrPort { return netip.AddrPortFrom(n.h.Addr(), port) }
