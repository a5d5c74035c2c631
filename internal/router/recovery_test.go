package router_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/router"
	"allium/internal/sim"
	"allium/internal/tunnel"
)

// returns is within what time after its network is back a router must have a
// tunnel that works (pain 7).
const returns = 30 * time.Second

// company starts eight routers that know each other, three of them floodfills.
// The last, which is returned, is nobody's listener: it finds the way to
// others alone.
func company(t testing.TB, w *sim.World, before func(n *node)) *node {
	t.Helper()
	var all []*node
	for i := range 7 {
		all = append(all, start(t, w, fmt.Sprintf("10.0.%d.1", i+1), i < 3))
	}
	n := prepare(t, w, "10.0.100.1")
	n.cfg.Transport.Listen = []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), 12345)}
	n.cfg.Exploratory = hops(2)
	if before != nil {
		before(n)
	}
	introduce(append(all, n.start())...)
	return n
}

// client is a context of n whose tunnels are tried by messages to itself.
type client struct {
	*node
	context *router.Context
	sent    byte
	back    byte // the last of them that came back
}

// serve opens a client on n and waits until its tunnels work.
func (n *node) serve() *client {
	n.t.Helper()
	c := &client{node: n}
	c.context = n.open(router.ContextConfig{Name: "client", Tunnels: hops(2), Garlic: func(_ *host.Round, sealed []byte) {
		c.back = sealed[0]
	}})
	c.recovers("at the start")
	return c
}

// try sends a message out through each tunnel and back through each.
func (c *client) try() {
	c.sent++
	c.h.Do(func(r *host.Round) {
		for _, out := range c.context.Pool.Outbounds(r.Now) {
			for _, in := range c.context.Pool.Inbounds(r.Now) {
				gateway, id := in.Gateway()
				m := c.message(i2np.TypeGarlic, i2np.Garlic{Data: append([]byte{c.sent}, make([]byte, 99)...)}.Append(nil))
				_ = out.Send(r, tunnel.Delivery{Kind: tunnel.ToTunnel, Router: gateway, Tunnel: id}, m)
			}
		}
	})
}

// recovers waits until a message that is sent from now on comes back through
// tunnels, and gives the time that took.
func (c *client) recovers(what string) time.Duration {
	c.t.Helper()
	began, first := c.w.Now(), c.sent+1
	for c.w.Now().Sub(began) < returns {
		c.try()
		if c.w.RunUntil(func() bool { return int8(c.back-first) >= 0 && int8(c.sent-c.back) >= 0 }, time.Second) {
			return c.w.Now().Sub(began)
		}
	}
	c.t.Fatalf("%s: no tunnel works %v after the network is back: %+v", what, returns, c.status().Pools[1])
	return 0
}

// stays fails when n has forgotten routers, or blames them.
func (n *node) stays(known int) {
	n.t.Helper()
	if got := n.NetDB().Len(); got != known {
		n.t.Errorf("knows %d routers of %d", got, known)
	}
}

func TestRouterComesUpAfterAnOutageAtItsStart(t *testing.T) {
	for name, lose := range map[string]struct{ away, back func(w *sim.World, n *node) }{
		"unplugged":  {func(w *sim.World, n *node) { w.Unplug(n.h) }, func(w *sim.World, n *node) { w.Plug(n.h) }},
		"no address": {func(w *sim.World, n *node) { w.Move(n.h) }, func(w *sim.World, n *node) { w.Move(n.h, "10.0.100.1") }},
	} {
		t.Run(name, func(t *testing.T) {
			w := sim.New(t, 31, sim.Config{})
			n := company(t, w, func(n *node) { lose.away(w, n) })
			w.Run(10 * time.Minute)
			lose.back(w, n)
			began := w.Now()
			n.serve()
			took := w.Now().Sub(began)
			t.Logf("works after %v", took)
			if took > returns {
				t.Errorf("works after %v", took)
			}
			n.stays(7)
		})
	}
}

func TestRouterComesBackAfterEveryFlapOfItsLink(t *testing.T) {
	w := sim.New(t, 32, sim.Config{})
	n := company(t, w, nil).serve()
	flaps := 200
	if testing.Short() {
		flaps = 20
	}
	var longest time.Duration
	for flap := range flaps {
		w.Unplug(n.h)
		w.Run(time.Duration(1+w.Rand().IntN(90)) * time.Second)
		w.Plug(n.h)
		longest = max(longest, n.recovers(fmt.Sprintf("flap %d", flap)))
		w.Run(time.Duration(w.Rand().IntN(20)) * time.Second)
	}
	n.stays(7)
	t.Logf("works after %v at most", longest)
}

func TestRouterComesBackAfterEveryChangeOfItsAddress(t *testing.T) {
	w := sim.New(t, 33, sim.Config{})
	n := company(t, w, nil).serve()
	var longest time.Duration
	for i := range 12 {
		w.Move(n.h, fmt.Sprintf("10.0.%d.1", 101+i))
		longest = max(longest, n.recovers(fmt.Sprintf("address %d", i)))
		w.Run(5 * time.Minute)
	}
	t.Logf("works after %v at most", longest)
}

func TestRouterComesBackAfterANightAsleep(t *testing.T) {
	w := sim.New(t, 34, sim.Config{})
	n := company(t, w, nil).serve()
	w.Freeze(n.h)
	if w.Run(time.Hour); !testing.Short() {
		w.Run(7 * time.Hour)
	}
	w.Thaw(n.h)
	t.Logf("works after %v", n.recovers("asleep"))
	n.stays(7)
	if age := w.Now().Sub(n.RouterInfo(w.Now()).Published()); age > time.Minute {
		t.Errorf("its RouterInfo is %v old", age)
	}
}

func TestRouterComesBackWhenAllPeersWereGone(t *testing.T) {
	w := sim.New(t, 35, sim.Config{})
	n := company(t, w, nil).serve()
	w.Unplug(n.h)
	w.Run(2 * time.Hour)
	w.Plug(n.h)
	t.Logf("works after %v", n.recovers("alone"))
	n.stays(7)
}

func TestRouterComesBackAfterItsClockWasSet(t *testing.T) {
	w := sim.New(t, 36, sim.Config{})
	n := company(t, w, nil).serve()
	for _, wrong := range []time.Duration{3 * time.Hour, -3 * time.Hour} {
		n.h.Skew(wrong)
		w.Run(30 * time.Minute)
		n.h.Skew(0)
		t.Logf("works after %v", n.recovers(wrong.String()))
		n.stays(7)
	}
}

// Without a network nothing newer can be learned, so nothing is forgotten for
// its age.
func TestNothingIsForgottenWithoutANetwork(t *testing.T) {
	w := sim.New(t, 37, sim.Config{})
	n := start(t, w, "10.0.100.1", false)
	w.Unplug(n.h)
	n.NetDB().Import(w.Now(), func(yield func(string, []byte) bool) {
		for range 20 {
			if !yield("router.info", firewalled(t, w.Now().Add(-26*time.Hour)).Bytes()) {
				return
			}
		}
	})
	n.knowStrangers(120) // enough for the old ones to go in other times
	w.Run(30 * time.Minute)
	n.stays(140)
}

// A peer that is silent while nobody is heard is not to blame.
func TestNobodyIsBlamedForAnOutage(t *testing.T) {
	w := sim.New(t, 38, sim.Config{})
	n := company(t, w, nil).serve()
	w.Unplug(n.h)
	w.Run(15 * time.Second) // what was begun before
	before := make(map[data.Hash]float64)
	for _, p := range n.Profiles().Peers(w.Now()) {
		before[p.Hash] = p.DialsFailed + p.TunnelTimeouts + p.LookupsFailed
	}
	w.Run(5 * time.Minute)
	for _, p := range n.Profiles().Peers(w.Now()) {
		if now := p.DialsFailed + p.TunnelTimeouts + p.LookupsFailed; now > before[p.Hash] {
			t.Errorf("%s had %.1f failures and has %.1f", p.Hash.Short(), before[p.Hash], now)
		}
	}
}

func TestOutagesGoTheSameWayTwice(t *testing.T) {
	sim.Twice(t, 40, sim.Config{}, func(w *sim.World) {
		n := company(t, w, nil)
		w.Run(time.Minute)
		w.Unplug(n.h)
		w.Run(time.Minute)
		w.Plug(n.h)
		w.Run(30 * time.Second)
		w.Move(n.h, "10.0.101.1")
		w.Run(30 * time.Second)
		w.Freeze(n.h)
		w.Run(5 * time.Minute)
		w.Thaw(n.h)
		w.Run(30 * time.Second)
	})
}
