package data

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"allium/internal/signature"
)

// ErrBlinding reports an encrypted LeaseSet that is not of the Destination it
// was tried for, or not with this lookup secret.
var ErrBlinding = errors.New("blinded key of another destination or secret")

// Blinding is what it takes to find the encrypted LeaseSets of a Destination
// and to open them, as far as they are open to everybody. A new key is
// derived from it for each day (UTC); from that nobody can tell which
// Destination it stands for.
type Blinding struct {
	Type signature.Type // Ed25519 or RedDSA
	Key  [32]byte       // the signing key of the Destination
	// Secret is known only to those who may find the LeaseSets. It is empty
	// for most Destinations, and i2pd knows no other.
	Secret string
}

// blindable tells the types of keys that can be blinded.
func blindable(t signature.Type) bool { return t == signature.Ed25519 || t == signature.RedDSA }

// Blinding is what opens the encrypted LeaseSets of d. It fails with
// ErrUnsupported unless d signs with Ed25519 or RedDSA.
func (d *Destination) Blinding(secret string) (Blinding, error) {
	if !blindable(d.signing) {
		return Blinding{}, fmt.Errorf("data: blinding: %w: %v", ErrUnsupported, d.signing)
	}
	return Blinding{d.signing, [32]byte(d.SigningKey()), secret}, nil
}

// StoreKey is what the LeaseSets that are published on the day of at are found
// under. It fails with ErrMalformed for a Key that is none.
func (b Blinding) StoreKey(at time.Time) (Hash, error) {
	public, err := b.blinded(at)
	if err != nil {
		return Hash{}, err
	}
	return blindedHash(public), nil
}

// blindedHash is the key of an encrypted LeaseSet in the network database.
func blindedHash(public []byte) Hash {
	return HashOf(append(binary.BigEndian.AppendUint16(nil, uint16(signature.RedDSA)), public...))
}

// alpha is what keys are blinded with on the day of at.
func (b Blinding) alpha(at time.Time) [32]byte {
	return signature.GenerateAlpha(b.Key[:], b.Type, signature.RedDSA, at.UTC().Format("20060102"), b.Secret)
}

// blinded is the public key of the day.
func (b Blinding) blinded(at time.Time) ([]byte, error) {
	alpha := b.alpha(at)
	public, err := signature.BlindPublic(b.Key[:], &alpha)
	if err != nil {
		return nil, fmt.Errorf("data: blinding: %w: %w", ErrMalformed, err)
	}
	return public, nil
}

// subcredential binds the keys of the layers to the Destination and to the
// public key of the day.
func (b Blinding) subcredential(public []byte) [32]byte {
	credential := append([]byte("credential"), b.Key[:]...)
	credential = binary.BigEndian.AppendUint16(credential, uint16(b.Type))
	credential = binary.BigEndian.AppendUint16(credential, uint16(signature.RedDSA))
	sum := sha256.Sum256(credential)
	return sha256.Sum256(append(append([]byte("subcredential"), sum[:]...), public...))
}
