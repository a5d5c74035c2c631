package host

import (
	"net"
	"sync"
	"time"
)

// rebindEvery is how often it is looked whether the interface we are bound to
// has become another one of the same name or address, as that of a VPN that
// was set up anew.
const rebindEvery = 5 * time.Second

// rebind opens the listeners anew when it has. numbers are those that they
// were opened on.
func (p *Portable) rebind(numbers [3]int) {
	p.AfterFunc(rebindEvery, func(*Round) {
		now := p.cfg.Binding.devices()
		if now != numbers {
			for _, a := range p.acceptors() {
				a.reopen()
			}
		}
		p.rebind(now)
	})
}

// acceptors are the listeners there are.
func (p *Portable) acceptors() (all []*acceptor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.sockets {
		if a, ok := s.(*acceptor); ok {
			all = append(all, a)
		}
	}
	return all
}

// ear is the socket of an acceptor, which may be opened anew.
type ear struct {
	mu     sync.Mutex
	l      *net.TCPListener // nil while it cannot be opened
	closed bool
}

// listener is the socket there is now. more is false when there will be none.
func (e *ear) listener() (l *net.TCPListener, more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.l, !e.closed
}

// Close stops listening for good.
func (e *ear) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	e.closed = true
	if e.l == nil {
		return nil
	}
	return e.l.Close()
}

// reopen listens at the same address with a new socket.
func (a *acceptor) reopen() {
	e := &a.ear
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	if e.l != nil {
		// Closing a listener only fails when it is closed.
		_ = e.l.Close()
	}
	var err error
	if e.l, err = a.p.listenTCP(a.addr); err != nil {
		a.p.log.Warn("host: cannot listen again", "addr", a.addr, "err", err)
	}
}
