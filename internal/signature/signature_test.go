package signature_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"allium/internal/signature"
)

// records reads a file of testdata: groups of name=hex lines, a new one
// wherever the name first comes again.
func records(t testing.TB, path, first string) (all []map[string][]byte) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(file)) {
		name, value, found := strings.Cut(strings.TrimSpace(line), "=")
		if !found {
			continue
		}
		if name == first || all == nil {
			all = append(all, map[string][]byte{})
		}
		if name == "type" {
			n, err := strconv.Atoi(value)
			if err != nil {
				t.Fatal(err)
			}
			value = fmt.Sprintf("%02x", n)
		}
		all[len(all)-1][name] = unhex(t, value)
	}
	return all
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func openssl(t testing.TB) (message []byte, keys []map[string][]byte) {
	all := records(t, "testdata/openssl.txt", "type")
	return all[0]["message"], all[1:]
}

func TestVerifyAcceptsSignaturesOfOthers(t *testing.T) {
	message, keys := openssl(t)
	if len(keys) != 8 {
		t.Fatalf("%d records, want 8", len(keys))
	}
	for _, k := range keys {
		kind := signature.Type(k["type"][0])
		if refused, ok := k["refused"]; ok {
			if signature.Verify(kind, k["public"], message, refused) {
				t.Errorf("%v: accepted what must be refused", kind)
			}
			continue
		}
		if !signature.Verify(kind, k["public"], message, k["signature"]) {
			t.Errorf("%v: refused", kind)
		}
	}
}

func TestVerifyRefusesWhatWasChanged(t *testing.T) {
	message, keys := openssl(t)
	for _, k := range keys {
		kind, pub, sig := signature.Type(k["type"][0]), k["public"], k["signature"]
		if sig == nil {
			continue
		}
		if signature.Verify(kind, pub, message[1:], sig) {
			t.Errorf("%v: accepted another message", kind)
		}
		for _, field := range [][]byte{pub, sig} {
			for _, i := range []int{0, len(field) / 2, len(field) - 1} {
				field[i] ^= 1
				if signature.Verify(kind, pub, message, sig) {
					t.Errorf("%v: accepted with byte %d of %d changed", kind, i, len(field))
				}
				field[i] ^= 1
			}
		}
		if signature.Verify(kind, pub, message, sig[1:]) || signature.Verify(kind, pub[1:], message, sig) ||
			signature.Verify(kind, append(pub, 0), message, sig) || signature.Verify(kind, pub, message, append(sig, 0)) {
			t.Errorf("%v: accepted a field of wrong length", kind)
		}
		if signature.Verify(kind, pub, message, make([]byte, len(sig))) {
			t.Errorf("%v: accepted zeros", kind)
		}
	}
}

// RFC 8032, 7.3.
func TestVerifyEd25519phMatchesRFC8032(t *testing.T) {
	pub := unhex(t, "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf")
	sig := unhex(t, "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41"+
		"31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406")
	if !signature.Verify(signature.Ed25519ph, pub, []byte("abc"), sig) {
		t.Error("refused")
	}
	if signature.Verify(signature.Ed25519, pub, []byte("abc"), sig) {
		t.Error("accepted as Ed25519")
	}
}

// RFC 8032, 7.1, tests 1 to 3.
func TestEd25519MatchesRFC8032(t *testing.T) {
	for _, v := range []struct{ seed, public, message, sig string }{
		{
			"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
			"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
			"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
		},
		{
			"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
			"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
			"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
		},
		{
			"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
			"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
			"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
		},
	} {
		key, err := signature.NewPrivateKey(signature.Ed25519, unhex(t, v.seed))
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(key.Public()); got != v.public {
			t.Errorf("public key %s, want %s", got, v.public)
		}
		sig := key.Sign(unhex(t, v.message))
		if got := hex.EncodeToString(sig); got != v.sig {
			t.Errorf("signature %s, want %s", got, v.sig)
		}
		if !signature.Verify(signature.Ed25519, key.Public(), unhex(t, v.message), sig) {
			t.Error("own signature refused")
		}
	}
}

var signing = []signature.Type{
	signature.Ed25519, signature.RedDSA, signature.ECDSAP256, signature.ECDSAP384, signature.ECDSAP521,
}

func TestPrivateKeysSignAndSurviveTheirBytes(t *testing.T) {
	message := []byte("a RouterInfo, say")
	for _, kind := range signing {
		key, err := signature.Generate(kind)
		if err != nil {
			t.Fatal(err)
		}
		if key.Type() != kind || len(key.Public()) != kind.PublicKeyLen() || len(key.Bytes()) != kind.PrivateKeyLen() {
			t.Fatalf("%v: type %v, %d public and %d private bytes", kind, key.Type(), len(key.Public()), len(key.Bytes()))
		}
		again, err := signature.NewPrivateKey(kind, key.Bytes())
		if err != nil || !bytes.Equal(again.Public(), key.Public()) || !bytes.Equal(again.Bytes(), key.Bytes()) {
			t.Fatalf("%v: read again as another key, %v", kind, err)
		}
		for range 20 {
			sig := again.Sign(message)
			if len(sig) != kind.SignatureLen() || !signature.Verify(kind, key.Public(), message, sig) {
				t.Fatalf("%v: own signature %x refused", kind, sig)
			}
		}
		other, err := signature.Generate(kind)
		if err != nil || bytes.Equal(other.Bytes(), key.Bytes()) {
			t.Errorf("%v: generated twice the same, %v", kind, err)
		}
	}
}

func TestNewPrivateKeyDerivesPublicKey(t *testing.T) {
	_, keys := openssl(t)
	for _, k := range keys {
		if k["secret"] == nil {
			continue
		}
		kind := signature.Type(k["type"][0])
		key, err := signature.NewPrivateKey(kind, k["secret"])
		if err != nil || !bytes.Equal(key.Public(), k["public"]) {
			t.Errorf("%v: %x, %v, want %x", kind, key.Public(), err, k["public"])
		}
	}
}

func TestPrivateKeysRefuseBadBytesAndTypes(t *testing.T) {
	for _, kind := range signing {
		for _, b := range [][]byte{nil, make([]byte, kind.PrivateKeyLen()-1), make([]byte, kind.PrivateKeyLen()+1)} {
			if _, err := signature.NewPrivateKey(kind, b); !errors.Is(err, signature.ErrKey) {
				t.Errorf("%v of %d bytes: %v", kind, len(b), err)
			}
		}
		if kind == signature.Ed25519 {
			continue // any 32 bytes are a seed
		}
		if _, err := signature.NewPrivateKey(kind, make([]byte, kind.PrivateKeyLen())); !errors.Is(err, signature.ErrKey) {
			t.Errorf("%v of zeros: %v", kind, err)
		}
	}
	for _, kind := range []signature.Type{signature.DSASHA1, signature.RSA4096, signature.Ed25519ph, 9, 12, 0xffff} {
		if _, err := signature.Generate(kind); !errors.Is(err, signature.ErrType) {
			t.Errorf("Generate of %v: %v", kind, err)
		}
		if _, err := signature.NewPrivateKey(kind, make([]byte, kind.PrivateKeyLen())); !errors.Is(err, signature.ErrType) {
			t.Errorf("NewPrivateKey of %v: %v", kind, err)
		}
	}
}

func TestUnknownTypesHaveNoLengthsAndVerifyNothing(t *testing.T) {
	for _, kind := range []signature.Type{9, 10, 12, 20, 0xffff} {
		if kind.Known() || kind.PublicKeyLen() != 0 || kind.SignatureLen() != 0 || kind.PrivateKeyLen() != 0 {
			t.Errorf("%v is known", kind)
		}
		if signature.Verify(kind, nil, nil, nil) {
			t.Errorf("%v verified", kind)
		}
	}
}

func TestPrivateKeyDoesNotPrint(t *testing.T) {
	key, err := signature.NewPrivateKey(signature.Ed25519, bytes.Repeat([]byte{0xab}, 32))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{fmt.Sprint(key), fmt.Sprintf("%+v", key), key.LogValue().String()} {
		if strings.Contains(s, "171 171") || strings.Contains(s, "abab") {
			t.Errorf("private key printed: %s", s)
		}
	}
}

// No bytes of a peer may panic, whatever the type says they are.
func FuzzVerify(f *testing.F) {
	message, keys := openssl(f)
	for _, k := range keys {
		if k["signature"] != nil {
			f.Add(uint16(k["type"][0]), k["public"], message, k["signature"])
		}
	}
	f.Add(uint16(6), make([]byte, 512), message, make([]byte, 512))
	f.Fuzz(func(t *testing.T, kind uint16, pub, message, sig []byte) {
		signature.Verify(signature.Type(kind), pub, message, sig)
	})
}

func BenchmarkVerifyEd25519(b *testing.B) {
	key, err := signature.Generate(signature.Ed25519)
	if err != nil {
		b.Fatal(err)
	}
	message := make([]byte, 700) // about a RouterInfo
	sig := key.Sign(message)
	b.ReportAllocs()
	for b.Loop() {
		if !signature.Verify(signature.Ed25519, key.Public(), message, sig) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkSignEd25519(b *testing.B) {
	key, err := signature.Generate(signature.Ed25519)
	if err != nil {
		b.Fatal(err)
	}
	message := make([]byte, 700)
	b.ReportAllocs()
	for b.Loop() {
		key.Sign(message)
	}
}
