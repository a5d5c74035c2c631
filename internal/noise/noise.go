// Package noise is the cryptography every I2P handshake is made of: the
// symmetric state of the Noise framework (a chaining key, a running hash, one
// cipher key with its counter), and the tokens that feed it.
//
// I2P bends Noise in every protocol: NTCP2 hides its ephemeral keys and
// hashes clear padding between messages, SSU2 hashes packet headers, the
// ratchet leaves messages out and answers several times from one saved state,
// tunnel build records keep the chaining key to derive more. So this package
// does not run handshakes. It offers the [State] as a plain value that can be
// copied, the patterns [XK] and [IK] as one method per token of a message
// pattern, and [SealN] and [OpenN] for the one-way pattern N; the protocol
// above writes its message as the list of its tokens and puts its own hashing
// in between.
//
// Beside it stand the primitives the data phases use: [HKDF], one-shot
// [Seal] and [Open], [Cipher] for a key that lives long, and raw
// [ChaCha20XOR].
//
// Nothing here may be used by two goroutines at once, the functions aside.
package noise

import "crypto/sha256"

// Overhead is how many bytes longer a sealed message is: its Poly1305 tag.
const Overhead = 16

// State is the symmetric state of a handshake. It is a value: a copy goes on
// on its own, which is how several answers start from one point.
type State struct {
	CK [32]byte // chaining key
	H  [32]byte // hash of all that both sides have seen
	K  [32]byte // cipher key of the last MixKey
	N  uint64   // counter of the next use of K
}

// Initial is the state of a handshake before its first message: the protocol
// name, hashed when it is longer than 32 bytes and else padded with zeros, as
// CK, and the hash of name and prologue as H.
func Initial(protocol string, prologue []byte) State {
	var s State
	if len(protocol) <= len(s.CK) {
		copy(s.CK[:], protocol)
	} else {
		s.CK = sha256.Sum256([]byte(protocol))
	}
	s.H = s.CK
	s.MixHash(prologue)
	return s
}

// The states I2P's protocols begin with; their prologues are empty.
var (
	ntcp2   = Initial("Noise_XKaesobfse+hs2+hs3_25519_ChaChaPoly_SHA256", nil)
	ssu2    = Initial("Noise_XKchaobfse+hs1+hs2+hs3_25519_ChaChaPoly_SHA256", nil)
	ratchet = Initial("Noise_IKelg2+hs2_25519_ChaChaPoly_SHA256", nil)
	tunnelN = Initial("Noise_N_25519_ChaChaPoly_SHA256", nil)
)

// NTCP2 is the initial state of an NTCP2 handshake, pattern XK.
func NTCP2() State { return ntcp2 }

// SSU2 is the initial state of an SSU2 handshake, pattern XK.
func SSU2() State { return ssu2 }

// Ratchet is the initial state of ECIES-X25519-AEAD-Ratchet sessions, pattern
// IK with Elligator2 keys.
func Ratchet() State { return ratchet }

// TunnelN is the initial state of what is sealed once to a router's static
// key, pattern N: tunnel build records and garlic to routers.
func TunnelN() State { return tunnelN }

// MixHash adds b to the hash. Adding nothing changes the hash too: NTCP2 must
// leave out padding of length zero.
func (s *State) MixHash(b []byte) { s.H = hashed(&s.H, b) }

// MixKey derives the next chaining key and the next cipher key from secret,
// usually the 32 bytes of a Diffie-Hellman, and resets the counter.
func (s *State) MixKey(secret []byte) {
	var out [64]byte
	HKDF(&s.CK, secret, "", out[:])
	s.CK, s.K, s.N = [32]byte(out[:32]), [32]byte(out[32:]), 0
}

// EncryptAndHash seals plaintext with the current key and counter and the
// hash as associated data, appends the result to dst and mixes it into the
// hash. plaintext may be the bytes that follow dst in its array.
func (s *State) EncryptAndHash(dst, plaintext []byte) []byte {
	start := len(dst)
	dst = Seal(dst, &s.K, s.N, s.H[:], plaintext)
	s.MixHash(dst[start:])
	s.N++
	return dst
}

// DecryptAndHash opens what EncryptAndHash sealed and appends the plaintext
// to dst; dst may be ciphertext[:0]. On ErrAuthentication the state is as
// before.
func (s *State) DecryptAndHash(dst, ciphertext []byte) ([]byte, error) {
	h := hashed(&s.H, ciphertext)
	dst, err := Open(dst, &s.K, s.N, s.H[:], ciphertext)
	if err != nil {
		return nil, err
	}
	s.H = h
	s.N++
	return dst, nil
}

// Split derives the two keys of the data phase: k1 from initiator to
// responder, k2 back.
func (s *State) Split() (k1, k2 [32]byte) {
	var out [64]byte
	HKDF(&s.CK, nil, "", out[:])
	return [32]byte(out[:32]), [32]byte(out[32:])
}

// hashed is SHA-256 of h and b.
func hashed(h *[32]byte, b []byte) (out [32]byte) {
	d := sha256.New()
	d.Write(h[:])
	d.Write(b)
	d.Sum(out[:0])
	return out
}
