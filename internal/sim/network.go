package sim

import (
	"fmt"
	"net/netip"
	"time"
)

// Link is how a machine is connected. What it says of delays and chances adds
// to what the other end's link says.
type Link struct {
	// Up and Down are bytes a second, 0 for no limit. A datagram that would
	// wait longer than MaxWait (500 ms) for its turn is dropped.
	Up, Down int
	MaxWait  time.Duration
	// Latency is added to every packet, and up to Jitter at random.
	Latency, Jitter time.Duration
	// Loss, Reorder and Duplicate are chances from 0 to 1 for each packet. In
	// a stream a loss is a delay and the others are not seen.
	Loss, Reorder, Duplicate float64
	// MTU drops larger IP packets without a word, 0 for no limit. Streams fit
	// always.
	MTU int
}

const (
	// firstPort is where ports chosen by a machine begin.
	firstPort = 32768
	// samePlace is the delay between machines behind one translator.
	samePlace = int64(200 * time.Microsecond)
	// minResend is the least time after which a stream sends again.
	minResend = int64(200 * time.Millisecond)
	// maxResend is the most.
	maxResend = int64(5 * time.Second)
	// reorderDelay is how far a packet falls back when it is reordered.
	reorderDelay = int64(30 * time.Millisecond)

	headerUDP4 = 28
	headerUDP6 = 48
)

// realm is a range of addresses that see each other: the internet, or the
// inside of a translator.
type realm struct {
	nodes   map[netip.Addr]node
	gateway *NAT // nil for the internet
}

// node is what has an address: a *machine or a *NAT.
type node interface {
	// where is the place that decides its latency.
	where() uint64
}

func (m *machine) where() uint64 { return m.place }

// add gives n the address a.
func (r *realm) add(a netip.Addr, n node) {
	if r.nodes[a] != nil {
		panic(fmt.Sprintf("sim: address %v is taken", a))
	}
	r.nodes[a] = n
}

// cut is a pair of machines that cannot reach each other, the lower id first.
type cut struct{ a, b int }

func cutOf(a, b *Host) cut {
	return cut{min(a.machine.id, b.machine.id), max(a.machine.id, b.machine.id)}
}

// Shape changes the link of the host for what is sent from now on.
func (h *Host) Shape(l Link) { h.machine.link = l }

// reachable tells whether what a sent can arrive at b now.
func (w *World) reachable(a, b *machine) bool {
	if !b.on || !b.cable || !a.cable {
		return false
	}
	return len(w.cuts) == 0 || !w.cuts[cut{min(a.id, b.id), max(a.id, b.id)}]
}

// source is the address from which m sends to addr, the zero Addr when it has
// none of that family.
func (m *machine) source(to netip.Addr) netip.Addr {
	for _, a := range m.addrs {
		if a.Is4() == to.Is4() {
			return a
		}
	}
	return netip.Addr{}
}

// has tells whether a is an address of m.
func (m *machine) has(a netip.Addr) bool {
	for _, own := range m.addrs {
		if own == a {
			return true
		}
	}
	return false
}

// newPort chooses a port that inUse does not know.
func (m *machine) newPort(inUse func(uint16) bool) uint16 {
	for {
		p := m.port
		m.port++
		if m.port == 0 {
			m.port = firstPort
		}
		if !inUse(p) {
			return p
		}
	}
}

// route takes a packet from m to the node that answers to its destination,
// through the translators on the way out. It returns the source as it is seen
// there. ok is false when the packet is lost.
func (w *World) route(m *machine, proto protocol, from, to netip.AddrPort) (netip.AddrPort, node, bool) {
	r := m.realm
	for {
		if n := r.nodes[to.Addr()]; n != nil {
			return from, n, true
		}
		if r.gateway == nil {
			return from, nil, false
		}
		var ok bool
		if from, ok = r.gateway.outbound(proto, from, to); !ok {
			return from, nil, false
		}
		r = r.gateway.outer
	}
}

// descend takes a packet from the node that answers to its destination to the
// machine that gets it, through the translators on the way in.
func (w *World) descend(n node, proto protocol, from, to netip.AddrPort) (*machine, netip.AddrPort, bool) {
	for {
		switch at := n.(type) {
		case *machine:
			return at, to, true
		case *NAT:
			var ok bool
			if to, ok = at.inbound(proto, from, to); !ok {
				return nil, to, false
			}
			n = at.inside.nodes[to.Addr()]
		default:
			return nil, to, false
		}
	}
}

// latency is the delay between two places without links and chance, the same
// both ways.
func (w *World) latency(a, b uint64) int64 {
	if a == b {
		return samePlace
	}
	spread := uint64(w.cfg.MaxLatency - w.cfg.MinLatency)
	base := int64(w.cfg.MinLatency)
	if spread == 0 {
		return base
	}
	h := w.seed ^ min(a, b)*0x9e3779b97f4a7c15 ^ max(a, b)*0xbf58476d1ce4e5b9
	h = (h ^ h>>31) * 0x94d049bb133111eb
	h ^= h >> 29
	return base + int64(h%spread)
}

// chance draws whether something of probability p happens.
func (w *World) chance(p float64) bool {
	return p > 0 && w.rand.Float64() < p
}

// upTo draws a delay.
func (w *World) upTo(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return w.rand.Int64N(int64(d))
}

// busy is how long n bytes keep a link of the given speed.
func busy(n, speed int) int64 {
	return int64(n) * int64(time.Second) / int64(speed)
}

// depart puts n bytes on m's way up and returns when they have left.
func (w *World) depart(m *machine, n int) int64 {
	if m.link.Up == 0 {
		return w.events.now
	}
	m.upFree = max(m.upFree, w.events.now) + busy(n, m.link.Up)
	return m.upFree
}

// arrive puts n bytes on m's way down and returns when they are there.
func (w *World) arrive(m *machine, n int) int64 {
	if m.link.Down == 0 {
		return w.events.now
	}
	m.downFree = max(m.downFree, w.events.now) + busy(n, m.link.Down)
	return m.downFree
}

// full tells whether a datagram would wait too long on a link.
func (w *World) full(l *Link, free int64) bool {
	wait := or(l.MaxWait, 500*time.Millisecond)
	return free-w.events.now > int64(wait)
}
