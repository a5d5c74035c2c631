package router_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/netdb/floodfill"
	"allium/internal/sim"
)

// everywhere prepares a router of the public kind, which listens on all
// addresses of its machine.
func everywhere(t testing.TB, w *sim.World, addrs ...string) *node {
	n := prepare(t, w, addrs[0])
	n.h = hostOf(w, n.h, addrs)
	n.cfg.Private = false
	n.cfg.Exploratory = hops(2)
	n.cfg.Transport.Listen = []netip.AddrPort{
		netip.AddrPortFrom(netip.IPv4Unspecified(), 12345), netip.AddrPortFrom(netip.IPv6Unspecified(), 12345),
	}
	return n
}

func hostOf(w *sim.World, h *sim.Host, addrs []string) *sim.Host {
	w.Move(h, addrs...)
	return h
}

// internet starts so many of them, dual-stacked and each in a network of its
// own; the first three, whose operators name the addresses, are floodfills.
func internet(t testing.TB, w *sim.World, count int) []*node {
	t.Helper()
	var all []*node
	for i := range count {
		n := everywhere(t, w, fmt.Sprintf("45.%d.1.1", i+1), fmt.Sprintf("2a01:%x::1", i+1))
		if i < 3 {
			n.cfg.Transport.Hosts = n.h.Addrs()
			n.cfg.Floodfill = floodfill.On
		}
		all = append(all, n.start())
	}
	introduce(all[:3]...)
	for _, n := range all[3:] {
		n.know(all[:3]...)
	}
	return all
}

// says is what others know of n, in short.
func (n *node) says(of *node) string {
	ri := n.NetDB().RouterInfo(of.Hash())
	if ri == nil {
		return ""
	}
	var hosts []string
	for _, a := range ri.Addresses() {
		if to, ok := a.AddrPort(); ok {
			hosts = append(hosts, to.Addr().String())
		} else {
			hosts = append(hosts, a.Caps())
		}
	}
	return strings.Join(append(hosts, ri.Caps()), " ")
}

func TestRoutersFindOutWhereTheyAre(t *testing.T) {
	w := sim.New(t, 81, sim.Config{})
	all := internet(t, w, 10)
	at := func(n *node) func() bool {
		return func() bool { return strings.Contains(all[0].says(n), n.h.Addr().String()+" ") }
	}
	for _, n := range all[3:] {
		if !w.RunUntil(at(n), 30*time.Minute) {
			t.Fatalf("others know of %v: %s", n.h.Addrs(), all[0].says(n))
		}
	}
	for _, n := range all[3:] {
		if !w.RunUntil(func() bool { return strings.HasSuffix(all[0].says(n), "R") }, 3*time.Hour) {
			t.Fatalf("others know of %v: %s", n.h.Addrs(), all[0].says(n))
		}
	}
	n := all[9]
	for i := range 3 {
		moved := fmt.Sprintf("46.%d.1.1", i+1)
		w.Move(n.h, moved)
		w.Run(7 * time.Second)
		for _, a := range n.RouterInfo(w.Now()).Addresses() {
			if host, ok := a.Host(); ok && host.String() != moved {
				t.Errorf("still says it is at %v", host)
			}
		}
		if !w.RunUntil(at(n), 30*time.Minute) {
			t.Fatalf("others know of %v: %s", n.h.Addrs(), all[0].says(n))
		}
	}
}

// No peer refuses us for coming from elsewhere than our RouterInfo says (trap
// 1), whatever becomes of our address.
func TestNoPeerRefusesARouterThatMoves(t *testing.T) {
	w := sim.New(t, 82, sim.Config{})
	all := internet(t, w, 8)
	w.Run(10 * time.Minute)
	n := all[7].serve()
	var longest time.Duration
	for i := range 6 {
		w.Move(n.h, fmt.Sprintf("46.%d.1.1", i+1))
		longest = max(longest, n.recovers(fmt.Sprintf("address %d", i)))
		w.Run(5 * time.Minute)
	}
	if failed := n.status().Transport.Failed; failed > 0 {
		t.Errorf("%d peers failed", failed)
	}
	t.Logf("works after %v at most", longest)
}

func TestRouterWorksOverIPv6Alone(t *testing.T) {
	w := sim.New(t, 83, sim.Config{})
	all := internet(t, w, 8)
	w.Run(5 * time.Minute)
	n := everywhere(t, w, "2a02::1").start()
	n.know(all[:3]...)
	n.serve()
	for _, a := range n.RouterInfo(w.Now()).Addresses() {
		if v4, _ := a.Families(); v4 {
			t.Errorf("claims IPv4: %v", a)
		}
	}
}

func TestHiddenRouterPublishesNothingAndCarriesNothing(t *testing.T) {
	w := sim.New(t, 84, sim.Config{})
	all := internet(t, w, 8)
	n := everywhere(t, w, "46.1.1.1")
	n.cfg.Hidden, n.cfg.Floodfill = true, floodfill.On
	n.start().know(all[:3]...)
	w.Run(10 * time.Minute)
	ri := n.RouterInfo(w.Now())
	caps := ri.Capabilities()
	published := slices.ContainsFunc(ri.Addresses(), func(a data.RouterAddress) bool { _, ok := a.Host(); return ok })
	if !caps.Hidden || caps.Floodfill || caps.Reachable || caps.Congestion != data.RejectsTunnels || published {
		t.Errorf("says %s at %v", ri.Caps(), ri.Addresses())
	}
	if err := ri.Lint(); err != nil {
		t.Error(err)
	}
	if s := n.status(); !s.Ready || s.Transit.Accepted > 0 {
		t.Errorf("ready %v, carries %+v", s.Ready, s.Transit)
	}
	n.serve()
}

// behind starts a router of the public kind behind a gateway that lets nobody
// in.
func behind(t testing.TB, w *sim.World, gateway string) *node {
	n := everywhere(t, w, "192.168.1.2")
	w.Move(n.h)
	n.h = w.NAT(sim.PortRestricted, gateway).Host("192.168.1.2")
	return n.start()
}

func TestRoutersBehindGatewaysBuildTunnelsAsOthersDo(t *testing.T) {
	w := sim.New(t, 85, sim.Config{})
	all := internet(t, w, 10)
	for i := range 8 {
		n := behind(t, w, fmt.Sprintf("46.%d.1.1", i+1))
		n.know(all[:3]...)
		all = append(all, n)
	}
	w.Run(3 * time.Minute)
	for _, n := range all[10:12] {
		n.serve()
	}
	w.Run(12 * time.Minute)
	for i, n := range all {
		built, failed := 0, 0
		for _, p := range n.status().Pools {
			built += p.Inbound.Built + p.Outbound.Built
			failed += p.Inbound.Failed + p.Outbound.Failed
		}
		if built < 4 || 10*failed > built {
			t.Errorf("router %d: %d built, %d failed", i, built, failed)
		}
		if caps := n.RouterInfo(w.Now()).Capabilities(); caps.Unreachable != (i >= 10) {
			t.Errorf("router %d says %v", i, caps)
		}
	}
}
