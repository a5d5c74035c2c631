package noise

import "crypto/sha256"

const (
	blockLen = 64 // of SHA-256
	hashLen  = 32
	maxOut   = 3 * hashLen
)

// HKDF fills out, at most 96 bytes, with HKDF-SHA256 (RFC 5869): ck is the
// salt, ikm the secret and may be empty, info an ASCII label without
// terminator.
//
// It runs several times for each message of the ratchet, so it works in
// arrays of the stack: it allocates only when ikm and info are far longer
// than I2P's. out may overlap ck and ikm: a ratchet writes over its own key.
func HKDF(ck *[32]byte, ikm []byte, info string, out []byte) {
	if len(out) > maxOut {
		panic("noise: HKDF output too long")
	}
	extract := newHMAC(ck)
	prk := extract.sum(ikm, "", nil)
	expand := newHMAC(&prk)
	var t [hashLen]byte
	var previous []byte
	for i := byte(1); len(out) > 0; i++ {
		t = expand.sum(previous, info, []byte{i})
		previous = t[:]
		out = out[copy(out, t[:]):]
	}
}

// hmac is HMAC-SHA256 (RFC 2104) under a 32-byte key: the two padded keys.
type hmac struct {
	inner, outer [blockLen]byte
}

func newHMAC(key *[32]byte) (h hmac) {
	for i := range h.inner {
		h.inner[i], h.outer[i] = 0x36, 0x5c
	}
	for i, b := range key {
		h.inner[i] ^= b
		h.outer[i] ^= b
	}
	return h
}

// sum is the code over a, b and c in turn. What it hashes is gathered in one
// piece, because a hash fed piece by piece lives on the heap.
func (h *hmac) sum(a []byte, b string, c []byte) [hashLen]byte {
	var room [blockLen + 160]byte
	message := append(room[:0], h.inner[:]...)
	message = append(message, a...)
	message = append(message, b...)
	message = append(message, c...)
	digest := sha256.Sum256(message)

	var last [blockLen + hashLen]byte
	copy(last[:], h.outer[:])
	copy(last[blockLen:], digest[:])
	return sha256.Sum256(last[:])
}
