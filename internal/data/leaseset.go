package data

import (
	"fmt"
	"time"

	"allium/internal/wire"
)

// LeaseSet is the oldest set of leases (type 1; common structures, LeaseSet).
// Destinations that have no other can be read and verified, but to write to
// them takes ElGamal, which we do not have.
type LeaseSet struct {
	signedBytes
	destination   Destination
	encryptionKey []byte
	leases        []Lease
}

// ParseLeaseSet reads a LeaseSet that all of b is and copies it. It does not
// verify it. It fails as ParseLeaseSetEntry does.
func ParseLeaseSet(b []byte) (*LeaseSet, error) {
	typed, err := typedCopy(TypeLeaseSet, b)
	if err != nil {
		return nil, fmt.Errorf("data: lease set: %w", err)
	}
	ls := new(LeaseSet)
	r := wire.NewReader(typed)
	r.Uint8()
	ls.destination.read(&r)
	ls.encryptionKey = r.Bytes(ElGamal.PublicKeyLen())
	r.Bytes(ls.destination.signing.PublicKeyLen()) // for revocation, which never came to be
	ls.leases = readLeases(&r, readDate)
	ls.read(&r, typed, ls.destination.signing)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("data: lease set: %w", err)
	}
	return ls, nil
}

// Key is the Hash of the Destination.
func (ls *LeaseSet) Key() Hash { return ls.destination.hash }

// Destination is whose LeaseSet this is.
func (ls *LeaseSet) Destination() *Destination { return &ls.destination }

// EncryptionKey is the ElGamal key to write to the Destination with, 256
// bytes. It must not be changed.
func (ls *LeaseSet) EncryptionKey() []byte { return ls.encryptionKey }

// Leases are at most MaxLeases. The slice must not be changed.
func (ls *LeaseSet) Leases() []Lease { return ls.leases }

// Published is when the first lease ends: a LeaseSet says nothing else to
// tell old from new.
func (ls *LeaseSet) Published() time.Time { first, _ := span(ls.leases); return first }

// Expires is when the last lease ends.
func (ls *LeaseSet) Expires() time.Time { _, last := span(ls.leases); return last }

// Unpublished is false.
func (ls *LeaseSet) Unpublished() bool { return false }

// Verify checks the signature. It returns nil or an error that wraps
// ErrSignature.
func (ls *LeaseSet) Verify() error {
	// The only signature that does not cover the type.
	if !ls.destination.Verify(ls.typed[1:ls.signed], ls.Signature()) {
		return fmt.Errorf("data: lease set %s: %w", ls.Key().Short(), ErrSignature)
	}
	return nil
}
