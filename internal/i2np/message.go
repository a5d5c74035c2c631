package i2np

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"allium/internal/wire"
)

// Sizes of messages in bytes.
const (
	// ShortHeaderSize is the size of the header used in transports and in
	// garlic cloves: type 1, ID 4, expiration in seconds 4. Its container
	// tells the size of the body.
	ShortHeaderSize = 9
	// StandardHeaderSize is the size of the header used within tunnels: type
	// 1, ID 4, expiration in milliseconds 8, size 2, checksum 1.
	StandardHeaderSize = 16
	// MaxBody is the largest body the standard header can tell of. Tunnels
	// and transports carry less.
	MaxBody = math.MaxUint16
)

// How far an expiration may lie from now.
const (
	// MaxLate is how long after its expiration a message is still taken, for
	// clocks that differ.
	MaxLate = 60 * time.Second
	// MaxAhead is the longest time to live of a message, with what clocks
	// differ.
	MaxAhead = 4 * time.Minute
)

var (
	errShortHeader    = fmt.Errorf("i2np: short header: %w", wire.ErrShort)
	errStandardHeader = fmt.Errorf("i2np: standard header: %w", wire.ErrShort)
	errStandardBody   = fmt.Errorf("i2np: body after standard header: %w", wire.ErrShort)
	errStandardSum    = fmt.Errorf("i2np: standard header: %w", ErrChecksum)
)

// Message is an I2NP message with its body not looked into. It is a value:
// whoever relays it gives a copy another ID.
type Message struct {
	Type Type
	// ID tells messages apart, and is what replies to a build are matched by.
	ID uint32
	// Expiration is when the message has become useless. The short header
	// keeps seconds of it, the standard header milliseconds.
	Expiration time.Time
	// Body is at most MaxBody bytes, lent to whom the Message is handed.
	Body []byte
}

// ShortLen is how many bytes AppendShort appends.
func (m Message) ShortLen() int { return ShortHeaderSize + len(m.Body) }

// AppendShort appends the message with its short header.
func (m Message) AppendShort(b []byte) []byte {
	b = append(b, byte(m.Type))
	b = binary.BigEndian.AppendUint32(b, m.ID)
	b = binary.BigEndian.AppendUint32(b, secondsOf(m.Expiration))
	return append(b, m.Body...)
}

// ParseShort reads a message that has the short header and fills b. Its body
// points into b.
func ParseShort(b []byte) (Message, error) {
	if len(b) < ShortHeaderSize {
		return Message{}, errShortHeader
	}
	return Message{
		Type:       Type(b[0]),
		ID:         binary.BigEndian.Uint32(b[1:]),
		Expiration: time.Unix(int64(binary.BigEndian.Uint32(b[5:])), 0).UTC(),
		Body:       b[ShortHeaderSize:len(b):len(b)],
	}, nil
}

// StandardLen is how many bytes AppendStandard appends.
func (m Message) StandardLen() int { return StandardHeaderSize + len(m.Body) }

// AppendStandard appends the message with its standard header, checksum
// included. It appends nothing when the body is larger than MaxBody.
func (m Message) AppendStandard(b []byte) []byte {
	if len(m.Body) > MaxBody {
		return b
	}
	b = append(b, byte(m.Type))
	b = binary.BigEndian.AppendUint32(b, m.ID)
	b = binary.BigEndian.AppendUint64(b, millisOf(m.Expiration))
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.Body)))
	b = append(b, checksum(m.Body))
	return append(b, m.Body...)
}

// ParseStandard reads a message that has the standard header, and gives what
// comes after it. Body and rest point into b. It fails with wire.ErrShort, or
// with ErrChecksum when the body is not the one the header was made for.
func ParseStandard(b []byte) (m Message, rest []byte, err error) {
	if len(b) < StandardHeaderSize {
		return Message{}, nil, errStandardHeader
	}
	end := StandardHeaderSize + int(binary.BigEndian.Uint16(b[13:]))
	if len(b) < end {
		return Message{}, nil, errStandardBody
	}
	body := b[StandardHeaderSize:end:end]
	if b[15] != checksum(body) {
		return Message{}, nil, errStandardSum
	}
	m = Message{
		Type:       Type(b[0]),
		ID:         binary.BigEndian.Uint32(b[1:]),
		Expiration: timeOfMillis(binary.BigEndian.Uint64(b[5:])),
		Body:       body,
	}
	return m, b[end:], nil
}

// checksum is the first byte of the SHA-256 of a body.
func checksum(body []byte) byte {
	sum := sha256.Sum256(body)
	return sum[0]
}

// Expired reports whether the message is of no use any more at now: its
// expiration was more than MaxLate ago.
func (m Message) Expired(now time.Time) bool {
	return now.Sub(m.Expiration) > MaxLate
}

// CheckExpiration gives ErrExpired for a message that Expired, ErrFarFuture
// for one that would live longer than MaxAhead from now, which no honest
// router sends and replay filters do not remember, and nil for all others.
func (m Message) CheckExpiration(now time.Time) error {
	switch {
	case m.Expired(now):
		return ErrExpired
	case m.Expiration.Sub(now) > MaxAhead:
		return ErrFarFuture
	}
	return nil
}
