package data

import (
	"bytes"
	"fmt"
	"time"

	"allium/internal/signature"
	"allium/internal/wire"
)

// EntryType tells what an entry of the network database is, in a
// DatabaseStore message and in front of signed bytes.
type EntryType uint8

// The types of entries.
const (
	TypeRouterInfo        EntryType = 0
	TypeLeaseSet          EntryType = 1
	TypeLeaseSet2         EntryType = 3
	TypeEncryptedLeaseSet EntryType = 5
	TypeMetaLeaseSet      EntryType = 7
)

// LeaseSetEntry is what the network database holds for a Destination: one of
// *LeaseSet, *LeaseSet2, *EncryptedLeaseSet and *MetaLeaseSet. None of them
// is changed once made.
type LeaseSetEntry interface {
	// Type is the type of the entry.
	Type() EntryType
	// Key is what the entry is found under.
	Key() Hash
	// Published is when it was made, in seconds; a later one replaces it. For
	// a LeaseSet it is when the first lease ends, in milliseconds.
	Published() time.Time
	// Expires is when it is of no use any more.
	Expires() time.Time
	// Unpublished reports that its owner wants only those to have it whom he
	// gave it.
	Unpublished() bool
	// Verify checks all signatures. It returns nil or an error that wraps
	// ErrSignature or ErrLifetime.
	Verify() error
	// Bytes is the entry as received, without its type.
	Bytes() []byte
}

// ParseLeaseSetEntry reads an entry that all of b is, at most MaxLeaseSet
// bytes, and copies it. It does not verify it. Errors wrap ErrMalformed,
// ErrUnsupported, ErrDuplicateKey, ErrTooLong or an error of package wire.
func ParseLeaseSetEntry(t EntryType, b []byte) (LeaseSetEntry, error) {
	var entry LeaseSetEntry
	var err error
	switch t {
	case TypeLeaseSet:
		entry, err = ParseLeaseSet(b)
	case TypeLeaseSet2:
		entry, err = ParseLeaseSet2(b)
	case TypeEncryptedLeaseSet:
		entry, err = ParseEncryptedLeaseSet(b)
	case TypeMetaLeaseSet:
		entry, err = ParseMetaLeaseSet(b)
	default:
		err = fmt.Errorf("data: lease set: %w: %d", ErrUnsupported, t)
	}
	if err != nil {
		return nil, err
	}
	return entry, nil
}

// signedBytes is an entry with its type in front, which the signatures of all
// but the oldest type cover, and how many of the bytes they cover.
type signedBytes struct {
	typed  []byte
	signed int
}

// typedCopy is a copy of b behind its type.
func typedCopy(t EntryType, b []byte) ([]byte, error) {
	if len(b) > MaxLeaseSet {
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLong, len(b))
	}
	return bytes.Join([][]byte{{byte(t)}, b}, nil), nil
}

// read takes the signature of the given type, with which the entry ends.
func (s *signedBytes) read(r *wire.Reader, typed []byte, t signature.Type) {
	s.typed, s.signed = typed, r.Offset()
	r.Bytes(t.SignatureLen())
}

// Type is the type of the entry.
func (s *signedBytes) Type() EntryType { return EntryType(s.typed[0]) }

// Bytes is the entry as received, without its type. It must not be changed.
func (s *signedBytes) Bytes() []byte { return s.typed[1:] }

// Signature is the last part of Bytes.
func (s *signedBytes) Signature() []byte { return s.typed[s.signed:] }
