package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// socketPause is how long a socket rests after a failure that may pass, such
// as having no file descriptor left.
const socketPause = 50 * time.Millisecond

// network is the name package net has for a protocol over addr's family.
func network(protocol string, addr netip.Addr) string {
	if addr.Is4() {
		return protocol + "4"
	}
	return protocol + "6"
}

// addrPort is a net.Addr in our form, IPv4 unmapped.
func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		ap = a.AddrPort()
	case *net.UDPAddr:
		ap = a.AddrPort()
	}
	return unmap(ap)
}

func unmap(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// pause rests, or reports false when the engine closes.
func (p *Portable) pause() bool {
	t := time.NewTimer(socketPause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.quit:
		return false
	}
}

// acceptor is one listening TCP socket.
type acceptor struct {
	ear
	p      *Portable
	addr   netip.AddrPort
	accept func(r *Round, s Stream) StreamHandler
}

// ListenTCP implements [Host].
func (p *Portable) ListenTCP(addr netip.AddrPort, accept func(r *Round, s Stream) StreamHandler) (Listener, error) {
	l, err := p.listenTCP(addr)
	if err != nil {
		return nil, err
	}
	a := &acceptor{p: p, addr: addrPort(l.Addr()), accept: accept}
	a.l = l
	if !p.add(a) {
		l.Close()
		return nil, ErrClosed
	}
	go a.serve()
	return a, nil
}

// listenTCP opens a listening socket within the binding.
func (p *Portable) listenTCP(addr netip.AddrPort) (*net.TCPListener, error) {
	addr, err := p.within(unmap(addr))
	if err != nil {
		return nil, err
	}
	config := net.ListenConfig{KeepAlive: -1, Control: p.cfg.Binding.Control}
	config.SetMultipathTCP(false)
	l, err := config.Listen(context.Background(), network("tcp", addr.Addr()), addr.String())
	if err != nil {
		if errors.Is(err, errnoNoAddr) || errors.Is(err, errnoNoFamily) {
			err = fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		return nil, fmt.Errorf("host: %w", err)
	}
	return l.(*net.TCPListener), nil
}

// within is an address to listen on that keeps to the binding: for all
// addresses the one that is bound to.
func (p *Portable) within(addr netip.AddrPort) (netip.AddrPort, error) {
	only, err := p.cfg.Binding.Source(addr.Addr())
	switch {
	case err != nil:
		return addr, fmt.Errorf("host: listen on %v: %w", addr, err)
	case !only.IsValid() || only == addr.Addr():
		return addr, nil
	case addr.Addr().IsUnspecified():
		return netip.AddrPortFrom(only, addr.Port()), nil
	}
	return addr, fmt.Errorf("host: listen on %v: %w: bound to %v", addr, ErrBinding, only)
}

// Addr implements [Listener].
func (a *acceptor) Addr() netip.AddrPort { return a.addr }

// shut implements socket.
func (a *acceptor) shut() { _ = a.Close() }

// serve accepts until the listener closes.
func (a *acceptor) serve() {
	defer a.p.remove(a)
	for {
		l, more := a.listener()
		if !more {
			return
		}
		if l == nil {
			if !a.p.pause() {
				return
			}
			continue
		}
		conn, err := l.AcceptTCP()
		switch {
		case err == nil:
			a.welcome(conn)
		case errors.Is(err, net.ErrClosed): // for good, or to be opened anew
		default:
			a.p.log.Warn("host: accept", "addr", a.addr, "err", err)
			if !a.p.pause() {
				return
			}
		}
	}
}

// welcome asks for the handler of a new connection and starts to read.
func (a *acceptor) welcome(conn *net.TCPConn) {
	s := &stream{p: a.p, remote: addrPort(conn.RemoteAddr())}
	s.out.pool = &a.p.chunks
	s.in.resume = make(chan struct{}, 1)
	s.attach(conn)
	if !a.p.add(s) {
		conn.Close()
		return
	}
	ok := s.call(a.p.frames.Get().(*frame), func(r *Round) {
		s.h = a.accept(r, s)
		s.done = s.h == nil
	})
	if !ok || s.h == nil {
		s.abort(ErrClosed)
		a.p.remove(s)
		return
	}
	go s.serve()
}

// DialTCP implements [Host]. After Close of the engine the handler is not
// called.
func (p *Portable) DialTCP(local netip.Addr, to netip.AddrPort, h StreamHandler) Stream {
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.ConnectTimeout)
	s := &stream{p: p, h: h, remote: unmap(to), cancel: cancel}
	s.out.pool = &p.chunks
	s.in.resume = make(chan struct{}, 1)
	if !p.add(s) {
		s.shut()
		return s
	}
	go s.dial(ctx, local.Unmap())
	return s
}

// dial connects and then serves the stream.
func (s *stream) dial(ctx context.Context, local netip.Addr) {
	conn, err := s.connect(ctx, local)
	s.cancel()
	if err != nil {
		s.finish(failure(err))
		s.p.remove(s)
		return
	}
	if !s.open(conn) {
		s.finish(ErrClosed)
		s.p.remove(s)
		return
	}
	s.serve()
}

// connect makes the connection within the binding.
func (s *stream) connect(ctx context.Context, local netip.Addr) (*net.TCPConn, error) {
	b := &s.p.cfg.Binding
	only, err := b.Source(s.remote.Addr())
	switch {
	case err != nil:
		return nil, err
	case only.IsValid() && local.IsValid() && local != only:
		return nil, fmt.Errorf("%w: bound to %v, not %v", ErrUnreachable, only, local)
	case only.IsValid():
		local = only
	}
	d := net.Dialer{KeepAlive: -1, Control: b.Control}
	var from netip.AddrPort
	if local.IsValid() {
		from = netip.AddrPortFrom(local, 0)
	}
	return d.DialTCP(ctx, network("tcp", s.remote.Addr()), from, s.remote)
}

// open puts the connection to use and calls Opened. It reports false when the
// stream was given up meanwhile.
func (s *stream) open(conn *net.TCPConn) bool {
	ok := s.call(s.p.frames.Get().(*frame), func(r *Round) {
		s.mu.Lock()
		stands := s.cause == nil
		if stands {
			s.attach(conn)
			s.startSending()
		}
		s.mu.Unlock()
		if stands {
			s.h.Opened(r)
		} else {
			conn.Close()
		}
	})
	if !ok {
		s.abort(errPanic)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn != nil
}
