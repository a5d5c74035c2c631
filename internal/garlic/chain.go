package garlic

import (
	"encoding/binary"

	"allium/internal/noise"
)

// maxTags is how many messages a tag set serves, a message number having 16
// bits. i2pd stops one earlier, and so does everybody here.
const maxTags = 65535

// chain derives the tags and the keys of a tag set, each in order and only
// forwards. The two advance independently: a receiver needs tags long before
// keys.
type chain struct {
	tagCK, tagConstant [32]byte
	keyCK              [32]byte
	tags, keys         int // how many were derived
}

// newChain starts a tag set from a root key and what the two sides agreed on,
// and gives the root key for the tag set after it. (ECIES, DH Initialization
// KDF.)
func newChain(root, k *[32]byte) (c chain, next [32]byte) {
	var out [64]byte
	noise.HKDF(root, k[:], "KDFDHRatchetStep", out[:])
	next = [32]byte(out[:32])
	ck := [32]byte(out[32:])
	noise.HKDF(&ck, nil, "TagAndKeyGenKeys", out[:])
	c.keyCK = [32]byte(out[32:])
	ck = [32]byte(out[:32])
	noise.HKDF(&ck, nil, "STInitialization", out[:])
	c.tagCK, c.tagConstant = [32]byte(out[:32]), [32]byte(out[32:])
	return c, next
}

// replyChain is the tag set of the answers to a New Session, from the
// chaining key it ended with. Only its tags are used.
func replyChain(ck *[32]byte) chain {
	var k [32]byte
	noise.HKDF(ck, nil, "SessionReplyTags", k[:])
	c, _ := newChain(ck, &k)
	return c
}

// nextChain is the tag set that follows one with the given next root, from
// the secret that the exchanged keys agree on. (ECIES, DH Ratchet KDF.)
func nextChain(root, secret *[32]byte) (chain, [32]byte) {
	var k [32]byte
	noise.HKDF(secret, nil, "XDHRatchetTagSet", k[:])
	return newChain(root, &k)
}

// tag derives the next tag.
func (c *chain) tag() uint64 {
	var out [64]byte
	noise.HKDF(&c.tagCK, c.tagConstant[:], "SessionTagKeyGen", out[:])
	c.tagCK = [32]byte(out[:32])
	c.tags++
	return tagOf(out[32:])
}

// key derives the next key.
func (c *chain) key() [32]byte {
	var out [64]byte
	noise.HKDF(&c.keyCK, nil, "SymmetricRatchet", out[:])
	c.keyCK = [32]byte(out[:32])
	c.keys++
	return [32]byte(out[32:])
}

// A tag is kept as a number because tables of numbers are faster.
func tagOf(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

func appendTag(b []byte, tag uint64) []byte {
	return binary.LittleEndian.AppendUint64(b, tag)
}
