package datagram

import (
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"allium/internal/data"
	"allium/internal/host"
)

// PacketConn is one port of a Destination as a [net.PacketConn], for one kind
// of datagrams. What comes faster than it is read, and does not fit into the
// queue, is dropped.
type PacketConn struct {
	ds       *Datagrams
	protocol Protocol
	self     Addr
	port     uint16
	stop     func()

	mu      sync.Mutex
	change  *sync.Cond
	closed  bool
	queue   []waiting // a ring of len(queue) places
	first   int
	count   int
	bytes   int
	dropped uint64
	read    deadline
	write   time.Time
}

var _ net.PacketConn = (*PacketConn)(nil)

// waiting is a datagram that has not been read. Its buffer is used again.
type waiting struct {
	from    data.Hash
	port    uint16
	payload []byte
}

const (
	// queueStart is how many places a queue begins with.
	queueStart = 8
	// keepBuffer is the longest buffer a place in the queue holds on to.
	keepBuffer = 4 << 10
)

// deadline is when reading gives up.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

// ListenPacket receives datagrams of kind p at port; port 0 takes what no
// other port of the kind takes, and sends from port 0. It fails with ErrInUse
// or ErrProtocol.
func (ds *Datagrams) ListenPacket(p Protocol, port uint16) (*PacketConn, error) {
	c := &PacketConn{ds: ds, protocol: p, port: port, self: ds.addr(ds.hash, port)}
	c.change = sync.NewCond(&c.mu)
	stop, err := ds.Handle(p, port, c.arrive)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: c.self.Network(), Addr: c.self, Err: err}
	}
	c.stop = stop
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if ds.closed {
		return nil, net.ErrClosed
	}
	ds.conns = append(ds.conns, c)
	return c, nil
}

// arrive queues a copy of a datagram, or drops it.
func (c *PacketConn) arrive(_ *host.Round, p Packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.count >= c.ds.cfg.Queue || c.bytes+len(p.Payload) > c.ds.cfg.QueueBytes {
		c.dropped++
		return
	}
	if c.count == len(c.queue) {
		c.grow()
	}
	w := &c.queue[(c.first+c.count)%len(c.queue)]
	w.from, w.port = p.From, p.FromPort
	w.payload = append(w.payload[:0], p.Payload...)
	c.count++
	c.bytes += len(p.Payload)
	c.change.Signal()
}

func (c *PacketConn) grow() {
	larger := make([]waiting, min(max(2*len(c.queue), queueStart), c.ds.cfg.Queue))
	n := copy(larger, c.queue[c.first:])
	copy(larger[n:], c.queue[:c.first])
	c.queue, c.first = larger, 0
}

// ReadFrom implements [net.PacketConn]. What does not fit into p is lost. The
// address is an [Addr] as given to New; of a raw datagram it may be zero but
// for its port.
func (c *PacketConn) ReadFrom(p []byte) (n int, from net.Addr, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, nil, c.opError("read", net.ErrClosed)
		case !c.read.at.IsZero() && !time.Now().Before(c.read.at):
			return 0, nil, c.opError("read", os.ErrDeadlineExceeded)
		case c.count > 0:
			n, from = c.next(p)
			return n, from, nil
		}
		c.change.Wait()
	}
}

// next takes the first datagram off the queue.
func (c *PacketConn) next(p []byte) (int, net.Addr) {
	w := &c.queue[c.first]
	n := copy(p, w.payload)
	c.bytes -= len(w.payload)
	if cap(w.payload) > keepBuffer {
		w.payload = nil
	}
	c.first = (c.first + 1) % len(c.queue)
	c.count--
	return n, c.ds.addr(w.from, w.port)
}

// WriteTo implements [net.PacketConn]. addr must be an [Addr]. It does not
// block, and its success says nothing about the arrival. It fails with
// ErrTooLong, ErrProtocol, or as the network does.
func (c *PacketConn) WriteTo(p []byte, addr net.Addr) (int, error) {
	to, ok := addr.(Addr)
	if !ok {
		return 0, c.opError("write", fmt.Errorf("datagram: not an address of I2P: %v", addr))
	}
	c.mu.Lock()
	closed, late := c.closed, !c.write.IsZero() && !time.Now().Before(c.write)
	c.mu.Unlock()
	switch {
	case closed:
		return 0, c.opError("write", net.ErrClosed)
	case late:
		return 0, c.opError("write", os.ErrDeadlineExceeded)
	}
	var err error
	c.ds.h.Do(func(r *host.Round) {
		h, port := to.HashPort()
		err = c.ds.Send(r, c.protocol, h, c.port, port, p)
	})
	if err != nil {
		return 0, c.opError("write", err)
	}
	return len(p), nil
}

// opError dresses an error as package net does.
func (c *PacketConn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: c.self.Network(), Addr: c.self, Err: err}
}

// Dropped is how many datagrams did not fit into the queue.
func (c *PacketConn) Dropped() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropped
}

// Close implements [net.PacketConn]. What has not been read is gone.
func (c *PacketConn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.read.stop()
	c.queue, c.first, c.count, c.bytes = nil, 0, 0, 0
	c.mu.Unlock()
	c.change.Broadcast()
	c.stop()
	c.ds.forget(c)
	return nil
}

// forget drops a PacketConn that was closed.
func (ds *Datagrams) forget(c *PacketConn) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	ds.conns = slices.DeleteFunc(ds.conns, func(other *PacketConn) bool { return other == c })
}

// LocalAddr implements [net.PacketConn].
func (c *PacketConn) LocalAddr() net.Addr { return c.self }

// SetDeadline implements [net.PacketConn].
func (c *PacketConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline implements [net.PacketConn].
func (c *PacketConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	c.read.stop()
	c.read.at = t
	if wait := time.Until(t); !t.IsZero() && wait > 0 {
		c.read.timer = time.AfterFunc(wait, c.wake)
	}
	c.change.Broadcast()
	return nil
}

// SetWriteDeadline implements [net.PacketConn].
func (c *PacketConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	c.write = t
	return nil
}

// wake has readers look at the time. The lock keeps it from falling between
// their look and their wait.
func (c *PacketConn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.change.Broadcast()
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
