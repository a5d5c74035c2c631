package data

import (
	"encoding/binary"
	"fmt"
	"time"

	"allium/internal/wire"
)

// Lease is the permission to send to a Destination through one of its inbound
// tunnels until that ends. It stands for both forms of the specification:
// Lease (44 bytes, milliseconds) and Lease2 (40 bytes, seconds).
type Lease struct {
	// Gateway is the router at the near end of the tunnel.
	Gateway Hash
	// TunnelID is the number of the tunnel there, not zero.
	TunnelID uint32
	// Expires is when the tunnel ends.
	Expires time.Time
}

// readLeases reads a count and that many leases, in the old or the new form.
func readLeases(r *wire.Reader, readEnd func(*wire.Reader) time.Time) []Lease {
	n := int(r.Uint8())
	if n > MaxLeases {
		r.Fail(fmt.Errorf("%w: %d leases", ErrTooLong, n))
	}
	if r.Err() != nil {
		return nil
	}
	leases := make([]Lease, n)
	for i := range leases {
		l := &leases[i]
		r.Fill(l.Gateway[:])
		if l.TunnelID = r.Uint32(); l.TunnelID == 0 {
			r.Fail(fmt.Errorf("%w: lease of tunnel 0", ErrMalformed))
		}
		l.Expires = readEnd(r)
	}
	return leases
}

// append2 appends the lease as a Lease2.
func (l Lease) append2(b []byte) ([]byte, error) {
	end, err := seconds(l.Expires)
	if err != nil {
		return b, err
	}
	if l.TunnelID == 0 {
		return b, fmt.Errorf("%w: lease of tunnel 0", ErrMalformed)
	}
	b = append(b, l.Gateway[:]...)
	b = binary.BigEndian.AppendUint32(b, l.TunnelID)
	return binary.BigEndian.AppendUint32(b, end), nil
}

// span is the first and the last end of leases, zero times for none.
func span(leases []Lease) (first, last time.Time) {
	for i, l := range leases {
		if i == 0 || l.Expires.Before(first) {
			first = l.Expires
		}
		if i == 0 || l.Expires.After(last) {
			last = l.Expires
		}
	}
	return first, last
}
