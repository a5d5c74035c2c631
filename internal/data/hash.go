package data

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
)

// Hash is the SHA-256 of a structure, 32 bytes: the name of a router or a
// Destination, and its place in the network database.
type Hash [32]byte

// shortLen is how many letters of a Hash are enough to tell peers apart in a
// log.
const shortLen = 6

// HashOf is the Hash of b.
func HashOf(b []byte) Hash { return sha256.Sum256(b) }

// ParseHash reads the 44 letters that String writes. It fails with
// ErrEncoding.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if !decodeKey(h[:], []byte(s)) {
		return Hash{}, fmt.Errorf("data: hash: %w", ErrEncoding)
	}
	return h, nil
}

// String is the Hash in the base64 of I2P, 44 letters.
func (h Hash) String() string { return EncodeBase64(h[:]) }

// MarshalText is String.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText is ParseHash.
func (h *Hash) UnmarshalText(text []byte) (err error) {
	*h, err = ParseHash(string(text))
	return err
}

// Short is the beginning of String, for logs.
func (h Hash) Short() string { return h.String()[:shortLen] }

// LogValue shortens the Hash in structured logs.
func (h Hash) LogValue() slog.Value { return slog.StringValue(h.Short()) }

// IsZero reports whether all bytes are zero, which stands for no Hash.
func (h Hash) IsZero() bool { return h == Hash{} }

// Compare orders Hashes as big-endian numbers: -1, 0 or 1.
func (h Hash) Compare(other Hash) int { return bytes.Compare(h[:], other[:]) }

// XOR is the distance of the network database between two Hashes.
func (h Hash) XOR(other Hash) Hash {
	for i := range h {
		h[i] ^= other[i]
	}
	return h
}

// Closer tells which of two Hashes has the smaller XOR distance to h: -1 if
// it is a, 1 if it is b, 0 if they are the same.
func (h Hash) Closer(a, b Hash) int {
	for i := 0; i < len(h); i += 8 {
		to := binary.BigEndian.Uint64(h[i:])
		if c := cmp.Compare(to^binary.BigEndian.Uint64(a[i:]), to^binary.BigEndian.Uint64(b[i:])); c != 0 {
			return c
		}
	}
	return 0
}
