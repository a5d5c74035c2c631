package signature

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha512"
	"math/big"
)

// Verify reports whether sig is the signature of message by the holder of
// pub. It is false for the types 4 and 5, for unknown types and for any field
// of wrong length. RSA keys are the bare modulus, ECDSA keys and signatures
// two numbers of equal length, all big endian.
func Verify(t Type, pub, message, sig []byte) bool {
	if !t.Known() || len(pub) != t.PublicKeyLen() || len(sig) != t.SignatureLen() {
		return false
	}
	switch t {
	case Ed25519, RedDSA: // they differ in signing only
		return ed25519.Verify(pub, message, sig)
	case DSASHA1:
		return verifyDSA(pub, message, sig)
	case ECDSAP256, ECDSAP384, ECDSAP521:
		return verifyECDSA(t, pub, message, sig)
	case RSA4096:
		digest := sha512.Sum512(message)
		return verifyRSA(pub, digest[:], sig)
	case Ed25519ph:
		digest := sha512.Sum512(message)
		options := &ed25519.Options{Hash: crypto.SHA512}
		return ed25519.VerifyWithOptions(pub, digest[:], sig, options) == nil
	}
	return false
}

// verifyRSA checks a PKCS #1 v1.5 signature whose padded content is the bare
// digest, without the DigestInfo that names its algorithm: what all signers
// of su3 files make. The public exponent is always 65537.
func verifyRSA(pub, digest, sig []byte) bool {
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(pub), E: 65537}
	return rsa.VerifyPKCS1v15(key, crypto.Hash(0), digest, sig) == nil
}
