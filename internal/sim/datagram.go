package sim

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"allium/internal/host"
)

// errInUse reports an address that a socket has already.
var errInUse = errors.New("sim: address in use")

// maxDatagram is the most bytes a UDP packet carries.
const maxDatagram = 65507

// datagrams is one UDP socket.
type datagrams struct {
	host   *Host
	h      host.DatagramHandler
	addr   netip.AddrPort
	closed bool
}

// binds checks an address to bind and fills in the port.
func (h *Host) binds(addr netip.AddrPort, inUse func(a netip.Addr, port uint16) bool) (netip.AddrPort, error) {
	a := addr.Addr().Unmap()
	if h.stopped {
		return addr, host.ErrClosed
	}
	if !a.IsValid() || !a.IsUnspecified() && !h.machine.has(a) {
		return addr, fmt.Errorf("sim: %v has no address %v: %w", h, a, host.ErrUnreachable)
	}
	port := addr.Port()
	if port == 0 {
		port = h.machine.newPort(func(p uint16) bool { return inUse(a, p) })
	} else if inUse(a, port) {
		return addr, errInUse
	}
	return netip.AddrPortFrom(a, port), nil
}

// overlaps tells whether two bound addresses answer to the same packets.
func overlaps(bound netip.AddrPort, a netip.Addr, port uint16) bool {
	b := bound.Addr()
	return bound.Port() == port && b.Is4() == a.Is4() && (b == a || b.IsUnspecified() || a.IsUnspecified())
}

// ListenUDP implements [host.Host].
func (h *Host) ListenUDP(addr netip.AddrPort, handler host.DatagramHandler) (host.Datagrams, error) {
	addr, err := h.binds(addr, func(a netip.Addr, port uint16) bool { return h.socket(a, port) != nil })
	if err != nil {
		return nil, err
	}
	d := &datagrams{host: h, h: handler, addr: addr}
	h.sockets = append(h.sockets, d)
	return d, nil
}

// socket is the one that answers to an address.
func (h *Host) socket(a netip.Addr, port uint16) *datagrams {
	for _, d := range h.sockets {
		if overlaps(d.addr, a, port) {
			return d
		}
	}
	return nil
}

// Addr implements [host.Datagrams].
func (d *datagrams) Addr() netip.AddrPort { return d.addr }

// Close implements [host.Datagrams].
func (d *datagrams) Close() error {
	if d.closed {
		return host.ErrClosed
	}
	d.closed = true
	for i, other := range d.host.sockets {
		if other == d {
			d.host.sockets = append(d.host.sockets[:i], d.host.sockets[i+1:]...)
			break
		}
	}
	return nil
}

// packet is one datagram under way.
type packet struct {
	from, to netip.AddrPort
	src      *machine
	at       node     // answers to the address it was sent to
	dst      *machine // known once it has passed the last translator
	turn     bool     // it has had its turn on dst's way down
	b        []byte
}

// Send implements [host.Datagrams].
func (d *datagrams) Send(to netip.AddrPort, b []byte) error {
	w, m := d.host.w, d.host.machine
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	from := d.addr
	switch {
	case d.closed:
		return host.ErrClosed
	case !to.IsValid() || to.Addr().Is4() != from.Addr().Is4():
		return fmt.Errorf("sim: send from %v to %v: %w", from, to, host.ErrUnreachable)
	case len(b) > maxDatagram:
		return fmt.Errorf("sim: send: %d bytes are too many", len(b))
	}
	if from.Addr().IsUnspecified() {
		a := m.source(to.Addr())
		if !a.IsValid() {
			return fmt.Errorf("sim: send to %v: %w", to, host.ErrUnreachable)
		}
		from = netip.AddrPortFrom(a, from.Port())
	}
	w.send(m, from, to, b)
	return nil
}

// send puts a datagram on its way, or loses it.
func (w *World) send(m *machine, from, to netip.AddrPort, b []byte) {
	size := ipSize(to, len(b))
	if w.full(&m.link, m.upFree) || m.link.MTU > 0 && size > m.link.MTU {
		return
	}
	leave := w.depart(m, size)
	if !m.cable {
		return
	}
	src, at, ok := w.route(m, udp, from, to)
	if !ok {
		return
	}
	var far Link
	dst, _ := at.(*machine)
	if dst != nil {
		far = dst.link
	}
	if w.chance(m.link.Loss+far.Loss) || far.MTU > 0 && size > far.MTU {
		return
	}
	copies := 1
	if w.chance(m.link.Duplicate + far.Duplicate) {
		copies = 2
	}
	base := leave + w.latency(m.place, at.where()) + int64(m.link.Latency+far.Latency)
	for range copies {
		when := base + w.upTo(m.link.Jitter+far.Jitter)
		if w.chance(m.link.Reorder + far.Reorder) {
			when += reorderDelay
		}
		p := w.newPacket(b)
		p.from, p.to, p.src, p.at, p.dst = src, to, m, at, dst
		w.events.at(when, p)
	}
}

// ipSize is the size of an IP packet that carries n bytes in UDP.
func ipSize(to netip.AddrPort, n int) int {
	if to.Addr().Is4() {
		return n + headerUDP4
	}
	return n + headerUDP6
}

// newPacket makes a packet with a copy of b.
func (w *World) newPacket(b []byte) *packet {
	var p *packet
	if last := len(w.packets) - 1; last >= 0 {
		p = w.packets[last]
		w.packets = w.packets[:last]
	} else {
		p = new(packet)
	}
	p.b = append(p.b[:0], b...)
	return p
}

// freePacket takes it back. Its bytes are spoilt, so that who kept them
// notices.
func (w *World) freePacket(p *packet) {
	poison(p.b)
	*p = packet{b: p.b[:0]}
	w.packets = append(w.packets, p)
}

// spoilt is what bytes are overwritten with.
var spoilt = bytes.Repeat([]byte{0xdb}, 4096)

// poison overwrites bytes whose loan is over.
func poison(b []byte) {
	for len(b) > 0 {
		b = b[copy(b, spoilt):]
	}
}

func (p *packet) fire(w *World) {
	if p.turn || p.travel(w) {
		p.deliver(w)
		w.freePacket(p)
	}
}

// travel takes the packet through the translators and down the last link. It
// reports false while the packet is still under way, and true when it is
// there or lost; then dst is nil.
func (p *packet) travel(w *World) bool {
	size := ipSize(p.to, len(p.b))
	if p.dst == nil {
		dst, to, ok := w.descend(p.at, udp, p.from, p.to)
		if !ok || w.chance(dst.link.Loss) || dst.link.MTU > 0 && size > dst.link.MTU {
			return true
		}
		p.dst, p.to = dst, to
		if extra := int64(dst.link.Latency) + w.upTo(dst.link.Jitter); extra > 0 {
			w.events.at(w.events.now+extra, p)
			return false
		}
	}
	if w.full(&p.dst.link, p.dst.downFree) {
		p.dst = nil
		return true
	}
	p.turn = true
	if when := w.arrive(p.dst, size); when > w.events.now {
		w.events.at(when, p)
		return false
	}
	return true
}

// deliver hands the packet to the socket, if there is one.
func (p *packet) deliver(w *World) {
	if p.dst == nil || !w.reachable(p.src, p.dst) {
		return
	}
	h := p.dst.host
	d := h.socket(p.to.Addr(), p.to.Port())
	if d == nil {
		return
	}
	w.event(kindDatagram, h, p.from, p.to, p.b, "")
	r := h.begin()
	d.h.Datagram(r, p.from, p.b[:len(p.b):len(p.b)])
	h.end(r)
}
