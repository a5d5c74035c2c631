package noise

import "allium/internal/x25519"

// Handshake is what XK and IK share: a State, the keys of both sides, and one
// method per token of a message. A token comes in a sending and a receiving
// form where the two sides do different things; the Diffie-Hellman tokens are
// the same call on both sides.
type Handshake struct {
	State
	initiator bool

	static          x25519.KeyPair
	ephemeral       x25519.KeyPair
	remoteStatic    x25519.PublicKey
	remoteEphemeral x25519.PublicKey
}

// newHandshake does the pre-message of the patterns that end in K: the
// responder's static key, which the initiator knows beforehand, is hashed.
func newHandshake(initial State, initiator bool, static x25519.KeyPair, remote *x25519.PublicKey) Handshake {
	h := Handshake{State: initial, initiator: initiator, static: static}
	if initiator {
		h.remoteStatic = *remote
		h.MixHash(remote[:])
	} else {
		h.MixHash(static.Public[:])
	}
	return h
}

// SendE is token e of a message we send: our ephemeral key becomes e. What
// goes on the wire, e.Public or an encoding of it, is the caller's business;
// what is hashed is e.Public.
func (h *Handshake) SendE(e x25519.KeyPair) {
	h.ephemeral = e
	h.MixHash(e.Public[:])
}

// ReceiveE is token e of a message we receive, with the key as decoded.
func (h *Handshake) ReceiveE(e *x25519.PublicKey) {
	h.remoteEphemeral = *e
	h.MixHash(e[:])
}

// SendS is token s of a message we send: it appends our static key, sealed,
// 48 bytes, to dst.
func (h *Handshake) SendS(dst []byte) []byte {
	return h.EncryptAndHash(dst, h.static.Public[:])
}

// ReceiveS is token s of a message we receive: it opens the peer's static key
// from ciphertext, 48 bytes. It fails with ErrAuthentication.
func (h *Handshake) ReceiveS(ciphertext []byte) error {
	if len(ciphertext) != len(h.remoteStatic)+Overhead {
		return ErrAuthentication
	}
	_, err := h.DecryptAndHash(h.remoteStatic[:0], ciphertext)
	return err
}

// RemoteStatic is the peer's static key: given to the constructor or received
// with token s.
func (h *Handshake) RemoteStatic() x25519.PublicKey { return h.remoteStatic }

// ES mixes the initiator's ephemeral key with the responder's static key. It
// fails with x25519.ErrLowOrder, as all Diffie-Hellman tokens.
func (h *Handshake) ES() error {
	if h.initiator {
		return h.mixDH(&h.ephemeral, &h.remoteStatic)
	}
	return h.mixDH(&h.static, &h.remoteEphemeral)
}

// EE mixes the two ephemeral keys.
func (h *Handshake) EE() error { return h.mixDH(&h.ephemeral, &h.remoteEphemeral) }

// SE mixes the initiator's static key with the responder's ephemeral key.
func (h *Handshake) SE() error {
	if h.initiator {
		return h.mixDH(&h.static, &h.remoteEphemeral)
	}
	return h.mixDH(&h.ephemeral, &h.remoteStatic)
}

func (s *State) mixDH(own *x25519.KeyPair, remote *x25519.PublicKey) error {
	secret, err := x25519.Shared(&own.Private, remote)
	if err != nil {
		return err
	}
	s.MixKey(secret[:])
	return nil
}
