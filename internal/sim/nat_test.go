package sim_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"allium/internal/host"
	"allium/internal/sim"
)

// outside is three sockets on the internet: one that a host behind a
// translator sends to, one at another port of the same address, and one at
// another address.
type outside struct{ peer, port, addr *box }

func newOutside(t *testing.T, w *sim.World) outside {
	h := w.Host("198.51.100.1")
	return outside{socket(t, h, 1000), socket(t, h, 1001), socket(t, w.Host("198.51.100.2"), 1000)}
}

func TestTranslatorsLetInWhomTheyShould(t *testing.T) {
	for _, test := range []struct {
		name             string
		kind             sim.NATKind
		peer, port, addr bool // who gets through once the peer was sent to
	}{
		{"FullCone", sim.FullCone, true, true, true},
		{"AddressRestricted", sim.AddressRestricted, true, true, false},
		{"PortRestricted", sim.PortRestricted, true, false, false},
		{"Symmetric", sim.Symmetric, true, false, false},
		{"Firewall", sim.Firewall, true, false, false},
		{"UDPBlocked", sim.UDPBlocked, false, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := sim.New(t, 1, sim.Config{})
			out := newOutside(t, w)
			inner := "192.168.0.2"
			if test.kind == sim.Firewall {
				inner = "203.0.113.2"
			}
			nat := w.NAT(test.kind, "203.0.113.1")
			in := socket(t, nat.Host(inner), 9000)

			guess := netip.AddrPortFrom(nat.Addr(), 9000)
			if test.kind == sim.Firewall {
				guess = in.Addr()
			}
			out.peer.Send(guess, []byte("too early"))
			w.Run(time.Second)
			if len(in.bytes) > 0 {
				t.Error("it lets in who was not sent to")
			}
			in.Send(out.peer.Addr(), []byte("hello"))
			w.Run(time.Second)
			if test.kind == sim.UDPBlocked {
				if len(out.peer.from) > 0 {
					t.Error("UDP passed")
				}
				return
			}
			seen := out.peer.from[0]
			if want := test.kind == sim.Firewall; (seen == in.Addr()) != want {
				t.Errorf("%v is seen as %v", in.Addr(), seen)
			}
			for _, from := range []struct {
				box    *box
				passes bool
			}{{out.peer, test.peer}, {out.port, test.port}, {out.addr, test.addr}} {
				before := len(in.bytes)
				from.box.Send(seen, []byte("answer"))
				w.Run(time.Second)
				if passed := len(in.bytes) > before; passed != from.passes {
					t.Errorf("from %v it passed: %v, want %v", from.box.Addr(), passed, from.passes)
				}
			}
			in.Send(out.addr.Addr(), []byte("hello"))
			w.Run(time.Second)
			if same := out.addr.from[0] == seen; same != (test.kind != sim.Symmetric) {
				t.Errorf("%v and %v are seen by two peers", seen, out.addr.from[0])
			}
		})
	}
}

func TestMappingsExpire(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	out := newOutside(t, w)
	nat := w.NAT(sim.FullCone, "203.0.113.1")
	nat.Timeout = time.Minute
	in := socket(t, nat.Host("192.168.0.2"), 9000)
	in.Send(out.peer.Addr(), []byte("hello"))
	w.Run(59 * time.Second)
	out.addr.Send(out.peer.from[0], []byte("in time"))
	w.Run(30 * time.Second)
	out.addr.Send(out.peer.from[0], []byte("too late"))
	w.Run(time.Second)
	if len(in.bytes) != 1 || string(in.bytes[0]) != "in time" {
		t.Errorf("got %q", in.bytes)
	}
}

func TestHolePunching(t *testing.T) {
	for _, test := range []struct {
		a, b sim.NATKind
		meet bool
	}{
		{sim.PortRestricted, sim.PortRestricted, true},
		{sim.AddressRestricted, sim.Symmetric, true},
		{sim.PortRestricted, sim.Symmetric, false},
		{sim.Symmetric, sim.Symmetric, false},
	} {
		w := sim.New(t, 1, sim.Config{})
		rendezvous := socket(t, w.Host("198.51.100.1"), 1000)
		a := socket(t, w.NAT(test.a, "203.0.113.1").Host("192.168.0.2"), 9000)
		// The other one is behind two translators.
		outer := w.NAT(test.b, "203.0.113.2")
		b := socket(t, outer.NAT(test.b, "10.0.0.1").Host("192.168.0.2"), 9000)
		for _, box := range []*box{a, b} {
			box.Send(rendezvous.Addr(), []byte("here"))
			w.Run(time.Second)
		}
		seenA, seenB := rendezvous.from[0], rendezvous.from[1]
		if seenB.Addr() != outer.Addr() {
			t.Fatalf("seen at %v behind two translators", seenB)
		}
		for range 3 {
			a.Send(seenB, []byte("punch"))
			b.Send(seenA, []byte("punch"))
			w.Run(time.Second)
			for _, from := range a.from {
				a.Send(from, []byte("punch"))
			}
		}
		if meet := len(a.bytes) > 0 && len(b.bytes) > 0; meet != test.meet {
			t.Errorf("%v and %v: they meet: %v", test.a, test.b, meet)
		}
	}
}

func TestForwardedPortIsOpen(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	out := newOutside(t, w)
	nat := w.NAT(sim.Symmetric, "203.0.113.1")
	h := nat.Host("192.168.0.2")
	nat.Forward(4567, netip.AddrPortFrom(h.Addr(), 1000))
	in, s := socket(t, h, 1000), listen(t, h)
	at := netip.AddrPortFrom(nat.Addr(), 4567)
	out.addr.Send(at, []byte("hello"))
	in.Send(out.peer.Addr(), []byte("hello"))
	c := &handler{}
	w.Host("198.51.100.9").DialTCP(netip.Addr{}, at, c)
	w.Run(time.Second)
	if len(in.bytes) != 1 || len(out.peer.from) != 1 || out.peer.from[0] != at {
		t.Errorf("%d came in, it is seen as %v", len(in.bytes), out.peer.from)
	}
	if c.opened.IsZero() || len(s.accepted) != 1 {
		t.Error("no connection comes in")
	}
}

func TestStreamsLeaveATranslatorAndDoNotEnter(t *testing.T) {
	for _, kind := range []sim.NATKind{sim.PortRestricted, sim.Firewall, sim.UDPBlocked} {
		w := sim.New(t, 1, sim.Config{})
		a := w.Host("198.51.100.1")
		nat := w.NAT(kind, "203.0.113.1")
		inner := "192.168.0.2"
		if kind == sim.Firewall {
			inner = "203.0.113.2"
		}
		b := nat.Host(inner)
		near, far := connect(t, w, b, a)
		near.stream.Write([]byte("out"))
		far.stream.Write([]byte("in"))
		w.Run(time.Second)
		if string(near.data) != "in" || string(far.data) != "out" {
			t.Errorf("got %q and %q", near.data, far.data)
		}
		if seen := far.stream.Remote().Addr(); (seen == b.Addr()) != (kind == sim.Firewall) {
			t.Errorf("%v is seen as %v", b.Addr(), seen)
		}
		listen(t, b)
		to := nat.Addr()
		if kind == sim.Firewall {
			to = b.Addr()
		}
		c := dial(a, to)
		w.Run(time.Minute)
		if !errors.Is(c.reason, host.ErrTimeout) {
			t.Errorf("dialling in: %v", c.reason)
		}
	}
}

func TestNeighboursBehindATranslatorMeetDirectly(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	nat := w.NAT(sim.PortRestricted, "203.0.113.1")
	a, b := socket(t, nat.Host("192.168.0.2"), 1), socket(t, nat.Host("192.168.0.3"), 1)
	a.Send(b.Addr(), []byte("hello"))
	w.Run(time.Millisecond)
	if len(b.from) != 1 || b.from[0] != a.Addr() {
		t.Errorf("seen as %v", b.from)
	}
}
