package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"math/big"
)

// uncompressed is the byte that standard encodings put before the two
// coordinates of a point. I2P leaves it out.
const uncompressed = 4

// curveOf is the curve and the hash of an ECDSA type.
func curveOf(t Type) (elliptic.Curve, crypto.Hash) {
	switch t {
	case ECDSAP256:
		return elliptic.P256(), crypto.SHA256
	case ECDSAP384:
		return elliptic.P384(), crypto.SHA384
	}
	return elliptic.P521(), crypto.SHA512
}

func digest(hash crypto.Hash, message []byte) []byte {
	h := hash.New()
	h.Write(message)
	return h.Sum(nil)
}

func verifyECDSA(t Type, pub, message, sig []byte) bool {
	curve, hash := curveOf(t)
	key, err := ecdsa.ParseUncompressedPublicKey(curve, append([]byte{uncompressed}, pub...))
	if err != nil {
		return false
	}
	half := len(sig) / 2
	r, s := new(big.Int).SetBytes(sig[:half]), new(big.Int).SetBytes(sig[half:])
	return ecdsa.Verify(key, digest(hash, message), r, s)
}

func generateECDSA(t Type) (PrivateKey, error) {
	curve, _ := curveOf(t)
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("signature: %v: %w", t, err)
	}
	secret, err := private.Bytes()
	if err != nil {
		return PrivateKey{}, fmt.Errorf("signature: %v: %w", t, err)
	}
	return newECDSA(t, secret)
}

// newECDSA makes a key of its secret number, big endian.
func newECDSA(t Type, secret []byte) (PrivateKey, error) {
	curve, hash := curveOf(t)
	private, err := ecdsa.ParseRawPrivateKey(curve, secret)
	if err != nil {
		return PrivateKey{}, fmt.Errorf("%w: %v: %v", ErrKey, t, err)
	}
	public, err := private.PublicKey.Bytes()
	if err != nil {
		return PrivateKey{}, fmt.Errorf("%w: %v: %v", ErrKey, t, err)
	}
	sign := func(message []byte) []byte {
		r, s, err := ecdsa.Sign(rand.Reader, private, digest(hash, message))
		if err != nil {
			panic("signature: " + err.Error()) // only without random numbers
		}
		sig := make([]byte, t.SignatureLen())
		r.FillBytes(sig[:len(sig)/2])
		s.FillBytes(sig[len(sig)/2:])
		return sig
	}
	return PrivateKey{kind: t, secret: secret, public: public[1:], sign: sign}, nil
}
