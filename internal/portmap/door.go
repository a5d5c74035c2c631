package portmap

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// door is where a gateway takes requests of PCP and NAT-PMP: one packet there,
// one back.
type door struct {
	dial    dial
	at      netip.AddrPort
	repeats []time.Duration
}

// maxPacket is the longest packet of PCP (RFC 6887, section 7).
const maxPacket = 1100

// ask sends a request, made for the address it is sent from, until accept has
// taken an answer or fails. What is no answer accept reports as ErrMalformed,
// and another is waited for: whoever floods us is not to be in the way.
func (d door) ask(ctx context.Context, request func(local netip.Addr) []byte, accept func(b []byte) error) (local netip.Addr, err error) {
	conn, err := d.dial(ctx, "udp", d.at.String())
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	local = conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	err = ErrSilent
	for _, pause := range d.repeats {
		if _, err := conn.Write(request(local)); err != nil {
			return local, silent(ctx, err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(pause)); err != nil {
			return local, silent(ctx, err)
		}
		heard := listen(conn, accept)
		switch {
		case heard == nil:
			return local, nil
		case errors.Is(heard, os.ErrDeadlineExceeded):
		case errors.Is(heard, ErrMalformed):
			err = heard
		default:
			return local, silent(ctx, heard)
		}
	}
	return local, err
}

// listen hands answers to accept until it takes one, fails or the time is over.
func listen(conn net.Conn, accept func(b []byte) error) error {
	b := make([]byte, maxPacket)
	var wrong error
	for {
		n, err := conn.Read(b)
		if err != nil && wrong != nil && errors.Is(err, os.ErrDeadlineExceeded) {
			return wrong
		}
		if err != nil {
			return err
		}
		if err = accept(b[:n]); !errors.Is(err, ErrMalformed) {
			return err
		}
		wrong = err
	}
}

// silent names errors of sockets that mean that nobody is there.
func silent(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, syscall.ECONNREFUSED):
		return ErrSilent
	}
	return err
}
