// Package x25519 holds the key types of every Diffie-Hellman in I2P and the
// few operations on them: make a pair, derive a public key, agree on a secret
// (RFC 7748). It is a thin face on one fast implementation, so that the
// packages above speak of keys and never of the library behind them.
package x25519

import (
	"crypto/rand"
	"errors"
	"log/slog"

	"github.com/cloudflare/circl/dh/x25519"
)

// ErrLowOrder reports a public key whose shared secret is zero whatever the
// private key: a point of small order, never the work of an honest peer.
var ErrLowOrder = errors.New("x25519: low order point")

// PublicKey is a Montgomery u-coordinate, 32 bytes little endian.
type PublicKey [32]byte

// PrivateKey is a scalar, 32 bytes little endian, clamped on every use and
// kept as given. Printed, it shows its type only, so that it cannot leak into
// a log.
type PrivateKey [32]byte

// KeyPair is a private key with its public key.
type KeyPair struct {
	Private PrivateKey
	Public  PublicKey
}

// String hides the key.
func (PrivateKey) String() string { return "x25519.PrivateKey" }

// LogValue hides the key from structured logs.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Generate makes a random key pair.
func Generate() KeyPair {
	var private PrivateKey
	rand.Read(private[:])
	return FromPrivate(private)
}

// FromPrivate completes a pair by deriving the public key.
func FromPrivate(private PrivateKey) KeyPair {
	pair := KeyPair{Private: private}
	x25519.KeyGen((*x25519.Key)(&pair.Public), (*x25519.Key)(&pair.Private))
	return pair
}

// Shared is the 32-byte secret private and public agree on. The top bit of
// public is ignored. It fails with ErrLowOrder when the secret would be zero.
func Shared(private *PrivateKey, public *PublicKey) (secret [32]byte, err error) {
	if !x25519.Shared((*x25519.Key)(&secret), (*x25519.Key)(private), (*x25519.Key)(public)) {
		return [32]byte{}, ErrLowOrder
	}
	return secret, nil
}
