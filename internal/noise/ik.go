package noise

import "allium/internal/x25519"

// IK is one side of a session of the ratchet. Alice, the initiator, knows
// Bob's static key from his LeaseSet and shows her own at once:
//
//	<- s
//	...
//	-> e, es, s, ss, payload     New Session
//	<- tag, e, ee, se, payload   New Session Reply
//
// A payload is EncryptAndHash or DecryptAndHash; the tag is hashed as it is.
// The ephemeral keys travel in Elligator2 form and are hashed decoded.
//
// Bob may reply several times to one New Session, and several of these may be
// under way. Each reply starts from the state the New Session left: both
// sides keep that IK and run the second message on a copy of it.
//
// In an unbound New Session, which wants no reply, 32 zero bytes stand for
// Alice's static key and ss is left out: the payload uses the key of es with
// its counter at 1. SendUnbound does this for Alice; Bob sees it from Bound
// after token s.
type IK struct{ Handshake }

// NewIK starts a session from initial, which Ratchet gives, and hashes the
// responder's static key: remote for the initiator, static for the responder,
// who passes a nil remote.
func NewIK(initial State, initiator bool, static x25519.KeyPair, remote *x25519.PublicKey) *IK {
	return &IK{newHandshake(initial, initiator, static, remote)}
}

// SendUnbound stands for token s where the initiator does not tell who she
// is: it appends 32 zero bytes, sealed, to dst.
func (k *IK) SendUnbound(dst []byte) []byte {
	var nobody x25519.PublicKey
	return k.EncryptAndHash(dst, nobody[:])
}

// Bound reports whether the initiator told who she is.
func (k *IK) Bound() bool { return k.remoteStatic != x25519.PublicKey{} }

// SS mixes the two static keys.
func (k *IK) SS() error { return k.mixDH(&k.static, &k.remoteStatic) }
