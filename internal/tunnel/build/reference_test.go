package build_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"golang.org/x/crypto/chacha20"
	"golang.org/x/crypto/chacha20poly1305"
)

// reference is a hop, or a creator towards one hop, made of nothing but
// standard primitives and the words of the specification. It shares no code
// with the package, so that agreeing with it means something.
type reference struct {
	plain             []byte // the request, 154 bytes
	h                 []byte
	reply, layer, iv  []byte
	garlicKey, garTag []byte
}

func sha(parts ...[]byte) []byte {
	sum := sha256.Sum256(bytes.Join(parts, nil))
	return sum[:]
}

func expand(t testing.TB, secret, salt []byte, label string) (left, right []byte) {
	t.Helper()
	out, err := hkdf.Key(sha256.New, secret, salt, label, 64)
	if err != nil {
		t.Fatal(err)
	}
	return out[:32], out[32:]
}

// begin runs Noise N up to the payload.
func (f *reference) begin(t testing.TB, static, ephemeral, shared []byte) (ck, k []byte) {
	t.Helper()
	name := append([]byte("Noise_N_25519_ChaChaPoly_SHA256"), 0)
	f.h = sha(sha(sha(name), static), ephemeral)
	return expand(t, shared, name, "")
}

// finish derives the keys from ck.
func (f *reference) finish(t testing.TB, ck []byte) {
	t.Helper()
	endpoint := f.plain[40]&0x40 != 0
	ck, f.reply = expand(t, nil, ck, "SMTunnelReplyKey")
	ck, f.layer = expand(t, nil, ck, "SMTunnelLayerKey")
	f.iv = ck
	if endpoint {
		ck, f.iv = expand(t, nil, ck, "TunnelLayerIVKey")
		tag, key := expand(t, nil, ck, "RGarlicKeyAndTag")
		f.garTag, f.garlicKey = tag[:8], key
	}
}

func poly(t testing.TB, key []byte) interface {
	Seal(dst, nonce, plaintext, ad []byte) []byte
	Open(dst, nonce, ciphertext, ad []byte) ([]byte, error)
} {
	t.Helper()
	aead, err := chacha20poly1305.New(key)
	if err != nil {
		t.Fatal(err)
	}
	return aead
}

func privateKey(t testing.TB, b []byte) *ecdh.PrivateKey {
	t.Helper()
	key, err := ecdh.X25519().NewPrivateKey(b)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func agree(t testing.TB, private *ecdh.PrivateKey, public []byte) []byte {
	t.Helper()
	key, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	shared, err := private.ECDH(key)
	if err != nil {
		t.Fatal(err)
	}
	return shared
}

// referenceSeal seals a request of 154 bytes into a record of 218.
func referenceSeal(t testing.TB, hash, static []byte, ephemeral *ecdh.PrivateKey, plain []byte) ([]byte, *reference) {
	t.Helper()
	f := &reference{plain: plain}
	public := ephemeral.PublicKey().Bytes()
	ck, k := f.begin(t, static, public, agree(t, ephemeral, static))
	sealed := poly(t, k).Seal(nil, make([]byte, 12), plain, f.h)
	f.h = sha(f.h, sealed)
	f.finish(t, ck)
	return bytes.Join([][]byte{hash[:16], public, sealed}, nil), f
}

// referenceOpen opens a record of 218 bytes.
func referenceOpen(t testing.TB, static *ecdh.PrivateKey, record []byte) *reference {
	t.Helper()
	f := &reference{}
	ephemeral, sealed := record[16:48], record[48:]
	ck, k := f.begin(t, static.PublicKey().Bytes(), ephemeral, agree(t, static, ephemeral))
	plain, err := poly(t, k).Open(nil, make([]byte, 12), sealed, f.h)
	if err != nil {
		t.Fatal(err)
	}
	f.plain = plain
	f.h = sha(f.h, sealed)
	f.finish(t, ck)
	return f
}

func nonce(index int) []byte {
	n := make([]byte, 12)
	binary.LittleEndian.PutUint64(n[4:], uint64(index))
	return n
}

// stream changes a record of somebody else's.
func (f *reference) stream(t testing.TB, record []byte, index int) {
	t.Helper()
	c, err := chacha20.NewUnauthenticatedCipher(f.reply, nonce(index))
	if err != nil {
		t.Fatal(err)
	}
	c.SetCounter(1)
	c.XORKeyStream(record, record)
}

// answer does the hop's work on a message body.
func (f *reference) answer(t testing.TB, body []byte, index int, reply []byte) {
	t.Helper()
	for i := range int(body[0]) {
		record := body[1+i*218:][:218]
		if i == index {
			copy(record, poly(t, f.reply).Seal(nil, nonce(i), reply, f.h))
		} else {
			f.stream(t, record, i)
		}
	}
}
