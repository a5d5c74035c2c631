package signature

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"

	"filippo.io/edwards25519"
)

// GenerateAlpha derives the number a destination's key is blinded with on one
// day (encrypted LeaseSet, Blinding): 32 bytes little endian, less than the
// group order. pub is the destination's signing key of type t, blinded the
// type of the blinded key (always RedDSA), date the UTC day as yyyymmdd, and
// secret the destination's lookup secret or empty.
func GenerateAlpha(pub []byte, t, blinded Type, date, secret string) [32]byte {
	keyData := []byte("I2PGenerateAlpha")
	keyData = append(keyData, pub...)
	keyData = binary.BigEndian.AppendUint16(keyData, uint16(t))
	keyData = binary.BigEndian.AppendUint16(keyData, uint16(blinded))
	salt := sha256.Sum256(keyData)
	seed, err := hkdf.Key(sha256.New, []byte(date+secret), salt[:], "i2pblinding1", 64)
	if err != nil {
		panic("signature: " + err.Error()) // only for longer outputs
	}
	return [32]byte(wideScalar(seed).Bytes())
}

// BlindPublic is the RedDSA public key that stands for the Ed25519 or RedDSA
// key pub under alpha: A + alpha B. It fails with ErrKey when pub is no point
// of the curve or alpha is not less than the group order.
func BlindPublic(pub []byte, alpha *[32]byte) ([]byte, error) {
	a, err := new(edwards25519.Point).SetBytes(pub)
	if err != nil {
		return nil, fmt.Errorf("%w: public key is no point", ErrKey)
	}
	scalar, err := alphaScalar(alpha)
	if err != nil {
		return nil, err
	}
	return a.Add(a, new(edwards25519.Point).ScalarBaseMult(scalar)).Bytes(), nil
}

// BlindPrivate is the RedDSA key whose public key BlindPublic computes:
// a + alpha. It fails with ErrType unless k is an Ed25519 or RedDSA key, and
// with ErrKey when alpha is not less than the group order.
func BlindPrivate(k PrivateKey, alpha *[32]byte) (PrivateKey, error) {
	b, err := alphaScalar(alpha)
	if err != nil {
		return PrivateKey{}, err
	}
	a := edwards25519.NewScalar()
	switch k.kind {
	case RedDSA:
		_, err = a.SetCanonicalBytes(k.secret)
	case Ed25519: // hides its scalar in the hash of the seed (RFC 8032, 5.1.5)
		h := sha512.Sum512(k.secret)
		_, err = a.SetBytesWithClamping(h[:32])
	default:
		return PrivateKey{}, fmt.Errorf("%w: %v cannot be blinded", ErrType, k.kind)
	}
	if err != nil {
		return PrivateKey{}, fmt.Errorf("%w: %v", ErrKey, err)
	}
	return newRedDSA(a.Add(a, b)), nil
}

func alphaScalar(alpha *[32]byte) (*edwards25519.Scalar, error) {
	scalar, err := edwards25519.NewScalar().SetCanonicalBytes(alpha[:])
	if err != nil {
		return nil, fmt.Errorf("%w: alpha is not reduced", ErrKey)
	}
	return scalar, nil
}
