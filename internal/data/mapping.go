package data

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"allium/internal/wire"
)

const (
	maxMapping = 1<<16 - 1
	maxString  = 255
)

// Mapping is a list of pairs of strings, each string up to 255 bytes, all
// together up to 65535 (common structures, Mapping). No key is there twice.
// It is kept as it came, since signatures cover its order. The zero Mapping
// is empty.
type Mapping struct {
	pairs []byte // key, "=", value, ";" each; checked
}

// Pair is one entry of a Mapping.
type Pair struct{ Key, Value string }

// NewMapping sorts pairs the way signed Mappings must be sorted. It fails
// with ErrDuplicateKey, with ErrTooLong, or with ErrMalformed for strings
// that are not UTF-8.
func NewMapping(pairs ...Pair) (Mapping, error) {
	m, err := newMapping(pairs)
	if err != nil {
		return Mapping{}, fmt.Errorf("data: mapping: %w", err)
	}
	return m, nil
}

func newMapping(pairs []Pair) (Mapping, error) {
	pairs = slices.Clone(pairs)
	slices.SortFunc(pairs, func(a, b Pair) int { return compareKeys(a.Key, b.Key) })
	var b []byte
	for i, p := range pairs {
		switch {
		case i > 0 && pairs[i-1].Key == p.Key:
			return Mapping{}, fmt.Errorf("%w %q", ErrDuplicateKey, p.Key)
		case len(p.Key) > maxString || len(p.Value) > maxString:
			return Mapping{}, fmt.Errorf("%w: option %.20q", ErrTooLong, p.Key)
		case !utf8.ValidString(p.Key) || !utf8.ValidString(p.Value):
			return Mapping{}, fmt.Errorf("%w: option %.20q is not UTF-8", ErrMalformed, p.Key)
		}
		b = append(b, byte(len(p.Key)))
		b = append(b, p.Key...)
		b = append(b, '=', byte(len(p.Value)))
		b = append(b, p.Value...)
		b = append(b, ';')
	}
	if len(b) > maxMapping {
		return Mapping{}, fmt.Errorf("%w: %d bytes", ErrTooLong, len(b))
	}
	return Mapping{b}, nil
}

// ReadMapping reads a Mapping, which points into the message: Clone it to
// keep it. The reader fails with ErrMalformed or ErrDuplicateKey. The pairs
// need not be sorted.
func ReadMapping(r *wire.Reader) Mapping {
	pairs := r.Bytes(int(r.Uint16()))
	if err := checkPairs(pairs); err != nil {
		r.Fail(fmt.Errorf("mapping: %w", err))
		return Mapping{}
	}
	return Mapping{pairs}
}

func checkPairs(pairs []byte) error {
	r := wire.NewReader(pairs)
	var previous []byte
	sorted := true
	for r.Len() > 0 {
		first := r.Offset() == 0
		key := r.ShortString()
		equals := r.Uint8()
		r.ShortString()
		semicolon := r.Uint8()
		if r.Err() == nil && (equals != '=' || semicolon != ';') {
			return fmt.Errorf("%w: a pair without its signs", ErrMalformed)
		}
		sorted = sorted && (first || compareKeys(previous, key) < 0)
		previous = key
	}
	if r.Err() != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, r.Err())
	}
	if !sorted && hasDuplicates(pairs) {
		return ErrDuplicateKey
	}
	return nil
}

func hasDuplicates(pairs []byte) bool {
	var keys [][]byte
	for len(pairs) > 0 {
		var key []byte
		key, _, pairs = cutPair(pairs)
		keys = append(keys, key)
	}
	slices.SortFunc(keys, bytes.Compare)
	all := len(keys)
	return len(slices.CompactFunc(keys, bytes.Equal)) < all
}

// cutPair splits checked pairs after the first.
func cutPair(pairs []byte) (key, value, rest []byte) {
	key, pairs = pairs[1:1+int(pairs[0])], pairs[2+int(pairs[0]):]
	value, rest = pairs[1:1+int(pairs[0])], pairs[2+int(pairs[0]):]
	return key, value, rest
}

// Len is how many bytes Append appends.
func (m Mapping) Len() int { return 2 + len(m.pairs) }

// IsEmpty reports whether there are no pairs.
func (m Mapping) IsEmpty() bool { return len(m.pairs) == 0 }

// Get is the value of key, and whether it is there. The time it takes grows
// with the Mapping.
func (m Mapping) Get(key string) (string, bool) {
	value, ok := m.find(key)
	return string(value), ok
}

func (m Mapping) find(key string) ([]byte, bool) {
	for rest := m.pairs; len(rest) > 0; {
		var k, v []byte
		if k, v, rest = cutPair(rest); string(k) == key {
			return v, true
		}
	}
	return nil, false
}

// All yields keys and values in the order they are written.
func (m Mapping) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for rest := m.pairs; len(rest) > 0; {
			var k, v []byte
			if k, v, rest = cutPair(rest); !yield(string(k), string(v)) {
				return
			}
		}
	}
}

// Sorted reports whether the keys are in the order that Java routers demand
// of whatever is signed.
func (m Mapping) Sorted() bool {
	previous, first := "", true
	for key := range m.All() {
		if !first && compareKeys(previous, key) >= 0 {
			return false
		}
		previous, first = key, false
	}
	return true
}

// Clone is the Mapping with its own copy of the bytes.
func (m Mapping) Clone() Mapping { return Mapping{bytes.Clone(m.pairs)} }

// Append appends the Mapping as it was read or made.
func (m Mapping) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.pairs)))
	return append(b, m.pairs...)
}

// String is the pairs as key=value, one after the other.
func (m Mapping) String() string {
	var s strings.Builder
	for key, value := range m.All() {
		if s.Len() > 0 {
			s.WriteByte(' ')
		}
		fmt.Fprintf(&s, "%s=%q", key, value)
	}
	return s.String()
}

// compareKeys orders UTF-8 as Java orders strings, by units of UTF-16. That is
// the order of the bytes except that letters beyond 16 bits (four bytes, from
// F0 on) come before U+E000 to U+FFFF (from EE on).
func compareKeys[T string | []byte](a, b T) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return int(javaOrder(a[i])) - int(javaOrder(b[i]))
		}
	}
	return len(a) - len(b)
}

func javaOrder(c byte) byte {
	switch {
	case c < 0xEE:
		return c
	case c < 0xF0:
		return c + 0x10
	}
	return c - 2
}
