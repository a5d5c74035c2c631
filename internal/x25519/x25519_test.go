package x25519_test

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"fmt"
	"testing"

	"allium/internal/x25519"
)

func key(t testing.TB, s string) (k [32]byte) {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(k) {
		t.Fatalf("bad hex %q", s)
	}
	copy(k[:], b)
	return k
}

// RFC 7748, 5.2.
func TestSharedMatchesRFC7748(t *testing.T) {
	for _, v := range []struct{ scalar, u, want string }{
		{
			"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
			"e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
			"c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
		},
		{ // the top bit of u is set and ignored
			"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
			"e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
			"95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
		},
	} {
		private, public := x25519.PrivateKey(key(t, v.scalar)), x25519.PublicKey(key(t, v.u))
		got, err := x25519.Shared(&private, &public)
		if err != nil || got != key(t, v.want) {
			t.Errorf("Shared(%s, %s) = %x, %v, want %s", v.scalar, v.u, got, err, v.want)
		}
	}
}

// RFC 7748, 5.2, the iterated test.
func TestSharedIteratedMatchesRFC7748(t *testing.T) {
	k := x25519.PrivateKey{9}
	u := x25519.PublicKey{9}
	for i := 1; i <= 1000; i++ {
		r, err := x25519.Shared(&k, &u)
		if err != nil {
			t.Fatal(err)
		}
		k, u = x25519.PrivateKey(r), x25519.PublicKey(k)
		switch i {
		case 1:
			if k != key(t, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079") {
				t.Fatalf("after 1: %x", k[:])
			}
		case 1000:
			if k != key(t, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51") {
				t.Fatalf("after 1000: %x", k[:])
			}
		}
	}
}

// RFC 7748, 6.1.
func TestPairsAgreeAsInRFC7748(t *testing.T) {
	alice := x25519.FromPrivate(key(t, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"))
	bob := x25519.FromPrivate(key(t, "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"))
	if want := key(t, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"); alice.Public != want {
		t.Errorf("Alice's public key is %x, want %x", alice.Public, want)
	}
	if want := key(t, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"); bob.Public != want {
		t.Errorf("Bob's public key is %x, want %x", bob.Public, want)
	}
	want := key(t, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
	if got, err := x25519.Shared(&alice.Private, &bob.Public); err != nil || got != want {
		t.Errorf("Alice's secret is %x, %v, want %x", got, err, want)
	}
	if got, err := x25519.Shared(&bob.Private, &alice.Public); err != nil || got != want {
		t.Errorf("Bob's secret is %x, %v, want %x", got, err, want)
	}
}

func TestSharedMatchesStandardLibrary(t *testing.T) {
	for range 200 {
		a, b := x25519.Generate(), x25519.Generate()
		private, err := ecdh.X25519().NewPrivateKey(a.Private[:])
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(private.PublicKey().Bytes(), a.Public[:]) {
			t.Fatalf("public key of %x: %x, want %x", a.Private[:], a.Public, private.PublicKey().Bytes())
		}
		public, err := ecdh.X25519().NewPublicKey(b.Public[:])
		if err != nil {
			t.Fatal(err)
		}
		want, err := private.ECDH(public)
		if err != nil {
			t.Fatal(err)
		}
		got, err := x25519.Shared(&a.Private, &b.Public)
		if err != nil || !bytes.Equal(got[:], want) {
			t.Fatalf("Shared = %x, %v, want %x", got, err, want)
		}
		back, err := x25519.Shared(&b.Private, &a.Public)
		if err != nil || back != got {
			t.Fatalf("the other side got %x, %v, want %x", back, err, got)
		}
	}
}

// The u-coordinates of small order, with and without the ignored top bit, and
// those not reduced modulo p.
func TestSharedRefusesLowOrderPoints(t *testing.T) {
	private := x25519.Generate().Private
	for _, s := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	} {
		public := x25519.PublicKey(key(t, s))
		if secret, err := x25519.Shared(&private, &public); err != x25519.ErrLowOrder || secret != [32]byte{} {
			t.Errorf("Shared with %s = %x, %v, want zero and ErrLowOrder", s, secret, err)
		}
	}
}

func TestPrivateKeyDoesNotPrint(t *testing.T) {
	pair := x25519.FromPrivate(x25519.PrivateKey{0xab, 0xcd, 0xef})
	for _, s := range []string{fmt.Sprint(pair.Private), fmt.Sprintf("%+v", pair), pair.Private.LogValue().String()} {
		if bytes.Contains([]byte(s), []byte("171 205 239")) {
			t.Errorf("private key printed: %s", s)
		}
	}
}

func TestOperationsDoNotAllocate(t *testing.T) {
	a, b := x25519.Generate(), x25519.Generate()
	n := testing.AllocsPerRun(100, func() {
		if _, err := x25519.Shared(&a.Private, &b.Public); err != nil {
			t.Fatal(err)
		}
		a = x25519.FromPrivate(a.Private)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkGenerate(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		x25519.Generate()
	}
}

func BenchmarkShared(b *testing.B) {
	b.ReportAllocs()
	own, peer := x25519.Generate(), x25519.Generate()
	for b.Loop() {
		if _, err := x25519.Shared(&own.Private, &peer.Public); err != nil {
			b.Fatal(err)
		}
	}
}
