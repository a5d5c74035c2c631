package data

import (
	"bytes"
	"fmt"

	"allium/internal/signature"
	"allium/internal/wire"
)

// EncryptedLeaseSet is a set of leases that only those can read who know the
// Destination, and perhaps only those of them whom it lets (type 5;
// specification: encrypted LeaseSet). Anybody can verify that it comes from
// the owner of its blinded key, under which it is found on one day.
type EncryptedLeaseSet struct {
	signedBytes
	lifetime
	blindedKey []byte
	sealed     []byte // layer 1
}

// Lengths of the sealed part that Java routers take.
const (
	minSealed = 24
	maxSealed = 4096
)

// ParseEncryptedLeaseSet reads an EncryptedLeaseSet that all of b is and
// copies it. It does not verify it. It fails as ParseLeaseSetEntry does.
func ParseEncryptedLeaseSet(b []byte) (*EncryptedLeaseSet, error) {
	typed, err := typedCopy(TypeEncryptedLeaseSet, b)
	if err != nil {
		return nil, fmt.Errorf("data: encrypted lease set: %w", err)
	}
	return parseEncryptedLeaseSet(typed)
}

// parseEncryptedLeaseSet keeps typed.
func parseEncryptedLeaseSet(typed []byte) (*EncryptedLeaseSet, error) {
	ls := new(EncryptedLeaseSet)
	r := wire.NewReader(typed)
	r.Uint8()
	if t := signature.Type(r.Uint16()); r.Err() == nil && t != signature.RedDSA {
		r.Fail(fmt.Errorf("%w: blinded key of %v", ErrUnsupported, t))
	}
	ls.blindedKey = r.Bytes(signature.RedDSA.PublicKeyLen())
	ls.lifetime.read(&r, signature.RedDSA)
	n := int(r.Uint16())
	if r.Err() == nil && (n < minSealed || n > maxSealed) {
		r.Fail(fmt.Errorf("%w: %d bytes encrypted", ErrMalformed, n))
	}
	ls.sealed = r.Bytes(n)
	ls.signedBytes.read(&r, typed, ls.signer(signature.RedDSA))
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("data: encrypted lease set: %w", err)
	}
	return ls, nil
}

// Key is the Hash of the blinded key and its type.
func (ls *EncryptedLeaseSet) Key() Hash { return blindedHash(ls.blindedKey) }

// Verify checks the signature by the blinded key, and that of the offline
// block. It returns nil or an error that wraps ErrSignature, or ErrLifetime
// when the block had expired before. What is inside has a signature of its
// own, which Decrypt checks.
func (ls *EncryptedLeaseSet) Verify() error {
	if err := ls.verify(&ls.signedBytes, signature.RedDSA, ls.blindedKey); err != nil {
		return fmt.Errorf("data: encrypted lease set %s: %w", ls.Key().Short(), err)
	}
	return nil
}

// Decrypt opens the set of the Destination that b speaks of, and verifies
// what is inside: a *LeaseSet2 or a *MetaLeaseSet. client is nil, or the key
// of a client the Destination knows: an X25519 private key or a pre-shared
// key, whichever the set asks for. Besides what the parsers of the inner sets
// return, errors wrap ErrBlinding, ErrClientKey, ErrMalformed or
// ErrSignature.
func (ls *EncryptedLeaseSet) Decrypt(b Blinding, client *[32]byte) (LeaseSetEntry, error) {
	public, err := b.blinded(ls.Published())
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(public, ls.blindedKey) {
		return nil, fmt.Errorf("data: encrypted lease set: %w", ErrBlinding)
	}
	typed, err := newLayers(b, public, ls.published).open(ls.sealed, client)
	if err != nil {
		return nil, fmt.Errorf("data: encrypted lease set: %w", err)
	}
	inner, key, err := parseInner(typed)
	if err != nil {
		return nil, fmt.Errorf("data: encrypted lease set: inside: %w", err)
	}
	if key.signing != b.Type || !bytes.Equal(key.SigningKey(), b.Key[:]) {
		return nil, fmt.Errorf("data: encrypted lease set: inside: %w", ErrSignature)
	}
	if err := inner.Verify(); err != nil {
		return nil, err
	}
	return inner, nil
}

// parseInner reads a set behind its type, and tells whose it is.
func parseInner(typed []byte) (LeaseSetEntry, *KeysAndCert, error) {
	switch t := EntryType(typed[0]); t {
	case TypeLeaseSet2:
		ls, err := parseLeaseSet2(typed)
		if err != nil {
			return nil, nil, err
		}
		return ls, &ls.destination.KeysAndCert, nil
	case TypeMetaLeaseSet:
		ls, err := parseMetaLeaseSet(typed)
		if err != nil {
			return nil, nil, err
		}
		return ls, &ls.destination.KeysAndCert, nil
	default:
		return nil, nil, fmt.Errorf("%w: %d", ErrUnsupported, t)
	}
}

// Encryption is how a Destination encrypts its LeaseSets.
type Encryption struct {
	// Secret must be known to find the LeaseSets, unless it is empty.
	Secret string
	// Scheme tells what the keys in Clients are.
	Scheme ClientScheme
	// Clients are those who may read the LeaseSets. With the scheme Everybody
	// there are none, else at least one.
	Clients [][32]byte
}

// SignEncryptedLeaseSet makes an encrypted LeaseSet2 of content. key is the
// Destination's, of type Ed25519 or RedDSA, and signs inside; blinded for the
// day of Published it signs outside. The inner set is marked as published
// only this way. It fails as SignLeaseSet2 does, and with ErrUnsupported for
// other keys or with an offline block, which would have to be made anew each
// day. Each client takes 40 of MaxOwnLeaseSet bytes.
func SignEncryptedLeaseSet(key signature.PrivateKey, content LeaseSet2Content, e Encryption) (*EncryptedLeaseSet, error) {
	if content.Offline != nil {
		return nil, fmt.Errorf("data: encrypted lease set: %w: offline signature", ErrUnsupported)
	}
	blinding, err := content.Destination.Blinding(e.Secret)
	if err != nil {
		return nil, err
	}
	inner, err := signLeaseSet2(key, content, flagUnpublished|flagBlinded)
	if err != nil {
		return nil, err
	}
	alpha := blinding.alpha(inner.Published())
	blinded, err := signature.BlindPrivate(key, &alpha)
	if err != nil {
		return nil, fmt.Errorf("data: encrypted lease set: %w", err)
	}
	sealed, err := newLayers(blinding, blinded.Public(), inner.published).seal(inner.typed, e)
	if err != nil {
		return nil, fmt.Errorf("data: encrypted lease set: %w", err)
	}
	l := lifetime{published: inner.published, offset: inner.offset}
	return signSealed(blinded, l, sealed, content.Unpublished)
}

// signSealed puts the outermost layer around sealed.
func signSealed(blinded signature.PrivateKey, l lifetime, sealed []byte, unpublished bool) (*EncryptedLeaseSet, error) {
	if unpublished {
		l.flags |= flagUnpublished
	}
	b := []byte{byte(TypeEncryptedLeaseSet), byte(blinded.Type() >> 8), byte(blinded.Type())}
	b = l.append(append(b, blinded.Public()...))
	b = append(b, byte(len(sealed)>>8), byte(len(sealed)))
	b = append(b, sealed...)
	b = append(b, blinded.Sign(b)...)
	if len(b)-1 > MaxOwnLeaseSet {
		return nil, fmt.Errorf("data: encrypted lease set: %w: %d bytes", ErrTooLong, len(b)-1)
	}
	return parseEncryptedLeaseSet(b)
}
