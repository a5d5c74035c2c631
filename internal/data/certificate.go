package data

import (
	"encoding/binary"
	"fmt"

	"allium/internal/signature"
	"allium/internal/wire"
)

// CertificateType is the first byte of a Certificate.
type CertificateType uint8

// The types of certificates in use. Types 1 to 4 (HashCash, Hidden, Signed,
// Multiple) never came to be.
const (
	NullCertificate CertificateType = 0
	KeyCertificate  CertificateType = 5
)

// CryptoType is the two-byte code of an encryption key (common structures,
// Key Certificates).
type CryptoType uint16

// The types of encryption keys. Routers have X25519. In LeaseSets the hybrid
// types stand for an X25519 key whose owner wants ML-KEM as well. The field
// in a Destination is not used and says ElGamal.
const (
	ElGamal         CryptoType = 0
	ECIESP256       CryptoType = 1 // 1 to 3 were reserved, and used by i2pd for a while
	ECIESP384       CryptoType = 2
	ECIESP521       CryptoType = 3
	X25519          CryptoType = 4
	MLKEM512X25519  CryptoType = 5
	MLKEM768X25519  CryptoType = 6
	MLKEM1024X25519 CryptoType = 7
)

// PublicKeyLen is the length of a public key in bytes, 0 for unknown types.
func (t CryptoType) PublicKeyLen() int {
	switch t {
	case ElGamal:
		return 256
	case ECIESP256:
		return 64
	case ECIESP384:
		return 96
	case ECIESP521:
		return 132
	case X25519, MLKEM512X25519, MLKEM768X25519, MLKEM1024X25519:
		return 32
	}
	return 0
}

// privateKeyLen is the length of a private key in a key file, 0 for unknown
// types. i2pd keeps 256 bytes for the P-256 keys of its own.
func (t CryptoType) privateKeyLen() int {
	switch t {
	case ElGamal, ECIESP256:
		return 256
	case X25519, MLKEM512X25519, MLKEM768X25519, MLKEM1024X25519:
		return 32
	}
	return 0
}

// areaLen is where the keys of an identity are: the encryption key from the
// left, the signing key in the rightmost 128 bytes.
const (
	areaLen        = 384
	signingAreaLen = 128
)

// keyTypesLen is the length of the two type codes in a key certificate.
const keyTypesLen = 4

// Certificate says of which types the keys before it are. It is either a null
// certificate (ElGamal and DSA-SHA1, without payload) or a key certificate,
// whose payload is the type of the signing key, the type of the encryption
// key, and what of the signing key did not fit before it.
type Certificate struct {
	Type    CertificateType
	Payload []byte
}

// newKeyCertificate is a certificate for keys of these types, with the last
// bytes of a signing key longer than 128 bytes.
func newKeyCertificate(signing signature.Type, crypto CryptoType, excess []byte) Certificate {
	payload := binary.BigEndian.AppendUint16(nil, uint16(signing))
	payload = binary.BigEndian.AppendUint16(payload, uint16(crypto))
	return Certificate{KeyCertificate, append(payload, excess...)}
}

// ReadCertificate reads a certificate, whose payload points into the message.
// The reader fails with ErrUnsupported for other types of certificates or
// signing keys that identities do not have, and with ErrMalformed for a
// payload of wrong length.
func ReadCertificate(r *wire.Reader) Certificate {
	c := Certificate{Type: CertificateType(r.Uint8())}
	c.Payload = r.Bytes(int(r.Uint16()))
	if r.Err() == nil {
		r.Fail(c.check())
	}
	return c
}

func (c Certificate) check() error {
	want := 0
	switch c.Type {
	case NullCertificate:
	case KeyCertificate:
		if len(c.Payload) < keyTypesLen {
			return fmt.Errorf("certificate: %w: %d bytes", ErrMalformed, len(c.Payload))
		}
		signing, _ := c.KeyTypes()
		if !inIdentities(signing) {
			return fmt.Errorf("certificate: %w: %v", ErrUnsupported, signing)
		}
		want = keyTypesLen + max(0, signing.PublicKeyLen()-signingAreaLen)
	default:
		return fmt.Errorf("certificate: %w: %d", ErrUnsupported, c.Type)
	}
	if len(c.Payload) != want {
		return fmt.Errorf("certificate: %w: %d bytes instead of %d", ErrMalformed, len(c.Payload), want)
	}
	return nil
}

// inIdentities tells the signature types of identities from those of files.
func inIdentities(t signature.Type) bool {
	switch t {
	case signature.DSASHA1, signature.ECDSAP256, signature.ECDSAP384, signature.ECDSAP521,
		signature.Ed25519, signature.RedDSA:
		return true
	}
	return false
}

// KeyTypes are the types of the signing and the encryption key.
func (c Certificate) KeyTypes() (signature.Type, CryptoType) {
	if c.Type != KeyCertificate {
		return signature.DSASHA1, ElGamal
	}
	return signature.Type(binary.BigEndian.Uint16(c.Payload)), CryptoType(binary.BigEndian.Uint16(c.Payload[2:]))
}

// Append appends the certificate.
func (c Certificate) Append(b []byte) []byte {
	b = append(b, byte(c.Type))
	b = binary.BigEndian.AppendUint16(b, uint16(len(c.Payload)))
	return append(b, c.Payload...)
}
