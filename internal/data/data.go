// Package data holds the common structures of I2P: what routers and
// Destinations are called, how they can be reached, and how they prove it.
//
// Everything here is bytes and their meaning. A router is a [RouterIdentity],
// which it signs its [RouterInfo] with: addresses, capabilities, a date. A
// [Destination] is the same kind of thing for a service, and publishes one of
// the four sets of leases behind [LeaseSetEntry]. All of them are found under
// a [Hash].
//
// A parsed structure keeps one copy of the bytes it was read from and points
// into it. It is never changed afterwards, so it can be shared between
// goroutines, and what it gives out must not be changed either. Signatures
// are checked over the bytes as received, never over a new encoding. Parsing
// is strict where others drop what breaks the rule too: duplicate keys, excess
// bytes, lengths that do not fit their types.
//
// Nothing here remembers, decides or asks the clock. Whether a RouterInfo is
// fresh, or of our network, is for those who keep it.
package data

import (
	"errors"
	"fmt"
	"time"

	"allium/internal/wire"
)

// What goes wrong with bytes from others. Errors of this package wrap one of
// these, or one of package wire for bytes that end early or do not end.
var (
	// ErrMalformed reports bytes that break the rules of their structure.
	ErrMalformed = errors.New("malformed")
	// ErrUnsupported reports a type code that says nothing to us.
	ErrUnsupported = errors.New("unsupported type")
	// ErrDuplicateKey reports a Mapping that has a key twice.
	ErrDuplicateKey = errors.New("duplicate key")
	// ErrEncoding reports text that is not the base64 or base32 of I2P.
	ErrEncoding = errors.New("malformed text encoding")
	// ErrSignature reports a signature that does not fit.
	ErrSignature = errors.New("wrong signature")
)

// What goes wrong when we build.
var (
	// ErrTooLong reports a value that does not fit its field or its limit.
	ErrTooLong = errors.New("too long")
	// ErrKeyMismatch reports a private key that does not belong to the public
	// key it was given with.
	ErrKeyMismatch = errors.New("private and public key do not belong together")
	// ErrLifetime reports dates in the wrong order or too far apart.
	ErrLifetime = errors.New("bad lifetime")
)

// lastDate is the last millisecond of the year 9999: later dates cannot be
// written in the usual text forms.
const lastDate = 253402300799999

// readDate reads a Date, 8 bytes of milliseconds.
func readDate(r *wire.Reader) time.Time {
	ms := r.Uint64()
	if ms > lastDate {
		r.Fail(fmt.Errorf("%w: date %d", ErrMalformed, ms))
	}
	return time.UnixMilli(int64(min(ms, lastDate))).UTC()
}

// readSeconds reads a date of 4 bytes.
func readSeconds(r *wire.Reader) time.Time { return unixSeconds(r.Uint32()) }

func unixSeconds(s uint32) time.Time { return time.Unix(int64(s), 0).UTC() }

// seconds is t as 4 bytes hold it.
func seconds(t time.Time) (uint32, error) {
	s := t.Unix()
	if s < 0 || s > 1<<32-1 {
		return 0, fmt.Errorf("%w: %v", ErrLifetime, t)
	}
	return uint32(s), nil
}
