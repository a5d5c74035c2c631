package noise

import "allium/internal/x25519"

// SealN is the sender's side of the one-way pattern N up to its payload:
//
//	<- s
//	...
//	-> e, es, payload
//
// initial is what TunnelN gives, static the recipient's key; ephemeral goes
// in front of the payload, which EncryptAndHash of the returned state makes.
// It fails with x25519.ErrLowOrder.
func SealN(initial State, static *x25519.PublicKey, ephemeral *x25519.KeyPair) (State, error) {
	s := initial
	s.MixHash(static[:])
	s.MixHash(ephemeral.Public[:])
	return s, s.mixDH(ephemeral, static)
}

// OpenN is the recipient's side: ephemeral is what came in front of the
// payload, which DecryptAndHash of the returned state opens. It fails with
// x25519.ErrLowOrder.
func OpenN(initial State, static *x25519.KeyPair, ephemeral *x25519.PublicKey) (State, error) {
	s := initial
	s.MixHash(static.Public[:])
	s.MixHash(ephemeral[:])
	return s, s.mixDH(static, ephemeral)
}
