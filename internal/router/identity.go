package router

import (
	"fmt"

	"allium/internal/data"
	"allium/internal/random"
	"allium/internal/store"
	"allium/internal/transport/ntcp2"
	"allium/internal/x25519"
)

// identity is what makes a router the same after a restart: its keys, and
// those of its transports, which peers remember from its RouterInfo.
type identity struct {
	*data.RouterKeys
	ntcp2   x25519.KeyPair
	ntcp2IV [16]byte
}

// hash is the router's name.
func (id *identity) hash() data.Hash { return id.Identity.Hash() }

// local is the identity as NTCP2 needs it.
func (id *identity) local(netID uint8) ntcp2.Local {
	return ntcp2.Local{Hash: id.hash(), Static: id.ntcp2, IV: id.ntcp2IV, NetID: netID}
}

// keysBucket is where a store keeps the identity.
const keysBucket = "keys"

// The keys of the identity within their bucket.
var (
	keyRouter  = []byte("router")   // the format of router.keys
	keyNTCP2   = []byte("ntcp2")    // private key
	keyNTCP2IV = []byte("ntcp2-iv") // 16 bytes
)

// loadIdentity reads the router's identity, or makes one and keeps it.
func loadIdentity(s store.Store) (*identity, error) {
	b, err := s.Bucket(keysBucket)
	if err != nil {
		return nil, fmt.Errorf("router: keys: %w", err)
	}
	keys, found, err := b.Get(keyRouter)
	if err != nil {
		return nil, fmt.Errorf("router: keys: %w", err)
	}
	if !found {
		return newIdentity(b)
	}
	id := new(identity)
	if id.RouterKeys, err = data.ParseRouterKeys(keys); err != nil {
		return nil, fmt.Errorf("router: keys: %w", err)
	}
	var static x25519.PrivateKey
	if err := readExactly(b, keyNTCP2, static[:]); err != nil {
		return nil, err
	}
	id.ntcp2 = x25519.FromPrivate(static)
	return id, readExactly(b, keyNTCP2IV, id.ntcp2IV[:])
}

// readExactly fills dst with the value of key.
func readExactly(b store.Bucket, key, dst []byte) error {
	value, _, err := b.Get(key)
	if err != nil {
		return fmt.Errorf("router: keys: %w", err)
	}
	if len(value) != len(dst) {
		return fmt.Errorf("router: keys: %s has %d bytes, not %d", key, len(value), len(dst))
	}
	copy(dst, value)
	return nil
}

// newIdentity makes an identity and keeps it in b.
func newIdentity(b store.Bucket) (*identity, error) {
	keys, err := data.GenerateRouterKeys()
	if err != nil {
		return nil, fmt.Errorf("router: keys: %w", err)
	}
	id := &identity{RouterKeys: keys, ntcp2: x25519.Generate()}
	random.Fill(id.ntcp2IV[:])
	err = b.Write([]store.Change{
		{Key: keyRouter, Value: keys.Append(nil)},
		{Key: keyNTCP2, Value: id.ntcp2.Private[:]},
		{Key: keyNTCP2IV, Value: id.ntcp2IV[:]},
	})
	if err != nil {
		return nil, fmt.Errorf("router: keys: %w", err)
	}
	return id, nil
}
