// Package datagram gives messages between Destinations that may be lost, come
// twice or out of order, the UDP of I2P.
//
// There are four kinds, told apart by the protocol number that goes along:
//   - raw ones are the bytes alone; nobody is told who sent them,
//   - Datagram1 carries the sender's Destination and a signature of the bytes,
//   - Datagram2 signs the receiver's hash as well, so that the receiver cannot
//     send it on as if it came from the sender, and knows offline keys,
//   - Datagram3 carries only the hash of the sender and is not signed: it is
//     authentic when the session it came through is.
//
// Whoever sends gets no answer whether it arrived. Each message of more than
// about a kilobyte travels in several tunnel messages, all of which must
// arrive: a few kilobytes are a sensible size, beyond ten little gets through.
//
// [Datagrams] is all of one Destination. It works by events; [PacketConn] puts
// the blocking face of package net over one port of it.
package datagram

import (
	"errors"
	"fmt"
	"time"

	"allium/internal/data"
	"allium/internal/signature"
	"allium/internal/wire"
)

// Protocol is the kind of a datagram: its number in the header of end-to-end
// messages.
type Protocol uint8

// The kinds of datagrams.
const (
	Datagram1 Protocol = 17
	Raw       Protocol = 18
	Datagram2 Protocol = 19
	Datagram3 Protocol = 20
)

// String is the name the specification uses.
func (p Protocol) String() string {
	switch p {
	case Datagram1:
		return "Datagram1"
	case Raw:
		return "raw"
	case Datagram2:
		return "Datagram2"
	case Datagram3:
		return "Datagram3"
	}
	return fmt.Sprintf("protocol %d", uint8(p))
}

// known tells whether this package speaks p.
func (p Protocol) known() bool { return p >= Datagram1 && p <= Datagram3 }

// MaxLen is the longest datagram, in bytes, with all that goes before and
// after the payload.
const MaxLen = 62 << 10

// Errors of datagrams.
var (
	// ErrMalformed is what a datagram with a bad format wraps.
	ErrMalformed = errors.New("datagram: malformed")
	// ErrSignature is what a datagram wraps that does not prove its sender.
	ErrSignature = errors.New("datagram: not authentic")
	// ErrTooLong reports a payload that does not fit into MaxLen.
	ErrTooLong = errors.New("datagram: too long")
	// ErrProtocol reports a kind this package does not know, or, on sending, a
	// Datagram1 of a Destination with an offline key: it has no place for one.
	ErrProtocol = errors.New("datagram: unsupported protocol")
)

// Local is the Destination datagrams belong to.
type Local struct {
	Destination *data.Destination
	// Key signs: the Destination's, or the transient one that Offline stands
	// for.
	Key signature.PrivateKey
	// Offline is the offline signature block: expiry, type and key of the
	// transient key, signed by the Destination. Nil without one.
	Offline []byte
}

// Sender is what the layer below knows of a message's origin.
type Sender struct {
	// Bound tells that the message came through a session that belongs to the
	// Destination with this Hash, as its LeaseSet proves.
	Bound bool
	Hash  data.Hash
}

// Packet is one datagram that has come.
type Packet struct {
	// From is who sent it, as far as it is known: zero for a raw one that came
	// through a session of nobody we know.
	From data.Hash
	// Destination is the whole of From, nil if the datagram does not carry it.
	Destination *data.Destination
	// Authentic tells that From is proved, by signature or session.
	Authentic bool
	// FromPort and ToPort are the ports of the two ends.
	FromPort, ToPort uint16
	// Options come with Datagram2 and Datagram3. Lent for the round.
	Options data.Mapping
	// Payload is lent for the round.
	Payload []byte
}

// The flags of Datagram2 and Datagram3.
const (
	versionMask = 0x0f
	flagOptions = 1 << 4
	flagOffline = 1 << 5
)

// parse reads a datagram of kind p to the Destination to.
func parse(now time.Time, p Protocol, from Sender, to data.Hash, b []byte) (Packet, error) {
	r := wire.NewReader(b)
	var packet Packet
	var err error
	switch p {
	case Datagram1:
		packet, err = parse1(&r, from)
	case Datagram2:
		packet, err = parse2(now, &r, from, to)
	case Datagram3:
		packet, err = parse3(&r, from)
	case Raw:
		packet = Packet{From: from.Hash, Authentic: from.Bound, Payload: b}
	default:
		err = ErrProtocol
	}
	if r.Err() != nil {
		err = fmt.Errorf("%w: %w", ErrMalformed, r.Err())
	}
	if err != nil {
		return Packet{}, fmt.Errorf("%w (%v)", err, p)
	}
	return packet, nil
}

// build appends a datagram of kind p to the Destination to.
func (l *Local) build(b []byte, p Protocol, to data.Hash, payload []byte) ([]byte, error) {
	start := len(b)
	switch {
	case p == Datagram1 && l.Offline == nil:
		b = l.append1(b, payload)
	case p == Datagram2:
		b = l.append2(b, to, payload)
	case p == Datagram3:
		b = l.append3(b, payload)
	case p == Raw:
		b = append(b, payload...)
	default:
		return nil, fmt.Errorf("%w: %v", ErrProtocol, p)
	}
	if len(b)-start > MaxLen {
		return nil, fmt.Errorf("%w: %d bytes of %v", ErrTooLong, len(b)-start, p)
	}
	return b, nil
}

// proves tells whether the session shows that h is the sender. It fails when
// the session belongs to somebody else.
func (s Sender) proves(h data.Hash) (bool, error) {
	if s.Bound && s.Hash != h {
		return false, fmt.Errorf("%w: came through the session of another", ErrSignature)
	}
	return s.Bound, nil
}
