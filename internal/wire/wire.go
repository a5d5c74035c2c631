// Package wire reads and writes the fields of binary messages in network byte
// order.
//
// A [Reader] is built for parsers that read field after field and look for
// trouble once: after the first failure every read gives zeros and the failure
// stays, so a parser reads straight down and asks [Reader.Err] or
// [Reader.Done] at the end. Slices it gives out point into the message and
// are valid only as long as the message is.
//
// Writing needs less: encoding/binary's Append functions for integers, append
// for bytes, and [AppendShortString] here.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Errors of reading and writing.
var (
	// ErrShort reports that a message ends inside a field.
	ErrShort = errors.New("message ends early")
	// ErrTrailing reports bytes after the last field.
	ErrTrailing = errors.New("bytes after the end")
	// ErrTooLong reports a value longer than its length field can tell.
	ErrTooLong = errors.New("value too long")
)

// Reader reads a message from its start. The zero value reads an empty one.
// It is meant to live on the stack; a copy goes on by itself from where the
// original stood.
type Reader struct {
	b   []byte
	at  int
	err error
}

// NewReader reads b, which it never changes.
func NewReader(b []byte) Reader { return Reader{b: b} }

// Len is how many bytes are left; none after a failure.
func (r *Reader) Len() int { return len(r.b) - r.at }

// Offset is how many bytes of the message have been read. After a failure it
// is where the failing field began.
func (r *Reader) Offset() int { return r.at }

// Err is the first failure, or nil.
func (r *Reader) Err() error { return r.err }

// Fail makes err the failure unless one stands already, and leaves nothing
// more to read. A nil err changes nothing.
func (r *Reader) Fail(err error) {
	if err == nil || r.err != nil {
		return
	}
	r.err = err
	r.b = r.b[:r.at]
}

// Done is the first failure, or ErrTrailing when bytes are left, or nil. It
// ends the reading of a message that must have been read whole.
func (r *Reader) Done() error {
	if n := r.Len(); n > 0 {
		r.Fail(fmt.Errorf("%w: %d", ErrTrailing, n))
	}
	return r.err
}

// take gives the next n bytes, or nil and the failure ErrShort.
func (r *Reader) take(n int) []byte {
	if n < 0 || n > r.Len() {
		r.Fail(ErrShort)
		return nil
	}
	b := r.b[r.at : r.at+n : r.at+n]
	r.at += n
	return b
}

// Uint8 reads one byte.
func (r *Reader) Uint8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// Uint16 reads two bytes.
func (r *Reader) Uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// Uint32 reads four bytes.
func (r *Reader) Uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// Uint64 reads eight bytes.
func (r *Reader) Uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// Bytes reads n bytes. They point into the message, and appending to them
// copies instead of writing over what follows. It gives nil when fewer than n
// are left or n is negative, both of which are ErrShort.
func (r *Reader) Bytes(n int) []byte { return r.take(n) }

// Fill reads as many bytes as dst holds into dst, which stays as it was when
// fewer are left.
func (r *Reader) Fill(dst []byte) { copy(dst, r.take(len(dst))) }

// ShortString reads one byte that tells a length and then that many bytes,
// which point into the message as those of Bytes do.
func (r *Reader) ShortString() []byte {
	start := r.at
	b := r.take(int(r.Uint8()))
	if b == nil {
		r.at = start
		r.b = r.b[:start]
	}
	return b
}

// Rest reads all that is left, which may be nothing.
func (r *Reader) Rest() []byte { return r.take(r.Len()) }

// AppendShortString appends one byte that tells the length of s, and s. It
// appends nothing and gives ErrTooLong when s is longer than 255 bytes.
func AppendShortString(b []byte, s string) ([]byte, error) {
	if len(s) > 255 {
		return b, fmt.Errorf("%w: string of %d bytes", ErrTooLong, len(s))
	}
	b = append(b, byte(len(s)))
	return append(b, s...), nil
}
