package data

import (
	"fmt"
	"time"

	"allium/internal/wire"
)

// MetaLease points from a MetaLeaseSet to another set of leases.
type MetaLease struct {
	// Target is the key of the other set.
	Target Hash
	// Flags are 24 bits. The lowest four are the type of the other set, 0 if
	// not known.
	Flags uint32
	// Cost is lower for those that should be tried first.
	Cost uint8
	// Expires is when the other set ends, in seconds.
	Expires time.Time
}

// MetaLeaseSet is a list of other sets of leases, those of the servers of one
// large service (type 7; common structures, MetaLeaseSet). They are kept and
// passed on.
type MetaLeaseSet struct {
	signedBytes
	leaseSetHeader
	options     Mapping
	leases      []MetaLease
	revocations []Hash
}

// metaLeaseLen is the length of a MetaLease.
const metaLeaseLen = 40

// ParseMetaLeaseSet reads a MetaLeaseSet that all of b is and copies it. It
// does not verify it. It fails as ParseLeaseSetEntry does.
func ParseMetaLeaseSet(b []byte) (*MetaLeaseSet, error) {
	typed, err := typedCopy(TypeMetaLeaseSet, b)
	if err != nil {
		return nil, fmt.Errorf("data: meta lease set: %w", err)
	}
	return parseMetaLeaseSet(typed)
}

// parseMetaLeaseSet keeps typed.
func parseMetaLeaseSet(typed []byte) (*MetaLeaseSet, error) {
	ls := new(MetaLeaseSet)
	r := wire.NewReader(typed)
	r.Uint8()
	ls.leaseSetHeader.read(&r)
	ls.options = ReadMapping(&r)
	ls.leases = readMetaLeases(&r)
	ls.revocations = readHashes(&r)
	ls.signedBytes.read(&r, typed, ls.signer(ls.destination.signing))
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("data: meta lease set: %w", err)
	}
	return ls, nil
}

func readMetaLeases(r *wire.Reader) []MetaLease {
	n := int(r.Uint8())
	body := wire.NewReader(r.Bytes(n * metaLeaseLen))
	if r.Err() == nil && n == 0 {
		r.Fail(fmt.Errorf("%w: no leases", ErrMalformed))
	}
	if r.Err() != nil {
		return nil
	}
	leases := make([]MetaLease, n)
	for i := range leases {
		l := &leases[i]
		body.Fill(l.Target[:])
		flagsAndCost := body.Uint32()
		l.Flags, l.Cost = flagsAndCost>>8, uint8(flagsAndCost)
		l.Expires = readSeconds(&body)
	}
	return leases
}

func readHashes(r *wire.Reader) []Hash {
	n := int(r.Uint8())
	body := wire.NewReader(r.Bytes(n * len(Hash{})))
	if r.Err() != nil {
		return nil
	}
	all := make([]Hash, n)
	for i := range all {
		body.Fill(all[i][:])
	}
	return all
}

// Options are what the Destination says besides.
func (ls *MetaLeaseSet) Options() Mapping { return ls.options }

// Leases point to the other sets, at least one. The slice must not be
// changed.
func (ls *MetaLeaseSet) Leases() []MetaLease { return ls.leases }

// Revocations are keys of sets that are valid no more. The slice must not be
// changed.
func (ls *MetaLeaseSet) Revocations() []Hash { return ls.revocations }

// Verify checks the signature, and that of the offline block. It returns nil
// or an error that wraps ErrSignature, or ErrLifetime when the block had
// expired before.
func (ls *MetaLeaseSet) Verify() error {
	d := &ls.destination
	if err := ls.verify(&ls.signedBytes, d.signing, d.SigningKey()); err != nil {
		return fmt.Errorf("data: meta lease set %s: %w", ls.Key().Short(), err)
	}
	return nil
}
