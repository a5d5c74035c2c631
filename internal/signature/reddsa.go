package signature

import (
	"crypto/rand"
	"crypto/sha512"
	"fmt"

	"filippo.io/edwards25519"
)

func generateRedDSA() PrivateKey {
	var random [64]byte // twice the key's length, so that the remainder is uniform
	rand.Read(random[:])
	return newRedDSA(wideScalar(random[:]))
}

// parseRedDSA makes a key of 32 little-endian bytes, which need not be less
// than the group order: a key converted from Ed25519 is not.
func parseRedDSA(b []byte) (PrivateKey, error) {
	scalar := wideScalar(append(b, make([]byte, 32)...))
	if scalar.Equal(edwards25519.NewScalar()) == 1 {
		return PrivateKey{}, fmt.Errorf("%w: zero scalar", ErrKey)
	}
	return newRedDSA(scalar), nil
}

// newRedDSA makes a key that signs as Ed25519 does, except that the nonce is
// a hash of fresh random bytes instead of one half of the hash of the seed,
// which a blinded key does not have. The domain prefix and the length the
// red25519 page puts into its hashes are not used by any router.
func newRedDSA(scalar *edwards25519.Scalar) PrivateKey {
	public := new(edwards25519.Point).ScalarBaseMult(scalar).Bytes()
	sign := func(message []byte) []byte {
		var random [80]byte
		rand.Read(random[:])
		nonce := hashScalar(random[:], public, message)
		sig := new(edwards25519.Point).ScalarBaseMult(nonce).Bytes()
		challenge := hashScalar(sig, public, message)
		s := edwards25519.NewScalar().MultiplyAdd(challenge, scalar, nonce)
		return append(sig, s.Bytes()...)
	}
	return PrivateKey{kind: RedDSA, secret: scalar.Bytes(), public: public, sign: sign}
}

// hashScalar is SHA-512 of the parts, as a number modulo the group order.
func hashScalar(parts ...[]byte) *edwards25519.Scalar {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	return wideScalar(h.Sum(nil))
}

// wideScalar reduces 64 little-endian bytes modulo the group order.
func wideScalar(b []byte) *edwards25519.Scalar {
	scalar, err := edwards25519.NewScalar().SetUniformBytes(b)
	if err != nil {
		panic("signature: " + err.Error()) // only for other lengths
	}
	return scalar
}
