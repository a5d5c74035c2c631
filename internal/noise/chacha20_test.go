package noise_test

import (
	"bytes"
	"crypto/rand"
	"testing"

	"allium/internal/noise"

	"golang.org/x/crypto/chacha20"
)

// RFC 8439, 2.4.2, whose example starts at block 1 too.
func TestChaCha20XORMatchesRFC8439(t *testing.T) {
	key := [32]byte(unhex(t, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"))
	nonce := [12]byte(unhex(t, "000000000000004a00000000"))
	b := []byte("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.")
	noise.ChaCha20XOR(b, b, &key, &nonce)
	want := unhex(t, "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0b"+
		"f91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d8"+
		"07ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736"+
		"5af90bbf74a35be6b40b8eedf2785e42874d")
	if !bytes.Equal(b, want) {
		t.Errorf("got %x, want %x", b, want)
	}
}

func TestChaCha20StartsAtBlockOne(t *testing.T) {
	var key [32]byte
	var nonce [12]byte
	rand.Read(key[:])
	rand.Read(nonce[:])
	c, err := chacha20.NewUnauthenticatedCipher(key[:], nonce[:])
	must(t, err)
	c.SetCounter(1)
	want, got := make([]byte, 300), make([]byte, 300)
	c.XORKeyStream(want, want)
	noise.ChaCha20XOR(got, got, &key, &nonce)
	if !bytes.Equal(got, want) {
		t.Errorf("key stream %x, want %x", got, want)
	}
	if mask := noise.HeaderMask(&key, &nonce); !bytes.Equal(mask[:], want[:8]) {
		t.Errorf("mask %x, want %x", mask, want[:8])
	}
}

func TestChaCha20DoesNotAllocate(t *testing.T) {
	var key [32]byte
	packet := make([]byte, 218)
	n := testing.AllocsPerRun(100, func() {
		nonce := (*[12]byte)(packet[len(packet)-12:])
		mask := noise.HeaderMask(&key, nonce)
		noise.ChaCha20XOR(packet[:200], packet[:200], &key, nonce)
		packet[0] ^= mask[0]
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHeaderMask(b *testing.B) {
	var key [32]byte
	var nonce [12]byte
	b.ReportAllocs()
	for b.Loop() {
		noise.HeaderMask(&key, &nonce)
	}
}

func BenchmarkChaCha20XOR218(b *testing.B) {
	var key [32]byte
	var nonce [12]byte
	record := make([]byte, 218)
	b.SetBytes(218)
	b.ReportAllocs()
	for b.Loop() {
		noise.ChaCha20XOR(record, record, &key, &nonce)
	}
}
