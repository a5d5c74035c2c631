package streaming

import (
	"net"
	"slices"
	"strconv"
	"sync"

	"allium/internal/data"
	"allium/internal/host"
)

// Listener accepts the streams to one port as a [net.Listener].
type Listener struct {
	ss   *Streams
	addr Addr
	stop func()

	mu      sync.Mutex
	change  *sync.Cond
	backlog []*Conn
	closed  bool
}

var _ net.Listener = (*Listener)(nil)

// Listen accepts streams to port; port 0 takes what no other port takes.
func (ss *Streams) Listen(port uint16) (*Listener, error) {
	l := &Listener{ss: ss, addr: Addr{ss.hash, port}}
	l.change = sync.NewCond(&l.mu)
	stop, err := ss.Accept(port, l.welcome)
	if err != nil {
		return nil, err
	}
	l.stop = stop
	ss.mu.Lock()
	ended := ss.closed
	ss.faces = append(ss.faces, l)
	ss.mu.Unlock()
	if ended {
		l.end()
	}
	return l, nil
}

// welcome puts a new stream in the backlog, or refuses it when that is full.
func (l *Listener) welcome(_ *host.Round, s *Stream) func(r *host.Round) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.backlog) >= l.ss.cfg.Backlog {
		return nil
	}
	c := newConn(l.ss.h, Addr{l.addr.Hash, s.LocalPort()})
	c.s = s
	l.backlog = append(l.backlog, c)
	l.change.Signal()
	return c.notify
}

// Accept implements [net.Listener].
func (l *Listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.backlog) == 0 && !l.closed {
		l.change.Wait()
	}
	if l.closed {
		return nil, &net.OpError{Op: "accept", Net: "i2p", Addr: l.addr, Err: net.ErrClosed}
	}
	c := l.backlog[0]
	l.backlog[0] = nil
	l.backlog = l.backlog[1:]
	return c, nil
}

// Close implements [net.Listener]. Streams that were not accepted are reset.
func (l *Listener) Close() error {
	l.ss.mu.Lock()
	l.ss.faces = slices.DeleteFunc(l.ss.faces, func(other *Listener) bool { return other == l })
	l.ss.mu.Unlock()
	for _, c := range l.end() {
		l.ss.h.Do(c.s.Reset)
	}
	return nil
}

// end wakes who waits in Accept and gives the streams nobody accepted.
func (l *Listener) end() []*Conn {
	l.mu.Lock()
	unaccepted := l.backlog
	l.backlog = nil
	l.closed = true
	l.mu.Unlock()
	l.change.Broadcast()
	l.stop()
	return unaccepted
}

// Addr implements [net.Listener].
func (l *Listener) Addr() net.Addr { return l.addr }

func hostPort(h data.Hash, port uint16) string {
	return net.JoinHostPort(h.B32(), strconv.Itoa(int(port)))
}
