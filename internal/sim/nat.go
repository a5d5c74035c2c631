package sim

import (
	"net/netip"
	"time"
)

// NATKind tells whom an address translator lets in.
type NATKind uint8

const (
	// FullCone gives each inner port one outer port, open to everybody.
	FullCone NATKind = iota
	// AddressRestricted lets in only addresses that were sent to.
	AddressRestricted
	// PortRestricted lets in only addresses and ports that were sent to.
	PortRestricted
	// Symmetric is like PortRestricted and takes another outer port for each
	// destination.
	Symmetric
	// Firewall is like PortRestricted and translates nothing: the machines
	// behind it have addresses of the outside.
	Firewall
	// UDPBlocked is like PortRestricted for TCP and drops all UDP.
	UDPBlocked
)

// protocol is UDP or TCP.
type protocol uint8

const (
	udp protocol = iota
	tcp
)

// NAT is an address translator. Behind it stand hosts, or other translators.
type NAT struct {
	// Timeout is how long a UDP mapping lives after the last packet out.
	Timeout time.Duration

	w      *World
	kind   NATKind
	addr   netip.Addr // outside
	place  uint64
	outer  *realm
	inside realm
	out    map[outKey]*mapping
	in     map[inKey]*mapping
}

// outKey finds the mapping of a packet going out. to is zero except for
// Symmetric.
type outKey struct {
	proto    protocol
	from, to netip.AddrPort
}

// inKey finds it for a packet coming in.
type inKey struct {
	proto protocol
	to    netip.AddrPort
}

type mapping struct {
	inner, outer netip.AddrPort
	forward      bool // made by Forward: open to all, for ever
	last         int64
	peers        map[netip.AddrPort]int64 // when each was last sent to
	addrs        map[netip.Addr]int64
}

// NAT adds a translator to the internet.
func (w *World) NAT(kind NATKind, addr string) *NAT {
	w.places++
	return w.newNAT(&w.internet, kind, addr, w.places)
}

// NAT adds a translator behind n.
func (n *NAT) NAT(kind NATKind, addr string) *NAT {
	return n.w.newNAT(&n.inside, kind, addr, n.place)
}

func (w *World) newNAT(outer *realm, kind NATKind, addr string, place uint64) *NAT {
	n := &NAT{
		Timeout: 2 * time.Minute,
		w:       w,
		kind:    kind,
		addr:    netip.MustParseAddr(addr),
		place:   place,
		outer:   outer,
		out:     make(map[outKey]*mapping),
		in:      make(map[inKey]*mapping),
	}
	n.inside = realm{nodes: make(map[netip.Addr]node), gateway: n}
	outer.add(n.addr, n)
	return n
}

// Host adds a machine behind n.
func (n *NAT) Host(addrs ...string) *Host {
	h := n.w.newHost(&n.inside, n.place, addrs)
	if n.kind == Firewall {
		for _, a := range h.machine.addrs {
			n.outer.add(a, n)
		}
	}
	return h
}

// Addr is the outer address.
func (n *NAT) Addr() netip.Addr { return n.addr }

// Forward opens the outer port to an address inside for UDP and TCP, as the
// owner of the router would.
func (n *NAT) Forward(port uint16, inner netip.AddrPort) {
	for _, proto := range []protocol{udp, tcp} {
		m := &mapping{inner: inner, outer: netip.AddrPortFrom(n.outerAddr(inner), port), forward: true}
		n.out[outKey{proto: proto, from: inner}] = m
		n.in[inKey{proto, m.outer}] = m
	}
}

func (n *NAT) where() uint64 { return n.place }

func (n *NAT) outerAddr(inner netip.AddrPort) netip.Addr {
	if n.kind == Firewall {
		return inner.Addr()
	}
	return n.addr
}

// outbound translates the source of a packet that leaves and remembers where
// it went.
func (n *NAT) outbound(proto protocol, from, to netip.AddrPort) (netip.AddrPort, bool) {
	if n.kind == UDPBlocked && proto == udp {
		return from, false
	}
	if n.kind != Firewall && from.Addr().Is4() != n.addr.Is4() {
		return from, false
	}
	if m := n.out[outKey{proto: proto, from: from}]; m != nil && m.forward {
		return m.outer, true
	}
	m := n.mapping(proto, from, to)
	now := n.w.events.now
	m.last = now
	m.peers[to] = now
	m.addrs[to.Addr()] = now
	return m.outer, true
}

// mapping finds or makes the mapping for a packet that leaves.
func (n *NAT) mapping(proto protocol, from, to netip.AddrPort) *mapping {
	key := outKey{proto: proto, from: from}
	if n.kind == Symmetric {
		key.to = to
	}
	if m := n.out[key]; m != nil {
		if n.alive(proto, m.last) {
			return m
		}
		delete(n.in, inKey{proto, m.outer})
	}
	m := &mapping{
		inner: from,
		outer: n.newOuter(proto, from),
		peers: make(map[netip.AddrPort]int64),
		addrs: make(map[netip.Addr]int64),
	}
	n.out[key] = m
	n.in[inKey{proto, m.outer}] = m
	return m
}

// newOuter keeps the inner port if it is free, but Symmetric never tries.
func (n *NAT) newOuter(proto protocol, from netip.AddrPort) netip.AddrPort {
	port := from.Port()
	if n.kind == Symmetric {
		port = n.randomPort()
	}
	for {
		outer := netip.AddrPortFrom(n.outerAddr(from), port)
		m := n.in[inKey{proto, outer}]
		if m == nil || m.inner == from && n.kind != Symmetric {
			return outer
		}
		port = n.randomPort()
	}
}

func (n *NAT) randomPort() uint16 { return uint16(1024 + n.w.rand.IntN(1<<16-1024)) }

// alive tells whether something last used then still counts.
func (n *NAT) alive(proto protocol, last int64) bool {
	return proto == tcp || n.w.events.now-last < int64(n.Timeout)
}

// inbound translates the destination of a packet that comes in, if it may.
func (n *NAT) inbound(proto protocol, from, to netip.AddrPort) (netip.AddrPort, bool) {
	m := n.in[inKey{proto, to}]
	switch {
	case m == nil:
		return to, false
	case m.forward:
		return m.inner, n.kind != UDPBlocked || proto == tcp
	case !n.alive(proto, m.last):
		return to, false
	}
	var last int64
	known := true
	switch n.kind {
	case FullCone:
		last = m.last
	case AddressRestricted:
		last, known = m.addrs[from.Addr()]
	default:
		last, known = m.peers[from]
	}
	return m.inner, known && n.alive(proto, last)
}
