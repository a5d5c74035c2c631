package data

import (
	"bytes"
	"fmt"
	"log/slog"

	"allium/internal/random"
	"allium/internal/signature"
	"allium/internal/wire"
	"allium/internal/x25519"
)

// KeysAndCert is what RouterIdentity and Destination have in common: an
// encryption key, a signing key, and a certificate that says of which types
// they are. With Ed25519 keys it takes 391 bytes.
type KeysAndCert struct {
	raw     []byte
	hash    Hash
	signing signature.Type
	crypto  CryptoType
}

// RouterIdentity is who a router is. Its Hash is the router's name.
type RouterIdentity struct{ KeysAndCert }

// Destination is who a service or a client is. Its Hash is the key of its
// LeaseSet, unless that is encrypted.
type Destination struct{ KeysAndCert }

// read takes the structure from r and points into its message.
func (k *KeysAndCert) read(r *wire.Reader) {
	whole := *r
	start := r.Offset()
	r.Bytes(areaLen)
	certificate := ReadCertificate(r)
	if r.Err() != nil {
		return
	}
	k.raw = whole.Bytes(r.Offset() - start)
	k.signing, k.crypto = certificate.KeyTypes()
	k.hash = HashOf(k.raw)
}

// own gives the structure its own copy of its bytes.
func (k *KeysAndCert) own() { k.raw = bytes.Clone(k.raw) }

// ReadRouterIdentity reads a RouterIdentity and copies it. The reader fails
// with ErrMalformed or ErrUnsupported.
func ReadRouterIdentity(r *wire.Reader) *RouterIdentity {
	id := new(RouterIdentity)
	id.read(r)
	id.own()
	return id
}

// ReadDestination reads a Destination and copies it. The reader fails with
// ErrMalformed or ErrUnsupported.
func ReadDestination(r *wire.Reader) *Destination {
	d := new(Destination)
	d.read(r)
	d.own()
	return d
}

// ParseRouterIdentity reads a RouterIdentity that all of b is.
func ParseRouterIdentity(b []byte) (*RouterIdentity, error) {
	r := wire.NewReader(b)
	id := ReadRouterIdentity(&r)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("data: router identity: %w", err)
	}
	return id, nil
}

// ParseDestination reads a Destination that all of b is.
func ParseDestination(b []byte) (*Destination, error) {
	r := wire.NewReader(b)
	d := ReadDestination(&r)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("data: destination: %w", err)
	}
	return d, nil
}

// ParseDestinationBase64 reads a Destination as address books write it, 516
// letters or more.
func ParseDestinationBase64(s string) (*Destination, error) {
	b, err := DecodeBase64(s)
	if err != nil {
		return nil, err
	}
	return ParseDestination(b)
}

// NewRouterIdentity is a new identity of a router that signs with key and is
// encrypted to with encryption. Its padding is drawn at random, so each call
// gives another identity. It fails with ErrUnsupported unless key is Ed25519,
// the only type that routers have nowadays.
func NewRouterIdentity(key signature.PrivateKey, encryption x25519.PublicKey) (*RouterIdentity, error) {
	if key.Type() != signature.Ed25519 {
		return nil, fmt.Errorf("data: router identity: %w: %v", ErrUnsupported, key.Type())
	}
	return &RouterIdentity{newKeysAndCert(key, X25519, encryption[:])}, nil
}

// NewDestination is a new Destination that signs with key. Its padding is
// drawn at random, so each call gives another Destination. The certificate
// says ElGamal and there is no such key: nobody looks, but Java routers
// refuse other types. It fails with ErrUnsupported for types that
// Destinations do not have.
func NewDestination(key signature.PrivateKey) (*Destination, error) {
	if !inIdentities(key.Type()) || key.Type() == signature.DSASHA1 {
		return nil, fmt.Errorf("data: destination: %w: %v", ErrUnsupported, key.Type())
	}
	return &Destination{newKeysAndCert(key, ElGamal, nil)}, nil
}

// paddingSeed is how many random bytes are repeated in the padding: enough
// for uniqueness, and the rest compresses away in messages (proposal 161).
const paddingSeed = 32

func newKeysAndCert(key signature.PrivateKey, crypto CryptoType, encryption []byte) KeysAndCert {
	public := key.Public()
	inArea := min(len(public), signingAreaLen)
	var seed [paddingSeed]byte
	random.Fill(seed[:])
	b := append([]byte(nil), encryption...)
	for len(b) < areaLen-inArea {
		b = append(b, seed[:]...)
	}
	b = append(b[:areaLen-inArea], public[:inArea]...)
	b = newKeyCertificate(key.Type(), crypto, public[inArea:]).Append(b)
	return KeysAndCert{raw: b, hash: HashOf(b), signing: key.Type(), crypto: crypto}
}

// Hash is the SHA-256 of Bytes.
func (k *KeysAndCert) Hash() Hash { return k.hash }

// Bytes is the structure as received. It must not be changed.
func (k *KeysAndCert) Bytes() []byte { return k.raw }

// Equal reports whether both are the same in every byte.
func (k *KeysAndCert) Equal(other *KeysAndCert) bool { return bytes.Equal(k.raw, other.raw) }

// SigningType is the type of the signing key.
func (k *KeysAndCert) SigningType() signature.Type { return k.signing }

// SigningKey is the public key that Verify uses. It must not be changed.
func (k *KeysAndCert) SigningKey() []byte {
	n := k.signing.PublicKeyLen()
	if n <= signingAreaLen {
		return k.raw[areaLen-n : areaLen : areaLen]
	}
	start := bytes.Clone(k.raw[areaLen-signingAreaLen : areaLen])
	return append(start, k.Certificate().Payload[keyTypesLen:]...)
}

// CryptoType is the type of the encryption key.
func (k *KeysAndCert) CryptoType() CryptoType { return k.crypto }

// CryptoKey is the encryption key, nil if its type is unknown. In a
// Destination it means nothing. It must not be changed.
func (k *KeysAndCert) CryptoKey() []byte {
	n := k.crypto.PublicKeyLen()
	if n == 0 {
		return nil
	}
	return k.raw[:n:n]
}

// X25519 is the encryption key of a router, and whether it is of that type.
func (k *KeysAndCert) X25519() (key x25519.PublicKey, ok bool) {
	if k.crypto != X25519 {
		return key, false
	}
	return x25519.PublicKey(k.raw), true
}

// Certificate is the last part of the structure.
func (k *KeysAndCert) Certificate() Certificate {
	return Certificate{CertificateType(k.raw[areaLen]), k.raw[areaLen+3:]}
}

// Verify reports whether sig is the owner's signature of message.
func (k *KeysAndCert) Verify(message, sig []byte) bool {
	return signature.Verify(k.signing, k.SigningKey(), message, sig)
}

// owns reports whether key is the private key of the signing key.
func (k *KeysAndCert) owns(key signature.PrivateKey) bool {
	return key.Type() == k.signing && bytes.Equal(key.Public(), k.SigningKey())
}

// LogValue shortens the structure in structured logs.
func (k *KeysAndCert) LogValue() slog.Value { return k.hash.LogValue() }

// Base64 is the Destination as address books write it.
func (d *Destination) Base64() string { return EncodeBase64(d.raw) }

// B32 is the host name "<52 letters>.b32.i2p" of the Destination.
func (d *Destination) B32() string { return d.hash.B32() }
