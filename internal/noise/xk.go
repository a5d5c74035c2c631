package noise

import "allium/internal/x25519"

// XK is one side of a handshake of the transports. Alice, the initiator,
// knows Bob's static key from his RouterInfo and shows her own at the end:
//
//	<- s
//	...
//	-> e, es, payload
//	<- e, ee, payload
//	-> s, se, payload
//
// A payload is EncryptAndHash or DecryptAndHash. NTCP2 hashes the clear
// padding that followed a message before token e or s of the next, when there
// was any; SSU2 hashes the header of a message before its token e or s, and
// derives header keys from CK on the way.
type XK struct{ Handshake }

// NewXK starts a handshake from initial, which NTCP2 or SSU2 gives, and
// hashes the responder's static key: remote for the initiator, static for the
// responder, who passes a nil remote.
func NewXK(initial State, initiator bool, static x25519.KeyPair, remote *x25519.PublicKey) *XK {
	return &XK{newHandshake(initial, initiator, static, remote)}
}
