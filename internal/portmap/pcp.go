package portmap

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"allium/internal/wire"
)

// Numbers of PCP (RFC 6887, sections 7 and 11).
const (
	pcpVersion = 2
	pcpMap     = 1
	pcpAnswer  = 0x80
	// pcpHeader and pcpMapping are lengths in bytes.
	pcpHeader, pcpMapping = 24, 36
)

// pcpResults are the result codes, from 1 on (section 7.4).
var pcpResults = []string{
	"version not supported", "not authorized", "malformed request", "operation not supported", "option not supported",
	"malformed option", "network failure", "no resources", "protocol not supported", "quota exceeded",
	"cannot provide that external port", "the address it sees is not ours", "too many remote peers",
}

// pcp speaks PCP to one gateway. Its epoch, which shows that it has lost all
// mappings, is not watched: asking for a mapping makes it again.
type pcp struct {
	door
	nonce Nonce
}

// String implements method.
func (p *pcp) String() string { return "PCP at " + p.at.Addr().String() }

func (p *pcp) add(ctx context.Context, want mapping) (mapping, error) {
	got := want
	local, err := p.ask(ctx,
		func(local netip.Addr) []byte { return appendPCP(nil, local, p.nonce, want, lifetime) },
		func(b []byte) error {
			a, err := parsePCP(b)
			if err == nil && (a.nonce != p.nonce || a.protocol != want.protocol || a.localPort != want.local.Port()) {
				err = fmt.Errorf("%w: to another request", ErrMalformed)
			}
			got.external, got.lifetime = a.external, a.lifetime
			return err
		})
	if err == nil && (got.lifetime == 0 || got.external.Port() == 0) {
		err = fmt.Errorf("%w: a mapping of nothing", ErrMalformed)
	}
	got.local = netip.AddrPortFrom(local, want.local.Port())
	return got, err
}

func (p *pcp) remove(ctx context.Context, m mapping) error {
	m.external = netip.AddrPortFrom(m.external.Addr(), 0)
	_, err := p.ask(ctx,
		func(local netip.Addr) []byte { return appendPCP(nil, local, p.nonce, m, 0) },
		func(b []byte) error {
			a, err := parsePCP(b)
			if err == nil && (a.nonce != p.nonce || a.protocol != m.protocol || a.localPort != m.local.Port()) {
				err = fmt.Errorf("%w: to another request", ErrMalformed)
			}
			return err
		})
	return err
}

// appendPCP writes a request to map a port, or with no life to unmap it.
func appendPCP(b []byte, local netip.Addr, nonce Nonce, m mapping, life time.Duration) []byte {
	b = append(b, pcpVersion, pcpMap, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(life/time.Second))
	b = appendAddr(b, local)
	b = append(b, nonce[:]...)
	b = append(b, byte(m.protocol), 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, m.local.Port())
	b = binary.BigEndian.AppendUint16(b, m.external.Port())
	wish := m.external.Addr()
	switch {
	case wish.IsValid():
	case local.Is4():
		wish = netip.IPv4Unspecified()
	default:
		wish = netip.IPv6Unspecified()
	}
	return appendAddr(b, wish)
}

// appendAddr writes an address in 16 bytes, IPv4 mapped.
func appendAddr(b []byte, a netip.Addr) []byte {
	in16 := a.As16()
	return append(b, in16[:]...)
}

// pcpMapped is what an answer tells.
type pcpMapped struct {
	nonce     Nonce
	protocol  Protocol
	localPort uint16
	external  netip.AddrPort
	lifetime  time.Duration
}

// parsePCP reads an answer to a request to map. Its error is ErrRefused or
// ErrMalformed.
func parsePCP(b []byte) (pcpMapped, error) {
	var a pcpMapped
	// A gateway that knows NAT-PMP alone says so in that (RFC 6886, 3.5).
	if len(b) >= 4 && b[0] == natpmpVersion && b[1]&natpmpAnswer != 0 && b[3] == 1 {
		return a, fmt.Errorf("%w: it knows NAT-PMP only", ErrRefused)
	}
	if len(b) < pcpHeader+pcpMapping || len(b)%4 != 0 || b[0] != pcpVersion || b[1] != pcpAnswer|pcpMap {
		return a, fmt.Errorf("%w: of %d bytes", ErrMalformed, len(b))
	}
	r := wire.NewReader(b)
	r.Bytes(3)
	result := r.Uint8()
	a.lifetime = time.Duration(r.Uint32()) * time.Second
	r.Bytes(16) // epoch, reserved
	r.Fill(a.nonce[:])
	a.protocol = Protocol(r.Uint8())
	r.Bytes(3)
	a.localPort = r.Uint16()
	port := r.Uint16()
	addr := netip.AddrFrom16([16]byte(r.Bytes(16))).Unmap()
	a.external = netip.AddrPortFrom(addr, port)
	switch {
	case int(result) > len(pcpResults):
		return a, fmt.Errorf("%w: result %d", ErrRefused, result)
	case result != 0:
		return a, fmt.Errorf("%w: %s", ErrRefused, pcpResults[result-1])
	}
	return a, nil
}
