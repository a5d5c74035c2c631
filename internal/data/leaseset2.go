package data

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"allium/internal/signature"
	"allium/internal/wire"
)

// EncryptionKey is one of the keys a Destination can be written to with.
type EncryptionKey struct {
	Type CryptoType
	// Key is as long as its type demands, or as it likes for unknown types.
	Key []byte
}

// LeaseSet2 is the set of leases in use (type 3; common structures,
// LeaseSet2).
type LeaseSet2 struct {
	signedBytes
	leaseSetHeader
	options Mapping
	keys    []EncryptionKey
	leases  []Lease
}

// ParseLeaseSet2 reads a LeaseSet2 that all of b is and copies it. It does
// not verify it. It fails as ParseLeaseSetEntry does.
func ParseLeaseSet2(b []byte) (*LeaseSet2, error) {
	typed, err := typedCopy(TypeLeaseSet2, b)
	if err != nil {
		return nil, fmt.Errorf("data: lease set 2: %w", err)
	}
	return parseLeaseSet2(typed)
}

// parseLeaseSet2 keeps typed.
func parseLeaseSet2(typed []byte) (*LeaseSet2, error) {
	ls := new(LeaseSet2)
	r := wire.NewReader(typed)
	r.Uint8()
	ls.leaseSetHeader.read(&r)
	ls.options = ReadMapping(&r)
	ls.keys = readEncryptionKeys(&r)
	ls.leases = readLeases(&r, readSeconds)
	ls.signedBytes.read(&r, typed, ls.signer(ls.destination.signing))
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("data: lease set 2: %w", err)
	}
	return ls, nil
}

func readEncryptionKeys(r *wire.Reader) []EncryptionKey {
	n := int(r.Uint8())
	if r.Err() == nil && (n == 0 || n > MaxEncryptionKeys) {
		r.Fail(fmt.Errorf("%w: %d encryption keys", ErrMalformed, n))
	}
	if r.Err() != nil {
		return nil
	}
	keys := make([]EncryptionKey, n)
	for i := range keys {
		k := EncryptionKey{Type: CryptoType(r.Uint16())}
		k.Key = r.Bytes(int(r.Uint16()))
		if r.Err() == nil {
			r.Fail(k.check())
		}
		keys[i] = k
	}
	return keys
}

func (k EncryptionKey) check() error {
	if want := k.Type.PublicKeyLen(); want != 0 && len(k.Key) != want {
		return fmt.Errorf("%w: encryption key of type %d and %d bytes", ErrMalformed, k.Type, len(k.Key))
	}
	return nil
}

// LeaseSet2Content is what goes into a LeaseSet2.
type LeaseSet2Content struct {
	Destination *Destination
	// Published is now, cut to seconds. It must be later than in the LeaseSet2
	// before, or that will not be replaced.
	Published time.Time
	// Unpublished LeaseSets are not given out by those who get them.
	Unpublished bool
	// Offline is nil, or lets another key sign.
	Offline *OfflineSignature
	// Options are service records (proposal 167) or none.
	Options Mapping
	// Keys are one to MaxEncryptionKeys, those to be used rather first.
	Keys []EncryptionKey
	// Leases are at most MaxLeases. None takes the Destination off the network.
	Leases []Lease
}

// SignLeaseSet2 makes a LeaseSet2 that lasts as long as its last lease. key
// is the Destination's, or the one that Offline speaks of. It fails with
// ErrKeyMismatch, with ErrTooLong beyond MaxOwnLeaseSet bytes or the limits
// of counts, with ErrLifetime when a lease has ended before Published or ends
// more than MaxLeaseSetLifetime after, or with ErrMalformed.
func SignLeaseSet2(key signature.PrivateKey, c LeaseSet2Content) (*LeaseSet2, error) {
	flags := uint16(0)
	if c.Unpublished {
		flags |= flagUnpublished
	}
	return signLeaseSet2(key, c, flags)
}

func signLeaseSet2(key signature.PrivateKey, c LeaseSet2Content, flags uint16) (*LeaseSet2, error) {
	if !mayFor(key, &c.Destination.KeysAndCert, c.Offline) {
		return nil, fmt.Errorf("data: lease set 2: %w", ErrKeyMismatch)
	}
	b, err := appendLeaseSet2([]byte{byte(TypeLeaseSet2)}, c, flags)
	if err != nil {
		return nil, fmt.Errorf("data: lease set 2: %w", err)
	}
	b = append(b, key.Sign(b)...)
	if len(b)-1 > MaxOwnLeaseSet {
		return nil, fmt.Errorf("data: lease set 2: %w: %d bytes", ErrTooLong, len(b)-1)
	}
	return parseLeaseSet2(b)
}

// mayFor reports whether key may sign in the name of k.
func mayFor(key signature.PrivateKey, k *KeysAndCert, offline *OfflineSignature) bool {
	if offline == nil {
		return k.owns(key)
	}
	return key.Type() == offline.Type && bytes.Equal(key.Public(), offline.Key)
}

// appendLeaseSet2 appends all but the signature.
func appendLeaseSet2(b []byte, c LeaseSet2Content, flags uint16) ([]byte, error) {
	first, last := span(c.Leases)
	if len(c.Leases) == 0 {
		first, last = c.Published, c.Published
	}
	if first.Before(c.Published) {
		return b, fmt.Errorf("%w: a lease has ended", ErrLifetime)
	}
	l, err := newLifetime(c.Published, last, MaxLeaseSetLifetime, flags, c.Offline)
	if err != nil {
		return b, err
	}
	if len(c.Leases) > MaxLeases || len(c.Keys) > MaxEncryptionKeys {
		return b, fmt.Errorf("%w: %d leases, %d keys", ErrTooLong, len(c.Leases), len(c.Keys))
	}
	b = l.append(append(b, c.Destination.raw...))
	b = append(c.Options.Append(b), byte(len(c.Keys)))
	for _, k := range c.Keys {
		b = binary.BigEndian.AppendUint16(b, uint16(k.Type))
		b = binary.BigEndian.AppendUint16(b, uint16(len(k.Key)))
		b = append(b, k.Key...)
	}
	b = append(b, byte(len(c.Leases)))
	for _, lease := range c.Leases {
		if b, err = lease.append2(b); err != nil {
			return b, err
		}
	}
	return b, nil
}

// Options are service records, or whatever else the Destination says.
func (ls *LeaseSet2) Options() Mapping { return ls.options }

// EncryptionKeys are all keys, those the owner likes best first. The slice
// must not be changed.
func (ls *LeaseSet2) EncryptionKeys() []EncryptionKey { return ls.keys }

// EncryptionKey is the first key of one of the types that we can write with.
func (ls *LeaseSet2) EncryptionKey(can ...CryptoType) (key EncryptionKey, ok bool) {
	i := slices.IndexFunc(ls.keys, func(k EncryptionKey) bool { return slices.Contains(can, k.Type) })
	if i < 0 {
		return EncryptionKey{}, false
	}
	return ls.keys[i], true
}

// Leases are at most MaxLeases. The slice must not be changed.
func (ls *LeaseSet2) Leases() []Lease { return ls.leases }

// Verify checks the signature, and that of the offline block. It returns nil
// or an error that wraps ErrSignature, or ErrLifetime when the block had
// expired before.
func (ls *LeaseSet2) Verify() error {
	d := &ls.destination
	if err := ls.verify(&ls.signedBytes, d.signing, d.SigningKey()); err != nil {
		return fmt.Errorf("data: lease set 2 %s: %w", ls.Key().Short(), err)
	}
	return nil
}
