package portmap

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"allium/internal/wire"
)

// Numbers of NAT-PMP (RFC 6886, section 3).
const (
	natpmpVersion  = 0
	natpmpAddress  = 0
	natpmpUDP      = 1
	natpmpTCP      = 2
	natpmpAnswer   = 0x80
	natpmpAddressN = 12 // bytes of an answer with an address
	natpmpMapN     = 16 // and of one with a mapping
)

// natpmpResults are the result codes, from 1 on (section 3.5).
var natpmpResults = []string{
	"version not supported", "not authorized", "network failure", "no resources", "operation not supported",
}

// natpmp speaks NAT-PMP to one gateway.
type natpmp struct{ door }

// String implements method.
func (n *natpmp) String() string { return "NAT-PMP at " + n.at.Addr().String() }

func (n *natpmp) add(ctx context.Context, want mapping) (mapping, error) {
	got := want
	local, port, life, err := n.mapPort(ctx, want, lifetime)
	if err != nil {
		return got, err
	}
	if life == 0 || port == 0 {
		return got, fmt.Errorf("%w: a mapping of nothing", ErrMalformed)
	}
	var addr netip.Addr
	_, err = n.ask(ctx,
		func(netip.Addr) []byte { return []byte{natpmpVersion, natpmpAddress} },
		func(b []byte) (err error) {
			addr, err = parseNATPMPAddress(b)
			return err
		})
	got.local = netip.AddrPortFrom(local, want.local.Port())
	got.external, got.lifetime = netip.AddrPortFrom(addr, port), life
	return got, err
}

func (n *natpmp) remove(ctx context.Context, m mapping) error {
	m.external = netip.AddrPort{}
	_, _, _, err := n.mapPort(ctx, m, 0)
	return err
}

// mapPort asks for a mapping, or with no life to end it.
func (n *natpmp) mapPort(ctx context.Context, want mapping, life time.Duration) (local netip.Addr, port uint16, granted time.Duration, err error) {
	local, err = n.ask(ctx,
		func(netip.Addr) []byte { return appendNATPMP(nil, want, life) },
		func(b []byte) error {
			a, err := parseNATPMP(b)
			if err == nil && (a.protocol != want.protocol || a.localPort != want.local.Port()) {
				err = fmt.Errorf("%w: to another request", ErrMalformed)
			}
			port, granted = a.port, a.lifetime
			return err
		})
	return local, port, granted, err
}

// appendNATPMP writes a request for a mapping.
func appendNATPMP(b []byte, m mapping, life time.Duration) []byte {
	operation := byte(natpmpTCP)
	if m.protocol == UDP {
		operation = natpmpUDP
	}
	b = append(b, natpmpVersion, operation, 0, 0)
	b = binary.BigEndian.AppendUint16(b, m.local.Port())
	b = binary.BigEndian.AppendUint16(b, m.external.Port())
	return binary.BigEndian.AppendUint32(b, uint32(life/time.Second))
}

// natpmpMapped is what an answer tells.
type natpmpMapped struct {
	protocol        Protocol
	localPort, port uint16
	lifetime        time.Duration
}

// parseNATPMP reads an answer to a request for a mapping. Its error is
// ErrRefused or ErrMalformed.
func parseNATPMP(b []byte) (natpmpMapped, error) {
	var a natpmpMapped
	switch {
	case len(b) < 4 || b[0] != natpmpVersion || b[1] != natpmpAnswer|natpmpTCP && b[1] != natpmpAnswer|natpmpUDP:
		return a, fmt.Errorf("%w: of %d bytes", ErrMalformed, len(b))
	case b[1] == natpmpAnswer|natpmpTCP:
		a.protocol = TCP
	default:
		a.protocol = UDP
	}
	if err := natpmpResult(b); err != nil {
		return a, err
	}
	if len(b) != natpmpMapN {
		return a, fmt.Errorf("%w: of %d bytes", ErrMalformed, len(b))
	}
	r := wire.NewReader(b)
	r.Bytes(8) // version, operation, result, epoch
	a.localPort, a.port = r.Uint16(), r.Uint16()
	a.lifetime = time.Duration(r.Uint32()) * time.Second
	return a, nil
}

// parseNATPMPAddress reads an answer to the question for the external address.
func parseNATPMPAddress(b []byte) (netip.Addr, error) {
	if len(b) < 4 || b[0] != natpmpVersion || b[1] != natpmpAnswer|natpmpAddress {
		return netip.Addr{}, fmt.Errorf("%w: of %d bytes", ErrMalformed, len(b))
	}
	if err := natpmpResult(b); err != nil {
		return netip.Addr{}, err
	}
	if len(b) != natpmpAddressN {
		return netip.Addr{}, fmt.Errorf("%w: of %d bytes", ErrMalformed, len(b))
	}
	return netip.AddrFrom4([4]byte(b[8:12])), nil
}

// natpmpResult is the error that an answer of four bytes or more tells.
func natpmpResult(b []byte) error {
	switch result := int(b[2])<<8 | int(b[3]); {
	case result > len(natpmpResults):
		return fmt.Errorf("%w: result %d", ErrRefused, result)
	case result != 0:
		return fmt.Errorf("%w: %s", ErrRefused, natpmpResults[result-1])
	}
	return nil
}
