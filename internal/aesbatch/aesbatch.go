// Package aesbatch does AES-256 over independent messages side by side.
//
// CBC encryption is a chain: each block waits for the one before it, and the
// processor idles between the rounds of a single chain. Messages have chains
// of their own. [Encrypt] therefore takes a batch and goes through several
// messages at once, block by block, so that the processor works on one while
// another waits.
//
// Each message carries its IV in its first block. The IV is encrypted by
// itself under one key before it starts the chain and again after it, and the
// rest is CBC under a second key; no padding, all in place.
package aesbatch

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
)

// BlockSize is the size of an AES block and of an IV in bytes.
const BlockSize = aes.BlockSize

// lanes is how many messages are worked on side by side. With calls into
// crypto/aes block by block, processors look far enough ahead for about four.
const lanes = 4

// Key is an AES-256 key with its schedules expanded, about half a kilobyte.
// Expanding costs as much as a dozen blocks, so a Key is made once and kept.
// It never changes and may be used by many goroutines at once.
type Key struct {
	block cipher.Block
}

// NewKey expands k, which it does not keep.
func NewKey(k *[32]byte) *Key {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic(err) // only for keys of another size
	}
	return &Key{block: block}
}

// Job is one message of a batch: one block of IV and then any number of whole
// blocks of data. Messages of one batch do not overlap. A Message of another
// length makes Encrypt and Decrypt panic: whoever takes it off the network
// checks that.
type Job struct {
	IV, Data *Key
	Message  []byte
}

// Encrypt encrypts every message in place, without allocating:
//
//	first  = AES(IV key, IV)
//	data   = CBC(Data key, first, data)
//	second = AES(IV key, first)
//
// and leaves second before the data.
func Encrypt(jobs []Job) {
	for len(jobs) > lanes {
		encryptLanes(jobs[:lanes])
		jobs = jobs[lanes:]
	}
	encryptLanes(jobs)
}

// encryptLanes encrypts all jobs side by side.
func encryptLanes(jobs []Job) {
	longest := 0
	for i := range jobs {
		j := &jobs[i]
		check(j.Message, BlockSize)
		longest = max(longest, len(j.Message))
		iv := j.Message[:BlockSize]
		j.IV.block.Encrypt(iv, iv)
	}
	for at := BlockSize; at < longest; at += BlockSize {
		for i := range jobs {
			j := &jobs[i]
			if at >= len(j.Message) {
				continue
			}
			b := j.Message[at : at+BlockSize]
			subtle.XORBytes(b, b, j.Message[at-BlockSize:at])
			j.Data.block.Encrypt(b, b)
		}
	}
	for i := range jobs {
		j := &jobs[i]
		iv := j.Message[:BlockSize]
		j.IV.block.Encrypt(iv, iv)
	}
}

// Decrypt undoes Encrypt, in place and without allocating. It goes message by
// message: the blocks of one do not wait for each other.
func Decrypt(jobs []Job) {
	for i := range jobs {
		j := &jobs[i]
		check(j.Message, BlockSize)
		iv := j.Message[:BlockSize]
		j.IV.block.Decrypt(iv, iv)
		decryptChain(j.Data, j.Message)
		j.IV.block.Decrypt(iv, iv)
	}
}

// EncryptCBC encrypts b, whole blocks, in place, and leaves in iv what the
// chain goes on with: the last block of ciphertext. It panics when b is not
// whole blocks.
func EncryptCBC(k *Key, iv *[BlockSize]byte, b []byte) {
	check(b, 0)
	last := iv[:]
	for ; len(b) > 0; b = b[BlockSize:] {
		subtle.XORBytes(b, b, last)
		k.block.Encrypt(b, b)
		last = b[:BlockSize]
	}
	copy(iv[:], last)
}

// DecryptCBC undoes EncryptCBC; iv goes on in the same way.
func DecryptCBC(k *Key, iv *[BlockSize]byte, b []byte) {
	check(b, 0)
	if len(b) == 0 {
		return
	}
	before := *iv
	copy(iv[:], b[len(b)-BlockSize:])
	decryptChain(k, b)
	first := b[:BlockSize]
	k.block.Decrypt(first, first)
	subtle.XORBytes(first, first, before[:])
}

// decryptChain decrypts all blocks of b but the first, each after the one
// before it. It begins at the end, where that one is still ciphertext.
func decryptChain(k *Key, b []byte) {
	for at := len(b) - BlockSize; at > 0; at -= BlockSize {
		block := b[at : at+BlockSize]
		k.block.Decrypt(block, block)
		subtle.XORBytes(block, block, b[at-BlockSize:at])
	}
}

// check panics unless b is whole blocks, least bytes or more.
func check(b []byte, least int) {
	if len(b) < least || len(b)%BlockSize != 0 {
		panic("aesbatch: not whole blocks")
	}
}
