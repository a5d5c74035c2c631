package destination_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/destination"
	"allium/internal/host"
	"allium/internal/netdb/floodfill"
	"allium/internal/router"
	"allium/internal/setting"
	"allium/internal/signature"
	"allium/internal/sim"
	"allium/internal/store"
	"allium/internal/tunnel/pool"
)

// network is routers on virtual time that know each other, the first few of
// them floodfills.
type network struct {
	t     testing.TB
	w     *sim.World
	nodes []*node
}

// node is a router and its machine.
type node struct {
	*router.Router
	n         *network
	h         *sim.Host
	kept      store.Store
	floodfill bool
}

func newNetwork(t testing.TB, w *sim.World, routers, floodfills int) *network {
	t.Helper()
	n := &network{t: t, w: w}
	for i := range routers {
		x := &node{n: n, h: w.Host(fmt.Sprintf("10.%d.1.1", i)), kept: store.Memory(), floodfill: i < floodfills}
		x.start()
		n.nodes = append(n.nodes, x)
	}
	for _, x := range n.nodes {
		x.know(n.nodes)
	}
	return n
}

// tunnels is so many of each direction, with so many hops.
func tunnels(hops, quantity int) pool.Config {
	d := pool.Direction{Length: hops, Quantity: quantity}
	return pool.Config{Inbound: d, Outbound: d}
}

// start starts the router, or starts it anew.
func (x *node) start() {
	x.n.t.Helper()
	var cfg router.Config
	setting.Defaults(&cfg.Transit)
	setting.Defaults(&cfg.Transport.NTCP2)
	cfg.NetID = 77
	cfg.Private = true
	cfg.Floodfill = floodfill.Off
	if x.floodfill {
		cfg.Floodfill = floodfill.On
	}
	cfg.Share = 1e6
	cfg.Transport.Publish = true
	cfg.Transport.MaxSessions = 100
	cfg.Transport.Listen = []netip.AddrPort{netip.AddrPortFrom(x.h.Addr(), 12345)}
	cfg.Exploratory = tunnels(1, 2)
	rt, err := router.New(cfg, x.h, x.kept, x.h.Logger(slog.LevelInfo), nil)
	if err != nil {
		x.n.t.Fatal(err)
	}
	x.Router = rt
}

func (x *node) know(others []*node) {
	x.NetDB().Import(x.n.w.Now(), func(yield func(string, []byte) bool) {
		for _, other := range others {
			if other != x && !yield("router.info", other.RouterInfo(x.n.w.Now()).Bytes()) {
				return
			}
		}
	})
}

// received is a message that reached its Destination.
type received struct {
	from destination.Sender
	destination.Message
	at time.Time
}

// endpoint is a Destination that keeps what it gets.
type endpoint struct {
	*destination.Destination
	node  *node
	keys  *data.PrivateKeys
	ready bool
	got   []received
	// answer, if any, is called for each message.
	answer func(r *host.Round, m received)
}

// Message implements destination.Handler.
func (e *endpoint) Message(r *host.Round, from destination.Sender, m destination.Message) {
	m.Payload = append([]byte(nil), m.Payload...)
	e.got = append(e.got, received{from, m, r.Now})
	if e.answer != nil {
		e.answer(r, e.got[len(e.got)-1])
	}
}

// Ready implements destination.Handler.
func (e *endpoint) Ready(_ *host.Round, ready bool) { e.ready = ready }

func newKeys(t testing.TB) *data.PrivateKeys {
	t.Helper()
	keys, err := data.GeneratePrivateKeys(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// open brings up a Destination.
func (x *node) open(cfg destination.Config, keys *data.PrivateKeys) *endpoint {
	x.n.t.Helper()
	if keys == nil {
		keys = newKeys(x.n.t)
	}
	e := &endpoint{node: x, keys: keys}
	x.h.Do(func(r *host.Round) {
		e.Destination = destination.Open(r, x.Router, cfg, keys, e, x.h.Logger(slog.LevelInfo))
	})
	return e
}

// ready waits until all can be reached.
func (n *network) ready(all ...*endpoint) {
	n.t.Helper()
	if !n.w.RunUntil(func() bool {
		for _, e := range all {
			if !e.ready {
				return false
			}
		}
		return true
	}, 3*time.Minute) {
		n.t.Fatal("not ready after three minutes")
	}
}

// pair is two Destinations on routers of a small network, both ready.
func pair(t testing.TB, w *sim.World, routers int) (n *network, a, b *endpoint) {
	t.Helper()
	n = newNetwork(t, w, routers, 2)
	cfg := destination.Config{Tunnels: tunnels(1, 2)}
	a, b = n.nodes[routers-2].open(cfg, nil), n.nodes[routers-1].open(cfg, nil)
	n.ready(a, b)
	return n, a, b
}

// send sends a message with a text.
func (e *endpoint) send(to data.Hash, text string) (err error) {
	e.node.h.Do(func(r *host.Round) {
		err = e.Send(r, to, destination.Message{Protocol: destination.ProtocolRaw, FromPort: 1, ToPort: 2, Payload: []byte(text)})
	})
	return err
}

// resolve waits for the end of Resolve.
func (e *endpoint) resolve(to data.Hash) (err error) {
	e.node.n.t.Helper()
	done := false
	e.node.h.Do(func(r *host.Round) {
		e.Resolve(r, to, func(_ *host.Round, result error) { err, done = result, true })
	})
	if !e.node.n.w.RunUntil(func() bool { return done }, time.Minute) {
		e.node.n.t.Fatal("never resolved")
	}
	return err
}

// status is that of now.
func (e *endpoint) status() destination.Status { return e.Status(e.node.n.w.Now()) }

// count is how many messages with a text have come.
func (e *endpoint) count(text string) (n int) {
	for _, m := range e.got {
		if string(m.Payload) == text {
			n++
		}
	}
	return n
}

// await waits for a message with a text, and gives it.
func (e *endpoint) await(text string, limit time.Duration) received {
	e.node.n.t.Helper()
	if !e.node.n.w.RunUntil(func() bool { return e.count(text) > 0 }, limit) {
		e.node.n.t.Fatalf("%q did not come within %v: %+v", text, limit, e.status())
	}
	for _, m := range e.got {
		if string(m.Payload) == text {
			return m
		}
	}
	panic("unreachable")
}
