package streaming

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"allium/internal/data"
	"allium/internal/host"
)

// Addr is one end of a stream: a Destination and a port of it.
type Addr struct {
	Hash data.Hash
	Port uint16
}

// Network is "i2p".
func (a Addr) Network() string { return "i2p" }

// HashPort is both parts of it.
func (a Addr) HashPort() (data.Hash, uint16) { return a.Hash, a.Port }

// String is host:port with the .b32.i2p name of the Destination.
func (a Addr) String() string { return hostPort(a.Hash, a.Port) }

// Conn is a Stream as a [net.Conn].
type Conn struct {
	s    *Stream
	h    host.Host
	self Addr

	mu     sync.Mutex
	change *sync.Cond // of turn, and of deadlines passing
	turn   uint64     // counts what may let a waiting call go on
	closed bool
	read   deadline
	write  deadline
}

// deadline is when one kind of call gives up.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

var _ net.Conn = (*Conn)(nil)

func newConn(h host.Host, self Addr) *Conn {
	c := &Conn{h: h, self: self}
	c.change = sync.NewCond(&c.mu)
	return c
}

// notify wakes every waiting call to look again.
func (c *Conn) notify(*host.Round) {
	c.mu.Lock()
	c.turn++
	c.mu.Unlock()
	c.change.Broadcast()
}

// Dial opens a stream to port of the Destination to and waits until the peer
// has answered. The error is a [net.OpError] that wraps ErrReset, ErrTimeout,
// host.ErrFull or the context's.
func (ss *Streams) Dial(ctx context.Context, to data.Hash, port uint16) (*Conn, error) {
	c := newConn(ss.h, Addr{Hash: ss.hash})
	var err error
	ss.h.Do(func(r *host.Round) { c.s, err = ss.Open(r, to, port, c.notify) })
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "i2p", Source: c.self, Addr: Addr{to, port}, Err: err}
	}
	stop := context.AfterFunc(ctx, func() { c.notify(nil) })
	defer stop()
	err = c.wait(&c.read, func(*host.Round) (bool, error) {
		if err := ctx.Err(); err != nil {
			return true, err
		}
		return c.s.Established()
	})
	if err != nil {
		ss.h.Do(c.s.Reset)
		return nil, c.opError("dial", err)
	}
	return c, nil
}

// wait calls try, each time in a round, until it is done, fails, the
// connection closes or the deadline passes.
func (c *Conn) wait(d *deadline, try func(r *host.Round) (done bool, err error)) error {
	for {
		c.mu.Lock()
		turn, closed, late := c.turn, c.closed, d.passed()
		c.mu.Unlock()
		switch {
		case closed:
			return net.ErrClosed
		case late:
			return os.ErrDeadlineExceeded
		}
		var done bool
		var err error
		c.h.Do(func(r *host.Round) { done, err = try(r) })
		if done || err != nil {
			return err
		}
		c.mu.Lock()
		for c.turn == turn {
			c.change.Wait()
		}
		c.mu.Unlock()
	}
}

func (d *deadline) passed() bool {
	return !d.at.IsZero() && !time.Now().Before(d.at)
}

// Read implements [net.Conn].
func (c *Conn) Read(p []byte) (n int, err error) {
	err = c.wait(&c.read, func(r *host.Round) (bool, error) {
		n, err = c.s.Read(r, p)
		return n > 0 || len(p) == 0, err
	})
	return n, c.opError("read", err)
}

// Write implements [net.Conn]. It returns when everything is in the send
// buffer.
func (c *Conn) Write(p []byte) (n int, err error) {
	err = c.wait(&c.write, func(r *host.Round) (bool, error) {
		for n < len(p) {
			m, err := c.s.Write(r, p[n:])
			n += m
			if m == 0 || err != nil {
				return false, err
			}
		}
		return true, nil
	})
	return n, c.opError("write", err)
}

// opError dresses an error as package net does, io.EOF excepted.
func (c *Conn) opError(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if errors.Is(err, ErrClosed) {
		err = net.ErrClosed
	}
	return &net.OpError{Op: op, Net: "i2p", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// CloseWrite ends our side after what was written; reading goes on.
func (c *Conn) CloseWrite() error {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return net.ErrClosed
	}
	c.h.Do(c.s.CloseWrite)
	return nil
}

// Close implements [net.Conn]. What was written is still delivered.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.read.set(c, time.Time{})
	c.write.set(c, time.Time{})
	c.turn++
	c.mu.Unlock()
	c.change.Broadcast()
	c.h.Do(c.s.Close)
	return nil
}

// LocalAddr implements [net.Conn].
func (c *Conn) LocalAddr() net.Addr { return c.self }

// RemoteAddr implements [net.Conn].
func (c *Conn) RemoteAddr() net.Addr { return Addr{c.s.Remote(), c.s.RemotePort()} }

// Peer is the peer's whole Destination.
func (c *Conn) Peer() *data.Destination { return c.s.Peer() }

// SetDeadline implements [net.Conn].
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadlines(t, &c.read, &c.write) }

// SetReadDeadline implements [net.Conn].
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, &c.read) }

// SetWriteDeadline implements [net.Conn].
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.write) }

func (c *Conn) setDeadlines(t time.Time, of ...*deadline) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	for _, d := range of {
		d.set(c, t)
	}
	c.turn++
	c.change.Broadcast()
	return nil
}

// set changes the deadline and has waiting calls look again when it passes.
// The connection's lock is held.
func (d *deadline) set(c *Conn, t time.Time) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = t
	if t.IsZero() {
		return
	}
	if wait := time.Until(t); wait > 0 {
		d.timer = time.AfterFunc(wait, func() { c.notify(nil) })
	}
}
