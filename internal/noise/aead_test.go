package noise_test

import (
	"bytes"
	"testing"

	"allium/internal/noise"
)

// RFC 8439, A.5. Its nonce begins with four zero bytes, as I2P's do; the
// authentication tag proves the plaintext.
func TestOpenMatchesRFC8439(t *testing.T) {
	key := [32]byte(unhex(t, "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0"))
	const n = 0x0807060504030201
	ad := unhex(t, "f33388860000000000004e91")
	sealed := unhex(t, "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb2"+
		"4c6cfc18755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf"+
		"332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855"+
		"9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4"+
		"b9166c767b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523e"+
		"af4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a"+
		"0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a10"+
		"49e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29"+
		"a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38")
	plaintext, err := noise.Open(nil, &key, n, ad, sealed)
	if err != nil || !bytes.HasPrefix(plaintext, []byte("Internet-Drafts are draft documents valid for a maximum of six months")) {
		t.Fatalf("opened %q, %v", plaintext, err)
	}
	if got := noise.Seal(nil, &key, n, ad, plaintext); !bytes.Equal(got, sealed) {
		t.Errorf("sealed again %x", got)
	}
}

func TestCipherCountsBothDirections(t *testing.T) {
	key := [32]byte{1, 2, 3}
	ad := []byte("header")
	sender, receiver := noise.NewCipher(&key), noise.NewCipher(&key)
	for n := range uint64(300) {
		plaintext := bytes.Repeat([]byte{byte(n)}, int(n))
		sealed := sender.Seal(nil, ad, plaintext)
		if want := noise.Seal(nil, &key, n, ad, plaintext); !bytes.Equal(sealed, want) {
			t.Fatalf("message %d sealed as %x, want %x", n, sealed, want)
		}
		if _, err := receiver.Open(nil, []byte("footer"), sealed); err != noise.ErrAuthentication {
			t.Fatalf("message %d opened with other data: %v", n, err)
		}
		if got, err := receiver.Open(sealed[:0], ad, sealed); err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("message %d opened as %x, %v", n, got, err)
		}
	}
}

func TestCipherAtLeavesCounterAlone(t *testing.T) {
	key := [32]byte{4, 5, 6}
	c := noise.NewCipher(&key)
	late := c.SealAt(1<<40, nil, nil, []byte("late"))
	if got, err := noise.Open(nil, &key, 1<<40, nil, late); err != nil || string(got) != "late" {
		t.Fatalf("opened %q, %v", got, err)
	}
	if _, err := c.OpenAt(1<<40, nil, nil, late); err != nil {
		t.Fatal(err)
	}
	first := c.Seal(nil, nil, []byte("first"))
	if got, err := noise.Open(nil, &key, 0, nil, first); err != nil || string(got) != "first" {
		t.Fatalf("opened %q, %v", got, err)
	}
}

func TestCipherDoesNotAllocate(t *testing.T) {
	key := [32]byte{7}
	sender, receiver := noise.NewCipher(&key), noise.NewCipher(&key)
	buffer := make([]byte, 0, 1040+noise.Overhead)
	plaintext := make([]byte, 1040)
	n := testing.AllocsPerRun(100, func() {
		sealed := sender.Seal(buffer, plaintext[:8], plaintext)
		if _, err := receiver.Open(sealed[:0], plaintext[:8], sealed); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCipherSeal1040(b *testing.B) {
	key := [32]byte{7}
	c := noise.NewCipher(&key)
	buffer, plaintext := make([]byte, 0, 1056), make([]byte, 1040)
	b.SetBytes(1040)
	b.ReportAllocs()
	for b.Loop() {
		c.Seal(buffer, nil, plaintext)
	}
}

func BenchmarkCipherOpen1040(b *testing.B) {
	key := [32]byte{7}
	c := noise.NewCipher(&key)
	buffer, sealed := make([]byte, 0, 1040), c.SealAt(5, nil, nil, make([]byte, 1040))
	b.SetBytes(1040)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.OpenAt(5, buffer, nil, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

// One key for each message, as in the ratchet.
func BenchmarkSeal1040(b *testing.B) {
	key := [32]byte{7}
	buffer, plaintext := make([]byte, 0, 1056), make([]byte, 1040)
	b.SetBytes(1040)
	b.ReportAllocs()
	for b.Loop() {
		noise.Seal(buffer, &key, 5, nil, plaintext)
	}
}
