package elligator2_test

import (
	"crypto/rand"
	"encoding/hex"
	"math/big"
	"slices"
	"testing"

	"allium/internal/elligator2"
	"allium/internal/x25519"
)

func bytes32(t testing.TB, s string) (b [32]byte) {
	t.Helper()
	if n, err := hex.Decode(b[:], []byte(s)); err != nil || n != 32 {
		t.Fatalf("bad hex %q", s)
	}
	return b
}

var prime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))

// reduced is the number of all 256 bits of b modulo p: the public vectors
// read a key so, while X25519 ignores the top bit.
func reduced(b [32]byte) (out x25519.PublicKey) {
	slices.Reverse(b[:])
	n := new(big.Int).SetBytes(b[:])
	n.Mod(n, prime).FillBytes(out[:])
	slices.Reverse(out[:])
	return out
}

func TestEncodeMatchesPublicVectors(t *testing.T) {
	key := reduced(bytes32(t, "33951964003c940878063ccfd0348af42150ca16d2646f2c5856e8338377d880"))
	for random, want := range map[byte]string{
		0: "2820b6b241e0f68a6c4a7fee3d978228ef3ae45533cd410aa91a415331d8612d",
		1: "3cfb87c46c0b4575ca8175e0ed1c0ae9dae79db78df86997c4847b9f20b27718",
	} {
		rep, ok := elligator2.Encode(&key, random)
		if !ok || hex.EncodeToString(rep[:]) != want {
			t.Errorf("Encode with %d = %x, %v, want %s", random, rep, ok, want)
		}
		if got := elligator2.Decode(&rep); got != key {
			t.Errorf("Decode(%x) = %x, want %x", rep, got, key)
		}
	}
}

func TestEncodeRefusesHalfOfKeys(t *testing.T) {
	key := x25519.PublicKey(bytes32(t, "e6f66fdf6e230c603c5e6e59a254ea1476a13eb9511b9549846781e12e52230a"))
	for random := range 2 {
		if rep, ok := elligator2.Encode(&key, byte(random)); ok {
			t.Errorf("encoded as %x", rep)
		}
	}
	const keys = 1000
	encoded := 0
	for range keys {
		pair := x25519.Generate()
		if _, ok := elligator2.Encode(&pair.Public, 0); ok {
			encoded++
		}
	}
	if encoded < keys*2/5 || encoded > keys*3/5 {
		t.Errorf("%d of %d keys encoded, want about half", encoded, keys)
	}
}

func TestDecodeMatchesPublicVectors(t *testing.T) {
	for _, v := range []struct{ rep, key string }{
		{
			"e73507d38bae63992b3f57aac48c0abc14509589288457995a2b4ca3490aa207",
			"1e8afffed6bf53fe271ad572473262ded8faec68e5e67ef45ebb82eeba52604f",
		},
		{
			"95a16019041dbefed9832048ede11928d90365f24a38aa7aef1b97e23954101b",
			"794f05ba3e3a72958022468c88981e0be5782be1e1145ce2c3c6fde16ded5363",
		},
		{
			"f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff3f",
			"9cdb525555555555555555555555555555555555555555555555555555555555",
		},
	} {
		rep, key := bytes32(t, v.rep), x25519.PublicKey(bytes32(t, v.key))
		for top := range 4 {
			rep[31] = rep[31]&0x3f | byte(top)<<6
			if got := elligator2.Decode(&rep); got != key {
				t.Errorf("Decode(%x) = %x, want %x", rep, got, key)
			}
		}
	}
}

func TestEncodeUsesItsRandomBits(t *testing.T) {
	pair, _ := elligator2.Generate()
	seen := map[[32]byte]bool{}
	for random := range 256 {
		rep, ok := elligator2.Encode(&pair.Public, byte(random))
		if !ok || rep[31]&0xc0 != byte(random)&0xc0 {
			t.Fatalf("Encode with %#x = %x, %v", random, rep, ok)
		}
		if got := elligator2.Decode(&rep); got != pair.Public {
			t.Fatalf("Decode(%x) = %x, want %x", rep, got, pair.Public)
		}
		seen[rep] = true
	}
	if len(seen) != 8 {
		t.Errorf("%d representatives, want 2 roots with 4 tops each", len(seen))
	}
}

func TestGenerateMakesWorkingKeys(t *testing.T) {
	tops := map[byte]bool{}
	for range 200 {
		pair, rep := elligator2.Generate()
		if want := x25519.FromPrivate(pair.Private); pair != want {
			t.Fatalf("public key %x, want %x", pair.Public, want.Public)
		}
		if got := elligator2.Decode(&rep); got != pair.Public {
			t.Fatalf("Decode(%x) = %x, want %x", rep, got, pair.Public)
		}
		tops[rep[31]>>6] = true
	}
	if len(tops) != 4 {
		t.Errorf("the two top bits took %d of 4 values", len(tops))
	}
}

// Any bytes decode, to a key that encodes back to the same number.
func FuzzDecode(f *testing.F) {
	var random [32]byte
	rand.Read(random[:])
	for _, seed := range [][32]byte{
		{}, {1}, random,
		bytes32(f, "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff3f"),
		bytes32(f, "f7ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff3f"),
		bytes32(f, "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
	} {
		f.Add(seed[:])
	}
	half := new(big.Int).Rsh(prime, 1)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != 32 {
			return
		}
		rep := [32]byte(b)
		key := elligator2.Decode(&rep)
		if key == (x25519.PublicKey{}) {
			return // the one point of no use in a Diffie-Hellman
		}
		if reduced(key) != key {
			t.Fatalf("Decode(%x) = %x, which is not reduced", rep, key)
		}
		number := rep
		number[31] &= 0x3f
		want := number
		slices.Reverse(want[:])
		if n := new(big.Int).SetBytes(want[:]); n.Cmp(half) > 0 { // the peer sent the larger of r and -r
			n.Sub(prime, n).FillBytes(want[:])
		}
		slices.Reverse(want[:])
		low, ok := elligator2.Encode(&key, rep[31]&0xc0)
		high, okHigh := elligator2.Encode(&key, rep[31]&0xc0|1)
		want[31] |= rep[31] & 0xc0
		if !ok || !okHigh || low != want && high != want {
			t.Fatalf("Decode(%x) = %x, which encodes to %x or %x", rep, key, low, high)
		}
	})
}

func BenchmarkGenerate(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		elligator2.Generate()
	}
}

func BenchmarkEncode(b *testing.B) {
	pair, _ := elligator2.Generate()
	b.ReportAllocs()
	for b.Loop() {
		elligator2.Encode(&pair.Public, 0)
	}
}

func BenchmarkDecode(b *testing.B) {
	_, rep := elligator2.Generate()
	b.ReportAllocs()
	for b.Loop() {
		elligator2.Decode(&rep)
	}
}
