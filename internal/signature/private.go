package signature

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
)

// Errors of private keys.
var (
	// ErrType reports a signature type we do not make keys of.
	ErrType = errors.New("signature: type not supported for signing")
	// ErrKey reports key bytes of wrong length or value.
	ErrKey = errors.New("signature: malformed key")
)

// PrivateKey signs with Ed25519, RedDSA or one of the ECDSA types, the last
// for destinations brought along from other routers. A PrivateKey is not
// changed once made and may be copied and shared; the zero PrivateKey is no
// key and panics on Sign. It prints as its type, so that it cannot leak into
// a log.
type PrivateKey struct {
	kind   Type
	secret []byte // as key files hold it
	public []byte // as identities hold it
	sign   func(message []byte) []byte
}

// Generate makes a random key. It fails with ErrType for DSA, RSA, Ed25519ph
// and unknown types.
func Generate(t Type) (PrivateKey, error) {
	switch t {
	case Ed25519:
		seed := make([]byte, ed25519.SeedSize)
		rand.Read(seed)
		return newEd25519(seed), nil
	case RedDSA:
		return generateRedDSA(), nil
	case ECDSAP256, ECDSAP384, ECDSAP521:
		return generateECDSA(t)
	}
	return PrivateKey{}, fmt.Errorf("%w: %v", ErrType, t)
}

// NewPrivateKey makes a key of the PrivateKeyLen bytes a key file holds: the
// seed of Ed25519, the scalar of RedDSA (little endian) or of ECDSA (big
// endian). It fails with ErrType, as Generate, or with ErrKey.
func NewPrivateKey(t Type, b []byte) (PrivateKey, error) {
	switch t {
	case Ed25519, RedDSA, ECDSAP256, ECDSAP384, ECDSAP521:
	default:
		return PrivateKey{}, fmt.Errorf("%w: %v", ErrType, t)
	}
	if len(b) != t.PrivateKeyLen() {
		return PrivateKey{}, fmt.Errorf("%w: %d bytes for %v", ErrKey, len(b), t)
	}
	secret := bytes.Clone(b)
	switch t {
	case Ed25519:
		return newEd25519(secret), nil
	case RedDSA:
		return parseRedDSA(secret)
	}
	return newECDSA(t, secret)
}

func newEd25519(seed []byte) PrivateKey {
	private := ed25519.NewKeyFromSeed(seed)
	return PrivateKey{
		kind:   Ed25519,
		secret: seed,
		public: private[ed25519.SeedSize:],
		sign:   func(message []byte) []byte { return ed25519.Sign(private, message) },
	}
}

// Type is the signature type of the key.
func (k PrivateKey) Type() Type { return k.kind }

// Public is the public key, PublicKeyLen bytes. It must not be changed.
func (k PrivateKey) Public() []byte { return k.public }

// Bytes are what a private key file holds, PrivateKeyLen bytes. They must not
// be changed.
func (k PrivateKey) Bytes() []byte { return k.secret }

// Sign makes the signature of message, SignatureLen bytes.
func (k PrivateKey) Sign(message []byte) []byte { return k.sign(message) }

// String hides the key.
func (k PrivateKey) String() string { return fmt.Sprintf("signature.PrivateKey(%v)", k.kind) }

// LogValue hides the key from structured logs.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(k.String()) }
