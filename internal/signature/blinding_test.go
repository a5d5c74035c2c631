package signature_test

import (
	"bytes"
	"errors"
	"math/big"
	"slices"
	"testing"

	"allium/internal/signature"
)

var order, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

// sum is a + b modulo the group order, 32 bytes little endian.
func sum(a, b []byte) []byte {
	number := func(b []byte) *big.Int {
		b = slices.Clone(b)
		slices.Reverse(b)
		return new(big.Int).SetBytes(b)
	}
	n := number(a)
	n.Add(n, number(b)).Mod(n, order)
	out := n.FillBytes(make([]byte, 32))
	slices.Reverse(out)
	return out
}

func TestBlindingMatchesSpecVectors(t *testing.T) {
	vectors := records(t, "testdata/blinding.txt", "edsk")
	if len(vectors) != 10 {
		t.Fatalf("%d vectors, want 10", len(vectors))
	}
	for i, v := range vectors {
		edKey, err := signature.NewPrivateKey(signature.Ed25519, v["edsk"])
		if err != nil {
			t.Fatal(err)
		}
		redKey, err := signature.NewPrivateKey(signature.RedDSA, v["sk"])
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(edKey.Public(), v["edpk"]) || !bytes.Equal(redKey.Public(), v["edpk"]) {
			t.Errorf("%d: public keys %x and %x, want %x", i, edKey.Public(), redKey.Public(), v["edpk"])
		}
		alpha := [32]byte(v["alpha"])
		for _, key := range []signature.PrivateKey{edKey, redKey} {
			blinded, err := signature.BlindPrivate(key, &alpha)
			if err != nil || blinded.Type() != signature.RedDSA || !bytes.Equal(blinded.Bytes(), v["rsk"]) {
				t.Errorf("%d: blinded %x, %v, want %x", i, blinded.Bytes(), err, v["rsk"])
			}
			if !bytes.Equal(blinded.Public(), v["rvk"]) {
				t.Errorf("%d: its public key %x, want %x", i, blinded.Public(), v["rvk"])
			}
		}
		public, err := signature.BlindPublic(v["edpk"], &alpha)
		if err != nil || !bytes.Equal(public, v["rvk"]) {
			t.Errorf("%d: blinded public key %x, %v, want %x", i, public, err, v["rvk"])
		}
	}
}

func TestBlindedKeyOfADaySigns(t *testing.T) {
	message := []byte("an encrypted LeaseSet")
	for _, kind := range []signature.Type{signature.Ed25519, signature.RedDSA} {
		key, err := signature.Generate(kind)
		if err != nil {
			t.Fatal(err)
		}
		alpha := signature.GenerateAlpha(key.Public(), kind, signature.RedDSA, "20260131", "")
		blinded, err := signature.BlindPrivate(key, &alpha)
		if err != nil {
			t.Fatal(err)
		}
		public, err := signature.BlindPublic(key.Public(), &alpha)
		if err != nil || !bytes.Equal(public, blinded.Public()) {
			t.Fatalf("%v: public key %x, %v, want %x", kind, public, err, blinded.Public())
		}
		one, two := blinded.Sign(message), blinded.Sign(message)
		if bytes.Equal(one, two) {
			t.Errorf("%v: signatures repeat", kind)
		}
		for _, verifier := range []signature.Type{signature.RedDSA, signature.Ed25519} {
			if !signature.Verify(verifier, public, message, one) || !signature.Verify(verifier, public, message, two) {
				t.Errorf("%v: blinded signature refused as %v", kind, verifier)
			}
		}
	}
}

// The numbers were computed from the specification with another language's
// libraries.
func TestGenerateAlphaMatchesIndependentComputation(t *testing.T) {
	pub := unhex(t, "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c")
	for _, v := range []struct {
		kind         signature.Type
		secret, want string
	}{
		{signature.Ed25519, "", "d0851d8c178804f21ac290267f9f5e6492a9197f2a6c796d320ffd7926b01b0f"},
		{signature.RedDSA, "hidden", "0e41d0689003e34a727e6384b196e829f0d08b9d1ffb0501d7d8aa3fefb59604"},
	} {
		alpha := signature.GenerateAlpha(pub, v.kind, signature.RedDSA, "20260131", v.secret)
		if !bytes.Equal(alpha[:], unhex(t, v.want)) {
			t.Errorf("%v with %q: %x, want %s", v.kind, v.secret, alpha, v.want)
		}
	}
}

func TestGenerateAlphaDependsOnAllItsInputs(t *testing.T) {
	pub := bytes.Repeat([]byte{7}, 32)
	seen := map[[32]byte]bool{}
	for _, alpha := range [][32]byte{
		signature.GenerateAlpha(pub, signature.Ed25519, signature.RedDSA, "20260131", ""),
		signature.GenerateAlpha(pub, signature.RedDSA, signature.RedDSA, "20260131", ""),
		signature.GenerateAlpha(pub, signature.Ed25519, signature.RedDSA, "20260201", ""),
		signature.GenerateAlpha(pub, signature.Ed25519, signature.RedDSA, "20260131", "secret"),
		signature.GenerateAlpha(pub[1:], signature.Ed25519, signature.RedDSA, "20260131", ""),
	} {
		if seen[alpha] {
			t.Errorf("%x twice", alpha)
		}
		seen[alpha] = true
		if !bytes.Equal(sum(alpha[:], nil), alpha[:]) {
			t.Errorf("%x is not less than the order", alpha)
		}
	}
}

func TestBlindingRefusesBadInput(t *testing.T) {
	key, err := signature.Generate(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	var large, small [32]byte
	for i := range large {
		large[i] = 0xff
	}
	if _, err := signature.BlindPrivate(key, &large); !errors.Is(err, signature.ErrKey) {
		t.Errorf("alpha beyond the order: %v", err)
	}
	if _, err := signature.BlindPublic(key.Public(), &large); !errors.Is(err, signature.ErrKey) {
		t.Errorf("alpha beyond the order: %v", err)
	}
	for _, pub := range [][]byte{nil, make([]byte, 31), append([]byte{2}, make([]byte, 31)...)} {
		if _, err := signature.BlindPublic(pub, &small); !errors.Is(err, signature.ErrKey) {
			t.Errorf("public key %x: %v", pub, err)
		}
	}
	p256, err := signature.Generate(signature.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signature.BlindPrivate(p256, &small); !errors.Is(err, signature.ErrType) {
		t.Errorf("ECDSA key: %v", err)
	}
}
