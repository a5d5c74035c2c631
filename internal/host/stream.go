package host

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// flushTimeout bounds how long Close sends what is queued.
	flushTimeout = 5 * time.Second

	// lingerTimeout bounds how long a closed connection waits for the peer's
	// end. Closing it while the peer still sends would make the system send a
	// reset, which can overtake our last bytes.
	lingerTimeout = time.Second
)

// errPanic is what Closed gets when a handler of the stream panicked.
var errPanic = errors.New("host: handler panicked")

// past is a deadline that is over.
var past = time.Unix(1, 0)

// stream is one TCP connection of a Portable. One goroutine reads it and
// calls its handler; a second one exists only while bytes wait that the
// system did not take at once.
type stream struct {
	p      *Portable
	h      StreamHandler
	remote netip.AddrPort
	cancel context.CancelFunc // gives a dial up; nil when accepted
	in     reader             // of the reading goroutine

	calls sync.Mutex // held through each round of the handler
	done  bool       // no more calls

	closing atomic.Bool // this side has ended it: arriving bytes are dropped

	mu      sync.Mutex
	conn    *net.TCPConn // nil until it stands
	local   netip.AddrPort
	cause   error // why it is ending; nil while Write is welcome
	flushed bool  // Close has sent everything and the end after it
	direct  writer
	out     queue
	sending bool // the sending goroutine runs; out is empty otherwise
	high    bool // Writable is owed
}

// attach gives the stream its connection.
func (s *stream) attach(conn *net.TCPConn) {
	s.conn = conn
	s.local = addrPort(conn.LocalAddr())
	s.p.limitSilence(conn)
	s.in.init(s.p, conn)
	s.direct.init(s.p, conn)
}

// Local implements [Stream].
func (s *stream) Local() netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.local
}

// Remote implements [Stream].
func (s *stream) Remote() netip.AddrPort { return s.remote }

// Queued implements [Stream].
func (s *stream) Queued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.size
}

// Resume implements [Stream].
func (s *stream) Resume() { s.in.wake() }

// Write implements [Stream]. What the system takes at once never waits for
// another goroutine.
func (s *stream) Write(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		return ErrClosed
	}
	if s.out.size+len(b) > StreamQueue {
		s.high = s.high || s.out.size > 0
		return ErrFull
	}
	if s.conn != nil && !s.sending {
		n, err := s.direct.write(b)
		if err != nil {
			s.broken(err)
			return ErrClosed
		}
		b = b[n:]
	}
	if len(b) == 0 {
		return nil
	}
	s.out.push(b)
	s.high = s.high || s.out.size > StreamQueue/2
	s.startSending()
	return nil
}

// startSending starts the sending goroutine if there is something for it.
func (s *stream) startSending() {
	if s.conn == nil || s.sending || s.out.size == 0 || !s.p.enter() {
		return
	}
	s.sending = true
	go s.send()
}

// send sends what waits, then owes the handler a Writable or the peer the
// end.
func (s *stream) send() {
	defer s.p.leave()
	for {
		s.mu.Lock()
		b := s.out.front()
		s.mu.Unlock()
		n, err := s.conn.Write(b)
		s.mu.Lock()
		s.out.pop(n)
		switch {
		case err != nil:
			s.sending = false
			s.out.drop()
			s.broken(err)
			s.mu.Unlock()
			return
		case s.out.size == 0:
			s.sending = false
			writable := s.high
			s.high = false
			if s.closing.Load() {
				s.finishSending()
			}
			s.mu.Unlock()
			if writable {
				s.callWritable()
			}
			return
		}
		s.mu.Unlock()
	}
}

// broken notes that the connection takes no more bytes. The reader goes on
// for a little to get what arrived before.
func (s *stream) broken(err error) {
	s.in.release()
	if s.cause == nil {
		s.cause = failure(err)
		s.conn.SetReadDeadline(time.Now().Add(lingerTimeout))
		return
	}
	s.conn.SetReadDeadline(past)
}

// finishSending tells the peer that this is all and wakes the reader.
func (s *stream) finishSending() {
	s.flushed = true
	s.conn.CloseWrite()
	s.conn.SetReadDeadline(past)
}

// Close implements [Stream].
func (s *stream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		return
	}
	s.cause = ErrClosed
	s.closing.Store(true)
	s.in.release()
	switch {
	case s.conn == nil:
		s.cancel()
	case s.sending:
		s.conn.SetDeadline(time.Now().Add(flushTimeout))
	default:
		s.finishSending()
	}
}

// Reset implements [Stream].
func (s *stream) Reset() { s.abort(ErrClosed) }

// abort ends the connection at once with a reset.
func (s *stream) abort(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		s.conn.SetLinger(0)
	}
	s.kill(cause)
}

// shut implements socket.
func (s *stream) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill(ErrClosed)
}

// kill closes the connection, or gives it up before it stands.
func (s *stream) kill(cause error) {
	if s.cause == nil {
		s.cause = cause
	}
	s.closing.Store(true)
	s.in.release()
	s.flushed = false
	if s.conn == nil {
		s.cancel()
		return
	}
	s.conn.Close()
}

// serve reads until the end and takes leave of the handler.
func (s *stream) serve() {
	defer s.p.remove(s)
	s.in.measure(s.h)
	s.finish(s.readAll())
}

// readAll makes a round of every read and returns why there are no more.
func (s *stream) readAll() error {
	for {
		fr, n, err := s.in.read()
		if err != nil {
			return failure(err)
		}
		if s.closing.Load() {
			s.p.frames.Put(fr)
			continue
		}
		ok := s.call(fr, func(r *Round) { s.h.Data(r, fr.buf[:n]) })
		if !ok {
			s.abort(errPanic)
		}
	}
}

// finish gives the handler its Closed and lets the connection go.
func (s *stream) finish(err error) {
	s.mu.Lock()
	if s.cause == nil {
		s.cause = err
	}
	cause, conn, flushed := s.cause, s.conn, s.flushed
	if !s.sending {
		s.out.drop()
	}
	s.mu.Unlock()

	s.call(s.p.frames.Get().(*frame), func(r *Round) {
		s.done = true
		s.h.Closed(r, cause)
	})
	if conn == nil {
		return
	}
	switch {
	case flushed:
		s.linger(conn)
	case cause == ErrClosed:
		conn.SetLinger(0)
	}
	conn.Close()
}

// linger reads on until the peer ends too.
func (s *stream) linger(conn *net.TCPConn) {
	conn.SetReadDeadline(time.Now().Add(lingerTimeout))
	for {
		fr, _, err := s.in.read()
		if err != nil {
			return
		}
		s.p.frames.Put(fr)
	}
}

// call makes a round for one call of the handler, alone among its calls.
func (s *stream) call(fr *frame, f func(r *Round)) bool {
	s.calls.Lock()
	defer s.calls.Unlock()
	return s.p.round(fr, f)
}

// callWritable tells the handler that the queue has run empty.
func (s *stream) callWritable() {
	ok := s.call(s.p.frames.Get().(*frame), func(r *Round) {
		if !s.done && !s.closing.Load() {
			s.h.Writable(r)
		}
	})
	if !ok {
		s.abort(errPanic)
	}
}
