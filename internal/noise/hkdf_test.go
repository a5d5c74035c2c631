package noise_test

import (
	"bytes"
	stdhkdf "crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"allium/internal/noise"
)

// RFC 5869, A.1 and A.3: the cases whose salt is not longer than 32 bytes. A
// shorter salt is the same as one padded with zeros.
func TestHKDFMatchesRFC5869(t *testing.T) {
	for _, v := range []struct{ salt, ikm, info, want string }{
		{
			"000102030405060708090a0b0c", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "f0f1f2f3f4f5f6f7f8f9",
			"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
		},
		{
			"", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "",
			"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
		},
	} {
		var salt [32]byte
		copy(salt[:], unhex(t, v.salt))
		out := make([]byte, 42)
		noise.HKDF(&salt, unhex(t, v.ikm), string(unhex(t, v.info)), out)
		if !bytes.Equal(out, unhex(t, v.want)) {
			t.Errorf("got %x, want %s", out, v.want)
		}
	}
}

func TestHKDFMatchesStandardLibrary(t *testing.T) {
	const long = "an info far longer than any label I2P has, to leave the room on the stack behind"
	for _, ikm := range []int{0, 1, 32, 39, 64, 96, 160, 161, 1000} {
		for _, info := range []string{"", "SessionReplyTags", long + long + long} {
			for _, n := range []int{0, 1, 8, 32, 44, 52, 64, 96} {
				var ck [32]byte
				secret := make([]byte, ikm)
				rand.Read(ck[:])
				rand.Read(secret)
				want, err := stdhkdf.Key(sha256.New, secret, ck[:], info, n)
				must(t, err)
				got := make([]byte, n)
				noise.HKDF(&ck, secret, info, got)
				if !bytes.Equal(got, want) {
					t.Fatalf("%d bytes of %d with %q: %x, want %x", n, ikm, info, got, want)
				}
			}
		}
	}
}

func TestHKDFWritesOverItsInput(t *testing.T) {
	var apart, over [64]byte
	key, secret := [32]byte{1}, [32]byte{2}
	noise.HKDF(&key, secret[:], "label", apart[:])
	copy(over[:32], key[:])
	copy(over[32:], secret[:])
	noise.HKDF((*[32]byte)(over[:32]), over[32:], "label", over[:])
	if over != apart {
		t.Errorf("over its input %x, apart %x", over, apart)
	}
}

func TestHKDFDoesNotAllocate(t *testing.T) {
	var ck, secret [32]byte
	var out [64]byte
	n := testing.AllocsPerRun(100, func() { noise.HKDF(&ck, secret[:], "SessionTagKeyGen", out[:]) })
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHKDF64(b *testing.B) {
	var ck, secret [32]byte
	var out [64]byte
	b.ReportAllocs()
	for b.Loop() {
		noise.HKDF(&ck, secret[:], "SessionTagKeyGen", out[:])
	}
}
