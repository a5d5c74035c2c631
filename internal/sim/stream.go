package sim

import (
	"io"
	"net/netip"
	"time"

	"allium/internal/host"
)

// flushTimeout bounds how long Close sends what is queued.
const flushTimeout = 5 * time.Second

// stream is one end of a TCP connection.
type stream struct {
	host          *Host
	h             host.StreamHandler
	local, remote netip.AddrPort
	out           pipe
	open          bool  // out may send
	closing       bool  // this side has ended it: arriving bytes are dropped
	cause         error // why it is ending; nil while Write is welcome
	done          bool  // Closed has been called, or never will be
	high          bool  // Writable is owed
}

// Events of a stream.
type (
	streamWritable struct{ *stream }
	streamFlush    struct{ *stream }
	streamClosed   struct {
		*stream
		cause error
	}
)

// Local implements [host.Stream].
func (s *stream) Local() netip.AddrPort {
	if !s.open {
		return netip.AddrPort{}
	}
	return s.local
}

// Remote implements [host.Stream].
func (s *stream) Remote() netip.AddrPort { return s.remote }

// in is what the peer sends, nil before there is one.
func (s *stream) in() *pipe {
	if s.out.to == nil {
		return nil
	}
	return &s.out.to.out
}

// Resume implements [host.Stream].
func (s *stream) Resume() { s.in().release() }

// Queued implements [host.Stream].
func (s *stream) Queued() int { return s.out.waiting() }

// Write implements [host.Stream].
func (s *stream) Write(b []byte) error {
	if s.cause != nil || s.done {
		return host.ErrClosed
	}
	waiting := s.out.waiting()
	if waiting+len(b) > host.StreamQueue {
		s.high = s.high || waiting > 0
		return host.ErrFull
	}
	s.out.push(b)
	s.out.pump()
	s.high = s.high || s.out.waiting() > host.StreamQueue/2
	return nil
}

// emptied tells that nothing waits to be sent any more.
func (s *stream) emptied() {
	w := s.host.w
	if s.closing && s.cause == host.ErrClosed && s.out.end == notEnded {
		s.out.finish(ended)
		s.fail(host.ErrClosed, w.events.now)
	}
	if s.high {
		s.high = false
		w.events.at(w.events.now, streamWritable{s})
	}
}

// Close implements [host.Stream].
func (s *stream) Close() {
	if s.cause != nil || s.done {
		return
	}
	s.cause, s.closing = host.ErrClosed, true
	s.in().release()
	events := &s.host.w.events
	switch {
	case !s.open:
		s.fail(host.ErrClosed, events.now)
	case s.out.waiting() == 0:
		s.emptied()
	default:
		events.at(events.now+int64(flushTimeout), streamFlush{s})
	}
}

// Reset implements [host.Stream].
func (s *stream) Reset() {
	if s.done || s.out.end != notEnded {
		return
	}
	s.closing = true
	s.in().release()
	s.cause = causeOr(s.cause, host.ErrClosed)
	s.out.finish(reset)
	s.fail(host.ErrClosed, s.host.w.events.now)
}

// fail has Closed called at a time to come. The first cause counts.
func (s *stream) fail(cause error, when int64) {
	if !s.done {
		s.host.w.events.at(when, &streamClosed{s, cause})
	}
}

// abandon closes the stream because its program ends.
func (s *stream) abandon() {
	s.closing = true
	if s.out.end == notEnded {
		s.out.finish(ended)
	}
	s.callClosed(host.ErrClosed)
}

// die takes the stream away with its machine.
func (s *stream) die() {
	s.done = true
	s.in().release()
	s.out.cut()
}

func (s streamWritable) fire(w *World) {
	if s.done || s.closing || s.host.holds(s) {
		return
	}
	w.event(kindWritable, s.host, s.remote, s.local, nil, "")
	r := s.host.begin()
	s.h.Writable(r)
	s.host.end(r)
}

func (c *streamClosed) fire(*World) {
	if !c.host.holds(c) {
		c.callClosed(c.cause)
	}
}

// fire gives up sending what was queued at Close.
func (s streamFlush) fire(*World) {
	if s.done || s.out.end != notEnded || s.host.holds(s) {
		return
	}
	s.out.finish(reset)
	s.callClosed(host.ErrClosed)
}

// callClosed takes leave of the handler.
func (s *stream) callClosed(cause error) {
	if s.done {
		return
	}
	s.done = true
	s.in().release()
	s.cause = causeOr(s.cause, cause)
	s.out.cut()
	s.host.forget(s)
	s.host.w.event(kindClosed, s.host, s.remote, s.local, nil, s.cause.Error())
	r := s.host.begin()
	s.h.Closed(r, s.cause)
	s.host.end(r)
}

// receive gets bytes, or with none the end of the peer's stream.
func (s *stream) receive(b []byte, end ending) {
	switch {
	case s.done:
	case end == ended:
		s.callClosed(io.EOF)
	case end == reset:
		s.callClosed(host.ErrReset)
	case !s.closing:
		s.host.w.event(kindData, s.host, s.remote, s.local, b, "")
		r := s.host.begin()
		s.h.Data(r, b)
		s.host.end(r)
	}
}

func causeOr(first, cause error) error {
	if first != nil {
		return first
	}
	return cause
}

// forget takes a stream off the host's list.
func (h *Host) forget(s *stream) {
	for i, other := range h.streams {
		if other == s {
			h.streams = append(h.streams[:i], h.streams[i+1:]...)
			return
		}
	}
}

// listener is one listening TCP socket.
type listener struct {
	host   *Host
	addr   netip.AddrPort
	accept func(r *host.Round, s host.Stream) host.StreamHandler
	closed bool
}

// ListenTCP implements [host.Host].
func (h *Host) ListenTCP(addr netip.AddrPort, accept func(r *host.Round, s host.Stream) host.StreamHandler) (host.Listener, error) {
	addr, err := h.binds(addr, func(a netip.Addr, port uint16) bool { return h.listening(a, port) != nil })
	if err != nil {
		return nil, err
	}
	l := &listener{host: h, addr: addr, accept: accept}
	h.listeners = append(h.listeners, l)
	return l, nil
}

// listening is the listener that answers to an address.
func (h *Host) listening(a netip.Addr, port uint16) *listener {
	for _, l := range h.listeners {
		if overlaps(l.addr, a, port) {
			return l
		}
	}
	return nil
}

// Addr implements [host.Listener].
func (l *listener) Addr() netip.AddrPort { return l.addr }

// Close implements [host.Listener].
func (l *listener) Close() error {
	if l.closed {
		return host.ErrClosed
	}
	l.closed = true
	for i, other := range l.host.listeners {
		if other == l {
			l.host.listeners = append(l.host.listeners[:i], l.host.listeners[i+1:]...)
			break
		}
	}
	return nil
}
