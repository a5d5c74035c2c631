package garlic

import (
	"fmt"

	"allium/internal/elligator2"
	"allium/internal/noise"
	"allium/internal/x25519"
)

// handshake is the state between New Session and the replies to it. Each
// reply goes on from a copy.
type handshake = noise.IK

// appendNewSession appends a New Session for remote up to where its payload
// begins, and gives the state that seals the payload. Without keys it is
// unbound and nobody can reply.
func appendNewSession(dst []byte, keys *x25519.KeyPair, remote *x25519.PublicKey) ([]byte, *handshake, error) {
	var static x25519.KeyPair
	if keys != nil {
		static = *keys
	}
	state := noise.NewIK(noise.Ratchet(), true, static, remote)
	ephemeral, representative := elligator2.Generate()
	state.SendE(ephemeral)
	if err := state.ES(); err != nil {
		return dst, nil, fmt.Errorf("garlic: new session: %w", err)
	}
	dst = append(dst, representative[:]...)
	if keys == nil {
		return state.SendUnbound(dst), state, nil
	}
	dst = state.SendS(dst)
	if err := state.SS(); err != nil {
		return dst, nil, fmt.Errorf("garlic: new session: %w", err)
	}
	return dst, state, nil
}

// openNewSession opens a New Session, in place, from the responder's initial
// state, which is given as a copy. It gives the state it leaves, the
// ephemeral key and the payload.
func openNewSession(state handshake, body []byte) (after *handshake, ephemeral x25519.PublicKey, plain []byte, err error) {
	after = &state
	representative := [keySize]byte(body)
	ephemeral = elligator2.Decode(&representative)
	after.ReceiveE(&ephemeral)
	if err = after.ES(); err != nil {
		return nil, ephemeral, nil, err
	}
	const payloadAt = keySize + keySize + macSize
	if err = after.ReceiveS(body[keySize:payloadAt]); err != nil {
		return nil, ephemeral, nil, err
	}
	if after.Bound() {
		if err = after.SS(); err != nil {
			return nil, ephemeral, nil, err
		}
	}
	plain, err = after.DecryptAndHash(body[payloadAt:payloadAt], body[payloadAt:])
	return after, ephemeral, plain, err
}

// replyKeys are what a New Session Reply sets up.
type replyKeys struct {
	root   [32]byte
	ab, ba [32]byte // from the sender of the New Session, and to it
	h      [32]byte // hash in front of the reply's payload
}

func newReplyKeys(state *handshake) replyKeys {
	k := replyKeys{root: state.CK, h: state.H}
	k.ab, k.ba = state.Split()
	return k
}

// payloadKey is the key of the reply's own payload.
func (k *replyKeys) payloadKey() (key [32]byte) {
	noise.HKDF(&k.ba, nil, "AttachPayloadKDF", key[:])
	return key
}

// appendReply appends a New Session Reply with the given tag up to where its
// payload begins.
func appendReply(dst []byte, state handshake, tag uint64) ([]byte, replyKeys, error) {
	start := len(dst)
	dst = appendTag(dst, tag)
	state.MixHash(dst[start:])
	ephemeral, representative := elligator2.Generate()
	dst = append(dst, representative[:]...)
	state.SendE(ephemeral)
	if err := state.EE(); err != nil {
		return dst, replyKeys{}, fmt.Errorf("garlic: reply: %w", err)
	}
	if err := state.SE(); err != nil {
		return dst, replyKeys{}, fmt.Errorf("garlic: reply: %w", err)
	}
	dst = state.EncryptAndHash(dst, nil)
	return dst, newReplyKeys(&state), nil
}

// openReply opens a New Session Reply in place, from the state the New
// Session left. A reply may have the ephemeral key of one before it: i2pd
// changes nothing but the tag.
func openReply(state handshake, body []byte) (keys replyKeys, plain []byte, err error) {
	const (
		macAt     = TagSize + keySize
		payloadAt = macAt + macSize
	)
	state.MixHash(body[:TagSize])
	representative := [keySize]byte(body[TagSize:])
	ephemeral := elligator2.Decode(&representative)
	state.ReceiveE(&ephemeral)
	if err = state.EE(); err != nil {
		return keys, nil, err
	}
	if err = state.SE(); err != nil {
		return keys, nil, err
	}
	if _, err = state.DecryptAndHash(nil, body[macAt:payloadAt]); err != nil {
		return keys, nil, err
	}
	keys = newReplyKeys(&state)
	key := keys.payloadKey()
	plain, err = noise.Open(body[payloadAt:payloadAt], &key, 0, keys.h[:], body[payloadAt:])
	return keys, plain, err
}
