package noise

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"
)

// ErrAuthentication reports a sealed message that was changed, or made with
// another key, counter or associated data, or is too short to be one.
var ErrAuthentication = errors.New("noise: message authentication failed")

// Seal encrypts plaintext with ChaCha20-Poly1305 under the counter n and
// appends the result, Overhead bytes longer, to dst. plaintext may be the
// bytes that follow dst in its array; ad must not overlap them.
func Seal(dst []byte, key *[32]byte, n uint64, ad, plaintext []byte) []byte {
	var nonce [chacha20poly1305.NonceSize]byte
	binary.LittleEndian.PutUint64(nonce[4:], n)
	return newAEAD(key).Seal(dst, nonce[:], plaintext, ad)
}

// Open reverses Seal and appends the plaintext to dst, which may be
// ciphertext[:0]. It fails with ErrAuthentication.
func Open(dst []byte, key *[32]byte, n uint64, ad, ciphertext []byte) ([]byte, error) {
	var nonce [chacha20poly1305.NonceSize]byte
	binary.LittleEndian.PutUint64(nonce[4:], n)
	return open(newAEAD(key), dst, nonce[:], ad, ciphertext)
}

// Cipher is ChaCha20-Poly1305 under one key of a data phase, with the counter
// of one direction. Its calls allocate nothing but what dst lacks.
type Cipher struct {
	aead cipher.AEAD
	n    uint64
	// nonce is here because it would escape to the heap at each call.
	nonce [chacha20poly1305.NonceSize]byte
}

// NewCipher starts a direction at counter 0.
func NewCipher(key *[32]byte) *Cipher { return &Cipher{aead: newAEAD(key)} }

// Seal is like the function Seal, with the direction's counter, which it
// advances.
func (c *Cipher) Seal(dst, ad, plaintext []byte) []byte {
	dst = c.SealAt(c.n, dst, ad, plaintext)
	c.n++
	return dst
}

// Open is like the function Open, with the direction's counter, which it
// advances on success.
func (c *Cipher) Open(dst, ad, ciphertext []byte) ([]byte, error) {
	dst, err := c.OpenAt(c.n, dst, ad, ciphertext)
	if err == nil {
		c.n++
	}
	return dst, err
}

// SealAt is like Seal with the given counter, such as a packet number, and
// leaves the direction's counter alone.
func (c *Cipher) SealAt(n uint64, dst, ad, plaintext []byte) []byte {
	binary.LittleEndian.PutUint64(c.nonce[4:], n)
	return c.aead.Seal(dst, c.nonce[:], plaintext, ad)
}

// OpenAt is like Open with the given counter and leaves the direction's
// counter alone.
func (c *Cipher) OpenAt(n uint64, dst, ad, ciphertext []byte) ([]byte, error) {
	binary.LittleEndian.PutUint64(c.nonce[4:], n)
	return open(c.aead, dst, c.nonce[:], ad, ciphertext)
}

func newAEAD(key *[32]byte) cipher.AEAD {
	aead, err := chacha20poly1305.New(key[:])
	if err != nil {
		panic("noise: " + err.Error()) // only where the system forbids ChaCha20
	}
	return aead
}

func open(aead cipher.AEAD, dst, nonce, ad, ciphertext []byte) ([]byte, error) {
	dst, err := aead.Open(dst, nonce, ciphertext, ad)
	if err != nil {
		return nil, ErrAuthentication
	}
	return dst, nil
}
