package data

import (
	"fmt"
	"hash/crc32"
	"strings"

	"allium/internal/signature"
)

const (
	b32Suffix = ".b32.i2p"
	// b32Len is how many letters a Hash takes. Longer names are b33.
	b32Len = 52
)

// Flags of a b33 name. The lowest bit would say that types take two bytes,
// which none needs.
const (
	b33Secret     = 2
	b33ClientAuth = 4
	b33Known      = b33Secret | b33ClientAuth
)

// b33KeyAt is where the key begins in a b33 name: after the flags and two
// types, which are XORed with the checksum of the key.
const b33KeyAt = 3

// B32 is the host name "<52 letters>.b32.i2p" of a Destination with this
// Hash.
func (h Hash) B32() string { return EncodeBase32(h[:]) + b32Suffix }

// ParseB32 reads a host name that B32 writes, in letters of either case. It
// fails with ErrEncoding, also for b33 names.
func ParseB32(host string) (Hash, error) {
	b, err := decodeHost(host)
	if err != nil || len(b) != len(Hash{}) {
		return Hash{}, fmt.Errorf("data: b32: %w", ErrEncoding)
	}
	return Hash(b), nil
}

func decodeHost(host string) ([]byte, error) {
	letters, ok := strings.CutSuffix(strings.ToLower(host), b32Suffix)
	if !ok {
		return nil, ErrEncoding
	}
	return DecodeBase32(letters)
}

// B33 is what the longer kind of b32 host name says, those of Destinations
// with an encrypted LeaseSet: the key that must be known to find and open it,
// and what must be known besides (specification: B32 for encrypted
// LeaseSets).
type B33 struct {
	Type           signature.Type // Ed25519 or RedDSA
	Key            [32]byte       // the signing key of the Destination
	SecretRequired bool           // a lookup secret goes into the blinding
	ClientAuth     bool           // clients need a key of their own
}

// IsB33 reports whether a host name has the length and the ending of a b33
// name.
func IsB33(host string) bool {
	letters, ok := strings.CutSuffix(strings.ToLower(host), b32Suffix)
	return ok && len(letters) > b32Len
}

// ParseB33 reads a b33 host name, in letters of either case. It fails with
// ErrEncoding, and with ErrUnsupported for flags or keys that nobody uses.
func ParseB33(host string) (B33, error) {
	b, err := decodeHost(host)
	if err != nil || len(b) <= len(Hash{}) {
		return B33{}, fmt.Errorf("data: b33: %w", ErrEncoding)
	}
	xorChecksum(b)
	a := B33{Type: signature.Type(b[1]), SecretRequired: b[0]&b33Secret != 0, ClientAuth: b[0]&b33ClientAuth != 0}
	switch {
	case b[0]&^b33Known != 0:
		return B33{}, fmt.Errorf("data: b33: %w: flags %#x, or a wrong checksum", ErrUnsupported, b[0])
	case !blindable(a.Type) || signature.Type(b[2]) != signature.RedDSA:
		return B33{}, fmt.Errorf("data: b33: %w: key types %d and %d", ErrUnsupported, b[1], b[2])
	case len(b) != b33KeyAt+len(a.Key):
		return B33{}, fmt.Errorf("data: b33: %w: %d bytes", ErrEncoding, len(b))
	}
	a.Key = [32]byte(b[b33KeyAt:])
	return a, nil
}

// String is the host name "<56 letters>.b32.i2p".
func (a B33) String() string {
	var flags byte
	if a.SecretRequired {
		flags |= b33Secret
	}
	if a.ClientAuth {
		flags |= b33ClientAuth
	}
	b := append([]byte{flags, byte(a.Type), byte(signature.RedDSA)}, a.Key[:]...)
	xorChecksum(b)
	return EncodeBase32(b) + b32Suffix
}

func xorChecksum(b []byte) {
	sum := crc32.ChecksumIEEE(b[b33KeyAt:])
	for i := range b33KeyAt {
		b[i] ^= byte(sum >> (8 * i))
	}
}

// Blinding is what it takes to open the LeaseSets of a Destination with this
// name. secret is empty unless one is required.
func (a B33) Blinding(secret string) Blinding { return Blinding{a.Type, a.Key, secret} }

// B33 is the host name under which the encrypted LeaseSets of the Destination
// are found. It fails with ErrUnsupported unless the Destination signs with
// Ed25519 or RedDSA.
func (d *Destination) B33(secretRequired, clientAuth bool) (B33, error) {
	blinding, err := d.Blinding("")
	if err != nil {
		return B33{}, err
	}
	return B33{blinding.Type, blinding.Key, secretRequired, clientAuth}, nil
}
