// Package signature holds the signature algorithms of I2P behind their type
// codes: a length for every field, one [Verify] for all of them, and private
// keys for those we sign with.
//
// Routers and new destinations sign with [Ed25519]. The older types are here
// because destinations of the first years still use them, and because the
// files routers fetch to get started are signed with RSA. [RedDSA] is Ed25519
// with private keys that can be blinded: a destination with an encrypted
// LeaseSet shows the network a different public key each day, which only
// those who know the destination can compute (blinding.go).
package signature

import "fmt"

// Type is the two-byte code of a signature algorithm (common structures,
// Key Certificates).
type Type uint16

// The signature types. 9 and 10 were reserved for GOST, 12 to 20 are for
// ML-DSA; none of them is in use.
const (
	DSASHA1   Type = 0 // I2P's fixed 1024-bit group; before 2014
	ECDSAP256 Type = 1 // with SHA-256
	ECDSAP384 Type = 2 // with SHA-384
	ECDSAP521 Type = 3 // with SHA-512
	RSA2048   Type = 4 // with SHA-256; files only, as are 5 and 6
	RSA3072   Type = 5 // with SHA-384
	RSA4096   Type = 6 // with SHA-512
	Ed25519   Type = 7
	Ed25519ph Type = 8  // of a SHA-512 prehash; files only
	RedDSA    Type = 11 // on Ed25519, for blinded keys
)

type facts struct {
	name                       string
	public, private, signature int // lengths in bytes
}

// known is indexed by Type; entries without a name are not known.
var known = [...]facts{
	DSASHA1:   {"DSA_SHA1", 128, 20, 40},
	ECDSAP256: {"ECDSA_SHA256_P256", 64, 32, 64},
	ECDSAP384: {"ECDSA_SHA384_P384", 96, 48, 96},
	ECDSAP521: {"ECDSA_SHA512_P521", 132, 66, 132},
	RSA2048:   {"RSA_SHA256_2048", 256, 512, 256},
	RSA3072:   {"RSA_SHA384_3072", 384, 768, 384},
	RSA4096:   {"RSA_SHA512_4096", 512, 1024, 512},
	Ed25519:   {"EdDSA_SHA512_Ed25519", 32, 32, 64},
	Ed25519ph: {"EdDSA_SHA512_Ed25519ph", 32, 32, 64},
	RedDSA:    {"RedDSA_SHA512_Ed25519", 32, 32, 64},
}

func (t Type) facts() facts {
	if int(t) < len(known) {
		return known[t]
	}
	return facts{}
}

// Known reports whether the lengths of the type are known.
func (t Type) Known() bool { return t.facts().name != "" }

// PublicKeyLen is the length of a public key in bytes, 0 for unknown types.
func (t Type) PublicKeyLen() int { return t.facts().public }

// PrivateKeyLen is the length of a private key in bytes, as key files hold
// it; 0 for unknown types.
func (t Type) PrivateKeyLen() int { return t.facts().private }

// SignatureLen is the length of a signature in bytes, 0 for unknown types.
func (t Type) SignatureLen() int { return t.facts().signature }

// String is the name SAM and key files spell the type with.
func (t Type) String() string {
	if name := t.facts().name; name != "" {
		return name
	}
	return fmt.Sprintf("signature type %d", uint16(t))
}
