package data

import (
	"bytes"
	"fmt"
	"log/slog"
	"time"

	"allium/internal/signature"
	"allium/internal/wire"
	"allium/internal/x25519"
)

// PrivateKeys are what a program keeps to be a Destination: the file that
// tunnels and SAM clients have, in the format of all routers:
//
//	destination ‖ private encryption key ‖ private signing key [‖ offline block ‖ transient private key]
//
// The encryption key is not used; it takes 256 bytes, or as many as the
// certificate tells. The offline block follows on a signing key of zeros.
type PrivateKeys struct {
	Destination *Destination
	// Encryption is the unused key.
	Encryption []byte
	// Signing is the key of Destination, or the one that Offline speaks of.
	Signing signature.PrivateKey
	// Offline is nil unless the key of Destination is kept elsewhere.
	Offline *OfflineSignature
}

// GeneratePrivateKeys makes a new Destination that signs with a key of type
// t. It fails with signature.ErrType for types we do not make keys of.
func GeneratePrivateKeys(t signature.Type) (*PrivateKeys, error) {
	key, err := signature.Generate(t)
	if err != nil {
		return nil, fmt.Errorf("data: private keys: %w", err)
	}
	d, err := NewDestination(key)
	if err != nil {
		return nil, err
	}
	return &PrivateKeys{Destination: d, Encryption: make([]byte, ElGamal.privateKeyLen()), Signing: key}, nil
}

// ParsePrivateKeys reads keys that all of b is. Errors wrap ErrKeyMismatch,
// ErrSignature, ErrUnsupported, signature.ErrType, signature.ErrKey or an
// error of package wire.
func ParsePrivateKeys(b []byte) (*PrivateKeys, error) {
	r := wire.NewReader(b)
	k := &PrivateKeys{Destination: ReadDestination(&r)}
	n := k.Destination.crypto.privateKeyLen()
	if r.Err() == nil && n == 0 {
		r.Fail(fmt.Errorf("%w: encryption key %d", ErrUnsupported, k.Destination.crypto))
	}
	k.Encryption = bytes.Clone(r.Bytes(n))
	t := k.Destination.signing
	secret := r.Bytes(t.PrivateKeyLen())
	if r.Err() == nil && isZero(secret) {
		o := ReadOfflineSignature(&r, t)
		o.Key, o.Signature = bytes.Clone(o.Key), bytes.Clone(o.Signature)
		k.Offline = &o
		t = o.Type
		secret = r.Bytes(t.PrivateKeyLen())
	}
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("data: private keys: %w", err)
	}
	var err error
	if k.Signing, err = signature.NewPrivateKey(t, secret); err != nil {
		return nil, fmt.Errorf("data: private keys: %w", err)
	}
	if err := k.check(); err != nil {
		return nil, fmt.Errorf("data: private keys: %w", err)
	}
	return k, nil
}

// ParsePrivateKeysBase64 reads what Base64 writes, the form SAM clients keep.
func ParsePrivateKeysBase64(s string) (*PrivateKeys, error) {
	b, err := DecodeBase64(s)
	if err != nil {
		return nil, err
	}
	return ParsePrivateKeys(b)
}

func isZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// check finds out whether the keys belong together. An offline block that has
// expired is still one.
func (k *PrivateKeys) check() error {
	d := &k.Destination.KeysAndCert
	if k.Offline != nil && !d.VerifyOffline(k.Offline, time.Time{}) {
		return fmt.Errorf("offline: %w", ErrSignature)
	}
	if !mayFor(k.Signing, d, k.Offline) {
		return ErrKeyMismatch
	}
	return nil
}

// Append appends the keys in the format of all routers.
func (k *PrivateKeys) Append(b []byte) []byte {
	b = append(b, k.Destination.raw...)
	b = append(b, k.Encryption...)
	if k.Offline != nil {
		b = append(b, make([]byte, k.Destination.signing.PrivateKeyLen())...)
		b = k.Offline.Append(b)
	}
	return append(b, k.Signing.Bytes()...)
}

// Base64 is the keys in the form SAM clients keep.
func (k *PrivateKeys) Base64() string { return EncodeBase64(k.Append(nil)) }

// String hides the keys.
func (k *PrivateKeys) String() string { return "data.PrivateKeys" }

// LogValue hides the keys from structured logs.
func (k *PrivateKeys) LogValue() slog.Value { return slog.StringValue(k.String()) }

// RouterKeys are what a router keeps to be itself: the file router.keys of
// i2pd and router.keys.dat of Java routers,
//
//	router identity ‖ private encryption key(32) ‖ private signing key(32)
type RouterKeys struct {
	Identity   *RouterIdentity
	Encryption x25519.KeyPair
	Signing    signature.PrivateKey
}

// GenerateRouterKeys makes a new router of Ed25519 and X25519 keys.
func GenerateRouterKeys() (*RouterKeys, error) {
	signing, err := signature.Generate(signature.Ed25519)
	if err != nil {
		return nil, fmt.Errorf("data: router keys: %w", err)
	}
	k := &RouterKeys{Encryption: x25519.Generate(), Signing: signing}
	k.Identity, err = NewRouterIdentity(k.Signing, k.Encryption.Public)
	return k, err
}

// ParseRouterKeys reads keys that all of b is. Errors wrap ErrKeyMismatch,
// ErrUnsupported for a router without an X25519 key, signature.ErrType,
// signature.ErrKey or an error of package wire.
func ParseRouterKeys(b []byte) (*RouterKeys, error) {
	r := wire.NewReader(b)
	k := &RouterKeys{Identity: ReadRouterIdentity(&r)}
	if r.Err() == nil && k.Identity.crypto != X25519 {
		r.Fail(fmt.Errorf("%w: encryption key %d", ErrUnsupported, k.Identity.crypto))
	}
	var encryption x25519.PrivateKey
	r.Fill(encryption[:])
	secret := r.Bytes(k.Identity.signing.PrivateKeyLen())
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("data: router keys: %w", err)
	}
	var err error
	if k.Signing, err = signature.NewPrivateKey(k.Identity.signing, secret); err != nil {
		return nil, fmt.Errorf("data: router keys: %w", err)
	}
	k.Encryption = x25519.FromPrivate(encryption)
	if public, _ := k.Identity.X25519(); public != k.Encryption.Public || !k.Identity.owns(k.Signing) {
		return nil, fmt.Errorf("data: router keys: %w", ErrKeyMismatch)
	}
	return k, nil
}

// Append appends the keys in the format of the files.
func (k *RouterKeys) Append(b []byte) []byte {
	b = append(b, k.Identity.raw...)
	b = append(b, k.Encryption.Private[:]...)
	return append(b, k.Signing.Bytes()...)
}

// String hides the keys.
func (k *RouterKeys) String() string { return "data.RouterKeys" }

// LogValue hides the keys from structured logs.
func (k *RouterKeys) LogValue() slog.Value { return slog.StringValue(k.String()) }
