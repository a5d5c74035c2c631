package router

import (
	"fmt"

	"allium/internal/data"
	"allium/internal/random"
	"allium/internal/signature"
	"allium/internal/store"
	"allium/internal/x25519"
)

// identity is what makes a router the same after a restart: who it is, the
// keys that prove it, and those of its transports, which peers remember from
// its RouterInfo.
type identity struct {
	*data.RouterIdentity
	signing    signature.PrivateKey
	encryption x25519.KeyPair
	ntcp2      x25519.KeyPair
	ntcp2IV    [16]byte
}

// keysBucket is where a store keeps the identity.
const keysBucket = "keys"

// The keys of the identity within their bucket.
var (
	keyIdentity   = []byte("identity")
	keySigning    = []byte("signing")
	keyEncryption = []byte("encryption")
	keyNTCP2      = []byte("ntcp2")
	keyNTCP2IV    = []byte("ntcp2-iv")
)

// loadIdentity reads the router's identity, or makes one and keeps it.
func loadIdentity(s store.Store) (*identity, error) {
	b, err := s.Bucket(keysBucket)
	if err != nil {
		return nil, fmt.Errorf("router: keys: %w", err)
	}
	whole, found, err := b.Get(keyIdentity)
	if err != nil {
		return nil, fmt.Errorf("router: keys: %w", err)
	}
	if !found {
		return newIdentity(b)
	}
	id := new(identity)
	if id.RouterIdentity, err = data.ParseRouterIdentity(whole); err != nil {
		return nil, fmt.Errorf("router: keys: %w", err)
	}
	var seed, encryption, ntcp2 [32]byte
	for _, part := range []struct {
		key  []byte
		into []byte
	}{
		{keySigning, seed[:]}, {keyEncryption, encryption[:]},
		{keyNTCP2, ntcp2[:]}, {keyNTCP2IV, id.ntcp2IV[:]},
	} {
		value, _, err := b.Get(part.key)
		if err != nil {
			return nil, fmt.Errorf("router: keys: %w", err)
		}
		if copy(part.into, value) != len(part.into) || len(value) != len(part.into) {
			return nil, fmt.Errorf("router: keys: %s has %d bytes", part.key, len(value))
		}
	}
	if id.signing, err = signature.NewPrivateKey(signature.Ed25519, seed[:]); err != nil {
		return nil, fmt.Errorf("router: keys: %w", err)
	}
	id.encryption = x25519.FromPrivate(encryption)
	id.ntcp2 = x25519.FromPrivate(ntcp2)
	return id, nil
}

// newIdentity makes an identity and keeps it in b.
func newIdentity(b store.Bucket) (*identity, error) {
	signing, err := signature.Generate(signature.Ed25519)
	if err != nil {
		return nil, fmt.Errorf("router: keys: %w", err)
	}
	id := &identity{signing: signing, encryption: x25519.Generate(), ntcp2: x25519.Generate()}
	random.Fill(id.ntcp2IV[:])
	if id.RouterIdentity, err = data.NewRouterIdentity(signing, id.encryption.Public); err != nil {
		return nil, fmt.Errorf("router: keys: %w", err)
	}
	err = b.Write([]store.Change{
		{Key: keyIdentity, Value: id.Bytes()},
		{Key: keySigning, Value: signing.Bytes()},
		{Key: keyEncryption, Value: id.encryption.Private[:]},
		{Key: keyNTCP2, Value: id.ntcp2.Private[:]},
		{Key: keyNTCP2IV, Value: id.ntcp2IV[:]},
	})
	if err != nil {
		return nil, fmt.Errorf("router: keys: %w", err)
	}
	return id, nil
}
