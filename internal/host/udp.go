package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// socketBuffer is what is asked of the system for each direction of a UDP
// socket, so that a burst finds room; it may grant less.
const socketBuffer = 2 << 20

// datagrams is one UDP socket of a Portable.
type datagrams struct {
	p    *Portable
	h    DatagramHandler
	conn *net.UDPConn
	addr netip.AddrPort

	mu  sync.Mutex // guards what one Send hands to the system
	raw syscall.RawConn
	try func(fd uintptr) bool
	b   []byte
	to  netip.AddrPort
	sa  target
	err error
}

// ListenUDP implements [Host].
func (p *Portable) ListenUDP(addr netip.AddrPort, h DatagramHandler) (Datagrams, error) {
	addr, err := p.within(unmap(addr))
	if err != nil {
		return nil, err
	}
	config := net.ListenConfig{Control: p.cfg.Binding.Control}
	c, err := config.ListenPacket(context.Background(), network("udp", addr.Addr()), addr.String())
	if err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	conn := c.(*net.UDPConn)
	conn.SetReadBuffer(socketBuffer)
	conn.SetWriteBuffer(socketBuffer)
	d := &datagrams{p: p, h: h, conn: conn, addr: addrPort(conn.LocalAddr()), raw: p.raw(conn)}
	d.try = d.attempt
	if !p.add(d) {
		conn.Close()
		return nil, ErrClosed
	}
	go d.serve()
	return d, nil
}

// Addr implements [Datagrams].
func (d *datagrams) Addr() netip.AddrPort { return d.addr }

// Close implements [Datagrams].
func (d *datagrams) Close() error { return d.conn.Close() }

// shut implements socket.
func (d *datagrams) shut() { d.conn.Close() }

// Send implements [Datagrams].
func (d *datagrams) Send(to netip.AddrPort, b []byte) error {
	to = unmap(to)
	if !to.IsValid() || to.Addr().Is4() != d.addr.Addr().Is4() {
		return fmt.Errorf("host: send from %v to %v: %w", d.addr, to, ErrUnreachable)
	}
	err := d.send(to, b)
	switch {
	case err == nil:
		return nil
	case again(err), errors.Is(err, errnoNoBufs):
		return ErrFull
	}
	return failure(err)
}

func (d *datagrams) send(to netip.AddrPort, b []byte) error {
	if d.raw == nil {
		_, err := d.conn.WriteToUDPAddrPort(b, to)
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.b, d.to = b, to
	err := d.raw.Write(d.try)
	d.b = nil
	if err == nil {
		err = d.err
	}
	return err
}

func (d *datagrams) attempt(fd uintptr) bool {
	d.err = trySend(fd, d.b, &d.sa, d.to)
	return true
}

// serve makes a round of every packet until the socket closes.
func (d *datagrams) serve() {
	defer d.p.remove(d)
	for {
		fr := d.p.frames.Get().(*frame)
		n, from, err := d.conn.ReadFromUDPAddrPort(fr.buf[:])
		if err == nil {
			d.p.round(fr, func(r *Round) { d.h.Datagram(r, unmap(from), fr.buf[:n]) })
			continue
		}
		d.p.frames.Put(fr)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		d.p.log.Warn("host: receive", "addr", d.addr, "err", err)
		if !d.p.pause() {
			return
		}
	}
}
