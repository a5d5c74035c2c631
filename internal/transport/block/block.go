// Package block reads and writes the blocks that fill the encrypted payloads
// of NTCP2 and SSU2: type 1, size 2, data. Here are the blocks that both have
// alike; what only SSU2 has is its own.
//
// A receiver walks through a payload with a [Reader] and skips the types it
// does not know. A sender appends block after block, and padding last.
package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"

	"allium/internal/wire"
)

// Sizes in bytes.
const (
	// HeaderSize is the size of what comes before the data of each block.
	HeaderSize = 3
	// MaxData is the largest data a block can tell of. A payload holds less.
	MaxData = math.MaxUint16
)

// ErrMalformed reports a block that does not have the form of its type, or
// stands where it may not.
var ErrMalformed = errors.New("malformed block")

var (
	errHeader  = fmt.Errorf("block: header: %w", wire.ErrShort)
	errData    = fmt.Errorf("block: data: %w", wire.ErrShort)
	errPadding = fmt.Errorf("block: %w: block after padding", ErrMalformed)
)

// Type says what a block is.
type Type uint8

// The types of blocks that both transports have. Types 224 to 253 are for
// experiments.
const (
	TypeDateTime   Type = 0
	TypeOptions    Type = 1
	TypeRouterInfo Type = 2
	TypeI2NP       Type = 3
	TypePadding    Type = 254
)

// The types of the Termination block, which has the same form in both
// transports but not the same type.
const (
	TypeTerminationNTCP2 Type = 4
	TypeTerminationSSU2  Type = 6
)

// String gives the name of a type that both transports have, and the number of
// others.
func (t Type) String() string {
	switch t {
	case TypeDateTime:
		return "DateTime"
	case TypeOptions:
		return "Options"
	case TypeRouterInfo:
		return "RouterInfo"
	case TypeI2NP:
		return "I2NP"
	case TypePadding:
		return "Padding"
	}
	return "type " + strconv.Itoa(int(t))
}

// Reader walks through the blocks of a payload:
//
//	r := block.NewReader(payload)
//	for r.Next() {
//		switch r.Type {
//		...
//		}
//	}
//	if r.Err() != nil {
//		...
//	}
//
// It is meant to live on the stack.
type Reader struct {
	// Type is the type of the block Next has found.
	Type Type
	// Data is what the block holds. It points into the payload.
	Data []byte

	rest   []byte
	padded bool
	err    error
}

// NewReader reads the payload.
func NewReader(payload []byte) Reader { return Reader{rest: payload} }

// Next goes to the next block. It reports false at the end of the payload and
// when the payload has no more that can be read, which Err tells apart.
func (r *Reader) Next() bool {
	if r.err != nil || len(r.rest) == 0 {
		return false
	}
	if r.padded {
		return r.fail(errPadding)
	}
	if len(r.rest) < HeaderSize {
		return r.fail(errHeader)
	}
	end := HeaderSize + int(binary.BigEndian.Uint16(r.rest[1:]))
	if len(r.rest) < end {
		return r.fail(errData)
	}
	r.Type = Type(r.rest[0])
	r.Data = r.rest[HeaderSize:end:end]
	r.rest = r.rest[end:]
	r.padded = r.Type == TypePadding
	return true
}

func (r *Reader) fail(err error) bool {
	r.Type, r.Data, r.err = 0, nil, err
	return false
}

// Err is nil when Next has come to the end of the payload. It is
// wire.ErrShort when the payload ends within a block, and ErrMalformed when a
// block follows the padding.
func (r *Reader) Err() error { return r.err }

// appendHeader appends the type and size of a block.
func appendHeader(b []byte, t Type, size int) []byte {
	return append(b, byte(t), byte(size>>8), byte(size))
}
