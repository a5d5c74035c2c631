package noise

import "golang.org/x/crypto/chacha20"

// I2P starts raw ChaCha20 at this block, as if an AEAD had used block 0.
const firstBlock = 1

// ChaCha20XOR encrypts or decrypts src into dst, of the same length, with raw
// ChaCha20 (RFC 8439) from block counter 1, as everywhere in I2P. dst may be
// src.
func ChaCha20XOR(dst, src []byte, key *[32]byte, nonce *[12]byte) {
	c, err := chacha20.NewUnauthenticatedCipher(key[:], nonce[:])
	if err != nil {
		panic("noise: " + err.Error()) // only for other lengths of key or nonce
	}
	c.SetCounter(firstBlock)
	c.XORKeyStream(dst, src)
}

// HeaderMask is the first 8 bytes of the key stream ChaCha20XOR applies: what
// SSU2 hides half of a short header with.
func HeaderMask(key *[32]byte, nonce *[12]byte) (mask [8]byte) {
	ChaCha20XOR(mask[:], mask[:], key, nonce)
	return mask
}
