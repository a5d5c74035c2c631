package sim

import (
	"net/netip"
	"time"

	"allium/internal/host"
)

// firstSYN is how long a dialler waits before it asks again; each time it
// waits twice as long.
const firstSYN = int64(time.Second)

// dial is a connection being set up: it asks (syn), the listener agrees
// (synAck), the dialler confirms (ack), and the listener accepts.
type dial struct {
	w        *World
	client   *stream
	server   *stream // once somebody listens
	listener *listener
	from     netip.AddrPort // as the listener sees it
	deadline int64
	tries    int
	refused  bool
}

type (
	dialSYN struct {
		*dial
		at node
	}
	dialRetry  struct{ *dial }
	dialSYNACK struct{ *dial }
	dialACK    struct{ *dial }
)

// DialTCP implements [host.Host].
func (h *Host) DialTCP(local netip.Addr, to netip.AddrPort, handler host.StreamHandler) host.Stream {
	w, m := h.w, h.machine
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	s := &stream{host: h, h: handler, remote: to}
	if h.stopped {
		s.cause, s.done = host.ErrClosed, true
		return s
	}
	h.streams = append(h.streams, s)
	if local = local.Unmap(); !local.IsValid() && to.IsValid() {
		local = m.source(to.Addr())
	}
	if !to.IsValid() || !m.has(local) || local.Is4() != to.Addr().Is4() {
		s.fail(host.ErrUnreachable, w.events.now)
		return s
	}
	port := m.newPort(func(port uint16) bool { return h.dialled(local, port) })
	s.local = netip.AddrPortFrom(local, port)
	s.out = pipe{w: w, from: s}
	d := &dial{w: w, client: s, deadline: w.events.now + int64(w.cfg.ConnectTimeout)}
	d.ask()
	return s
}

// dialled tells whether a stream of the host has this local address.
func (h *Host) dialled(a netip.Addr, port uint16) bool {
	if h.listening(a, port) != nil {
		return true
	}
	for _, s := range h.streams {
		if s.local.Port() == port && s.local.Addr() == a {
			return true
		}
	}
	return false
}

// over tells whether the dialler has given up.
func (d *dial) over() bool { return d.refused || d.client.done || d.client.cause != nil }

// ask sends a SYN and plans the next.
func (d *dial) ask() {
	w, m := d.w, d.client.host.machine
	now := w.events.now
	if now >= d.deadline {
		d.client.fail(host.ErrTimeout, now)
		return
	}
	w.events.at(min(now+firstSYN<<d.tries, d.deadline), dialRetry{d})
	d.tries++
	from, at, ok := w.route(m, tcp, d.client.local, d.client.remote)
	if !ok || w.chance(m.link.Loss) {
		return
	}
	d.from = from
	d.client.out.delay = w.latency(m.place, at.where())
	w.events.at(now+d.client.out.delay+int64(m.link.Latency)+w.upTo(m.link.Jitter), &dialSYN{d, at})
}

func (d dialRetry) fire(*World) {
	if !d.over() && !d.client.open {
		d.ask()
	}
}

// fire is the arrival of a SYN.
func (d *dialSYN) fire(w *World) {
	m, to, ok := w.descend(d.at, tcp, d.from, d.client.remote)
	if d.over() || d.server != nil || !ok || !w.reachable(d.client.host.machine, m) || w.chance(m.link.Loss) {
		return
	}
	back := w.events.now + d.client.out.delay + int64(m.link.Latency) + w.upTo(m.link.Jitter)
	l := m.host.listening(to.Addr(), to.Port())
	if l == nil {
		d.refused = true
		d.client.fail(host.ErrRefused, back)
		return
	}
	d.listener = l
	d.server = &stream{host: m.host, local: to, remote: d.from}
	d.server.out = pipe{w: w, from: d.server, to: d.client, delay: d.client.out.delay}
	d.client.out.to = d.server
	w.events.at(back, dialSYNACK{d.dial})
}

// fire opens the dialler's end.
func (d dialSYNACK) fire(w *World) {
	s := d.client
	if d.over() {
		return
	}
	if !w.reachable(d.server.host.machine, s.host.machine) || s.strayed() {
		d.server = nil
		return
	}
	s.open = true
	// Nothing the dialler sends can overtake this.
	w.events.at(w.events.now+s.out.delay, dialACK(d))
	w.event(kindOpened, s.host, s.remote, s.local, nil, "")
	r := s.host.begin()
	s.h.Opened(r)
	s.host.end(r)
	s.out.pump()
}

// fire gives the listener its end.
func (d dialACK) fire(w *World) {
	s := d.server
	if s.host.holds(d) {
		return
	}
	if s.host.stopped {
		s.done = true
		return
	}
	s.open = true
	if d.listener.closed {
		s.done = true
		s.out.finish(reset)
		return
	}
	s.host.streams = append(s.host.streams, s)
	w.event(kindAccept, s.host, s.remote, s.local, nil, "")
	r := s.host.begin()
	s.h = d.listener.accept(r, s)
	s.host.end(r)
	if s.h == nil {
		s.out.finish(reset)
		s.done = true
		s.host.forget(s)
	}
}
