package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"allium/internal/noise"
	"allium/internal/random"
	"allium/internal/wire"
	"allium/internal/x25519"
)

// ErrClientKey reports an encrypted LeaseSet that is not for everybody, and
// not for the client whose key was tried, if any.
var ErrClientKey = errors.New("not for this client")

// ClientScheme is how an encrypted LeaseSet is opened to some clients only.
type ClientScheme uint8

// The schemes, with the flags of layer 1 that stand for them.
const (
	// Everybody who knows the Destination can read.
	Everybody ClientScheme = 0
	// ClientDH: clients who own one of some X25519 keys can.
	ClientDH ClientScheme = 1
	// ClientPSK: clients who know one of some pre-shared keys can.
	ClientPSK ClientScheme = 3
)

// schemeFlags are the bits of layer 1 that tell the scheme.
const schemeFlags = 0x0F

// Labels of the key derivations.
const (
	labelLayer1 = "ELS2_L1K"
	labelLayer2 = "ELS2_L2K"
	labelDH     = "ELS2_XCA"
	labelPSK    = "ELS2PSKA"
)

// clientIDLen and cookieLen are the lengths of what layer 1 has for each
// client: how he finds it, and the cookie encrypted for him.
const (
	clientIDLen = 8
	cookieLen   = 32
	saltLen     = 32
)

// layers encrypts and decrypts one set. Layer 1 hides from those who do not
// know the Destination, layer 2 from clients it does not know:
//
//	layer 1  salt(32) ‖ encrypted(flags(1) ‖ [key or salt(32) ‖ count(2) ‖ clients(40 each)] ‖ layer 2)
//	layer 2  salt(32) ‖ encrypted(type(1) ‖ set)
type layers struct {
	binding [36]byte // subcredential and published, which go into all keys
}

func newLayers(b Blinding, public []byte, published uint32) *layers {
	l := new(layers)
	subcredential := b.subcredential(public)
	copy(l.binding[:], subcredential[:])
	binary.BigEndian.PutUint32(l.binding[len(subcredential):], published)
	return l
}

// cipherKey is a key and a nonce of ChaCha20.
type cipherKey struct {
	key   [32]byte
	nonce [12]byte
}

func (k *cipherKey) xor(b []byte) { noise.ChaCha20XOR(b, b, &k.key, &k.nonce) }

// derive is the key of a layer.
func (l *layers) derive(salt *[32]byte, cookie []byte, label string) (k cipherKey) {
	var out [len(k.key) + len(k.nonce)]byte
	noise.HKDF(salt, slices.Concat(cookie, l.binding[:]), label, out[:])
	return cipherKey{[32]byte(out[:32]), [12]byte(out[32:])}
}

// deriveClient is the key of a client's cookie, and the client's place.
func (l *layers) deriveClient(salt *[32]byte, secret []byte, label string) (k cipherKey, id [clientIDLen]byte) {
	var out [len(k.key) + len(k.nonce) + len(id)]byte
	noise.HKDF(salt, slices.Concat(secret, l.binding[:]), label, out[:])
	return cipherKey{[32]byte(out[:32]), [12]byte(out[32:44])}, [clientIDLen]byte(out[44:])
}

// open decrypts layer 1 and layer 2 into a copy: a type and a set.
func (l *layers) open(sealed []byte, client *[32]byte) ([]byte, error) {
	layer1, err := l.openLayer(sealed, nil, labelLayer1)
	if err != nil {
		return nil, err
	}
	r := wire.NewReader(layer1)
	scheme := ClientScheme(r.Uint8() & schemeFlags)
	cookie, err := l.readClients(&r, scheme, client)
	if err != nil {
		return nil, err
	}
	return l.openLayer(r.Rest(), cookie, labelLayer2)
}

func (l *layers) openLayer(sealed, cookie []byte, label string) ([]byte, error) {
	if len(sealed) <= saltLen {
		return nil, fmt.Errorf("%w: layer of %d bytes", ErrMalformed, len(sealed))
	}
	k := l.derive((*[32]byte)(sealed), cookie, label)
	plain := slices.Clone(sealed[saltLen:])
	k.xor(plain)
	return plain, nil
}

// readClients finds the cookie that layer 1 has for client.
func (l *layers) readClients(r *wire.Reader, scheme ClientScheme, client *[32]byte) ([]byte, error) {
	if scheme == Everybody {
		return nil, nil
	}
	var salt [saltLen]byte // with DH the ephemeral key
	r.Fill(salt[:])
	entries := wire.NewReader(r.Bytes(int(r.Uint16()) * (clientIDLen + cookieLen)))
	if r.Err() != nil {
		return nil, fmt.Errorf("%w: clients: %w", ErrMalformed, r.Err())
	}
	k, id, err := l.clientKey(scheme, &salt, client)
	if err != nil {
		return nil, err
	}
	for entries.Len() > 0 {
		entry, cookie := entries.Bytes(clientIDLen), entries.Bytes(cookieLen)
		if [clientIDLen]byte(entry) == id {
			k.xor(cookie)
			return cookie, nil
		}
	}
	return nil, ErrClientKey
}

// clientKey derives what belongs to the client with the given private or
// pre-shared key.
func (l *layers) clientKey(scheme ClientScheme, salt, client *[32]byte) (k cipherKey, id [clientIDLen]byte, err error) {
	if client == nil {
		return k, id, ErrClientKey
	}
	switch scheme {
	case ClientDH:
		own := x25519.FromPrivate(*client)
		shared, err := x25519.Shared(&own.Private, (*x25519.PublicKey)(salt))
		if err != nil {
			return k, id, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		k, id = l.deriveClient(salt, append(shared[:], own.Public[:]...), labelDH)
	case ClientPSK:
		k, id = l.deriveClient(salt, client[:], labelPSK)
	default:
		return k, id, fmt.Errorf("%w: client scheme %d", ErrUnsupported, scheme)
	}
	return k, id, nil
}

// seal encrypts a type and a set.
func (l *layers) seal(typed []byte, e Encryption) ([]byte, error) {
	layer1 := []byte{byte(e.Scheme)}
	layer1, cookie, err := l.appendClients(layer1, e)
	if err != nil {
		return nil, err
	}
	layer1 = l.sealLayer(layer1, typed, cookie, labelLayer2)
	return l.sealLayer(nil, layer1, nil, labelLayer1), nil
}

func (l *layers) sealLayer(b, plain, cookie []byte, label string) []byte {
	var salt [saltLen]byte
	random.Fill(salt[:])
	k := l.derive(&salt, cookie, label)
	b = append(b, salt[:]...)
	start := len(b)
	b = append(b, plain...)
	k.xor(b[start:])
	return b
}

// appendClients appends the cookie for each client, in an order that says
// nothing about them.
func (l *layers) appendClients(b []byte, e Encryption) (_, cookie []byte, err error) {
	if e.Scheme == Everybody && len(e.Clients) == 0 {
		return b, nil, nil
	}
	if e.Scheme != ClientDH && e.Scheme != ClientPSK {
		return nil, nil, fmt.Errorf("%w: client scheme %d with %d clients", ErrUnsupported, e.Scheme, len(e.Clients))
	}
	if n := len(e.Clients); n == 0 || n*(clientIDLen+cookieLen) > MaxOwnLeaseSet {
		return nil, nil, fmt.Errorf("%w: %d clients", ErrTooLong, n)
	}
	cookie = make([]byte, cookieLen)
	random.Fill(cookie)
	var ephemeral x25519.KeyPair
	var salt [saltLen]byte
	if e.Scheme == ClientDH {
		ephemeral = x25519.Generate()
		salt = ephemeral.Public
	} else {
		random.Fill(salt[:])
	}
	b = append(b, salt[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(e.Clients)))
	clients := slices.Clone(e.Clients)
	random.Shuffle(len(clients), func(i, j int) { clients[i], clients[j] = clients[j], clients[i] })
	for _, client := range clients {
		k, id := l.deriveClient(&salt, client[:], labelPSK)
		if e.Scheme == ClientDH {
			shared, err := x25519.Shared(&ephemeral.Private, (*x25519.PublicKey)(&client))
			if err != nil {
				return nil, nil, fmt.Errorf("%w: client key: %w", ErrMalformed, err)
			}
			k, id = l.deriveClient(&salt, append(shared[:], client[:]...), labelDH)
		}
		b = append(b, id[:]...)
		start := len(b)
		b = append(b, cookie...)
		k.xor(b[start:])
	}
	return b, cookie, nil
}
