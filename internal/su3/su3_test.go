package su3_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"math/big"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"allium/internal/signature"
	"allium/internal/su3"
)

// signing is a key to sign with, made once for all tests.
var signing = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 4096)
	if err != nil {
		panic(err)
	}
	return key
})

var now = time.Date(2025, 5, 1, 0, 0, 0, 0, time.UTC)

// trusted are signers who trust the key of signing.
func trusted() []su3.Signer {
	return []su3.Signer{{
		ID: "test@mail.i2p", ContentType: su3.Reseed, SignatureType: signature.RSA4096, Key: signing().N.Bytes(),
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}}
}

func sample() su3.File {
	return su3.File{FileType: su3.Zip, ContentType: su3.Reseed, Version: "1746057600", SignerID: "test@mail.i2p", Content: []byte("content")}
}

func sign(t testing.TB, f su3.File) []byte {
	t.Helper()
	b, err := su3.Sign(f, signing())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// accept parses and verifies a file.
func accept(b []byte, signers []su3.Signer) error {
	f, err := su3.Parse(b)
	if err != nil {
		return err
	}
	return f.Verify(now, signers)
}

// bundles are real files of reseed servers, and how many RouterInfos they hold.
var bundles = []struct {
	file, signer string
	made         time.Time
	entries      int
}{
	{"../../../shared/data/reseed/i2pseeds-diva.su3", "reseed@diva.exchange", time.Unix(1721306249, 0), 77},
	{"../../../shared/data/reseed/i2pseeds-r4sas.su3", "r4sas-reseed@mail.i2p", time.Unix(1745582702, 0), 75},
}

func TestRealBundlesVerify(t *testing.T) {
	for _, c := range bundles {
		b, err := os.ReadFile(c.file)
		if err != nil {
			t.Skip("no real bundles here")
		}
		f, err := su3.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if f.SignerID != c.signer || f.ContentType != su3.Reseed || f.FileType != su3.Zip {
			t.Errorf("%s: %+v", c.file, f)
		}
		if made, err := f.Time(); err != nil || !made.Equal(c.made) {
			t.Errorf("%s: made %v, %v", c.file, made, err)
		}
		if err := f.Verify(now, su3.ReseedSigners()); err != nil {
			t.Error(err)
		}
		entries, err := su3.Bundle(f.Content)
		if err != nil || len(entries) != c.entries {
			t.Errorf("%s: %d entries, %v", c.file, len(entries), err)
		}
		for i := 0; i < len(b); i += step(i, len(b)) {
			b[i] ^= 1
			if accept(b, su3.ReseedSigners()) == nil {
				t.Errorf("%s: byte %d may be changed", c.file, i)
			}
			b[i] ^= 1
		}
	}
}

// step goes through the header and the signature of a file byte by byte, and
// in great strides through what is between.
func step(at, length int) int {
	if at < 100 || at >= length-100 {
		return 1
	}
	return min(997, length-100-at)
}

func TestSignedFileReadsBack(t *testing.T) {
	want := sample()
	b := sign(t, want)
	f, err := su3.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Verify(now, trusted()); err != nil {
		t.Error(err)
	}
	if f.Version != want.Version || f.SignerID != want.SignerID || f.ContentType != want.ContentType ||
		!bytes.Equal(f.Content, want.Content) || len(f.Signature) != 512 {
		t.Errorf("got %+v", f)
	}
	want.Version = strings.Repeat("9", 255)
	if f, err = su3.Parse(sign(t, want)); err != nil || f.Version != want.Version {
		t.Errorf("long version: %v, %v", f, err)
	}
}

func TestEveryByteIsSigned(t *testing.T) {
	b := sign(t, sample())
	for i := range b {
		for _, change := range []byte{0x01, 0x80} {
			b[i] ^= change
			if accept(b, trusted()) == nil {
				t.Errorf("byte %d may be changed by %x", i, change)
			}
			b[i] ^= change
		}
	}
	if err := accept(b, trusted()); err != nil {
		t.Error(err)
	}
}

func TestVerifyTellsWhyNot(t *testing.T) {
	f, err := su3.Parse(sign(t, sample()))
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Clone(signing().N.Bytes())
	other[511] ^= 2
	for _, c := range []struct {
		name   string
		change func(*su3.Signer)
		want   error
	}{
		{"other signer", func(s *su3.Signer) { s.ID = "Test@mail.i2p" }, su3.ErrUnknownSigner},
		{"other content", func(s *su3.Signer) { s.ContentType = su3.News }, su3.ErrUnknownSigner},
		{"too early", func(s *su3.Signer) { s.NotBefore = now.Add(1) }, su3.ErrNotYetValid},
		{"too late", func(s *su3.Signer) { s.NotAfter = now.Add(-1) }, su3.ErrExpired},
		{"other key", func(s *su3.Signer) { s.Key = other }, su3.ErrSignature},
		{"no key", func(s *su3.Signer) { s.Key = nil }, su3.ErrSignature},
		{"other algorithm", func(s *su3.Signer) { s.SignatureType = signature.Ed25519ph }, su3.ErrSignature},
	} {
		signers := trusted()
		c.change(&signers[0])
		if err := f.Verify(now, signers); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		// A signer who has a new key beside the old one is believed.
		if err := f.Verify(now, append(signers, trusted()...)); err != nil {
			t.Errorf("%s and the right one: %v", c.name, err)
		}
	}
	if err := f.Verify(now, nil); !errors.Is(err, su3.ErrUnknownSigner) {
		t.Errorf("nobody trusted: %v", err)
	}
}

func TestParseRefusesWrongLengths(t *testing.T) {
	good := sign(t, sample())
	for name, change := range map[string]func(b []byte) []byte{
		"empty":            func([]byte) []byte { return nil },
		"header only":      func(b []byte) []byte { return b[:40] },
		"one byte missing": func(b []byte) []byte { return b[:len(b)-1] },
		"one byte more":    func(b []byte) []byte { return append(b, 0) },
		"magic":            func(b []byte) []byte { b[0] = 'i'; return b },
		"format":           func(b []byte) []byte { b[7] = 1; return b },
		"signature type":   func(b []byte) []byte { b[8], b[9] = 255, 255; return b },
		"no signature":     func(b []byte) []byte { copy(b[8:], []byte{255, 255, 0, 0}); return b },
		"short signature":  func(b []byte) []byte { b[10], b[11], b[22], b[23] = 0, 255, 1, 8; return b },
		"short version":    func(b []byte) []byte { b[13]--; b[15]++; return b },
		"no signer":        func(b []byte) []byte { b[13], b[15] = b[13]+b[15], 0; return b },
		"no content":       func(b []byte) []byte { b[15], b[23] = b[15]+b[23], 0; return b },
		"length overflows": func(b []byte) []byte { copy(b[16:], bytes.Repeat([]byte{255}, 8)); return b },
		// Here the room for the content is -1 bytes, which as 64 bits is the same.
		"no room at all":    func(b []byte) []byte { copy(b[16:], bytes.Repeat([]byte{255}, 8)); return b[:len(b)-8] },
		"length is negated": func(b []byte) []byte { copy(b[16:], []byte{128}); return b },
	} {
		if f, err := su3.Parse(change(bytes.Clone(good))); !errors.Is(err, su3.ErrFormat) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestTimeIsTheVersionInSeconds(t *testing.T) {
	if made, err := (&su3.File{Version: "1746057600"}).Time(); err != nil || !made.Equal(now) {
		t.Errorf("%v, %v", made, err)
	}
	for _, version := range []string{"", "0.9.67", "-1", "+1", "99999999999999"} {
		if made, err := (&su3.File{Version: version}).Time(); !errors.Is(err, su3.ErrNoTime) {
			t.Errorf("%q is %v", version, made)
		}
	}
}

func TestSignRefusesWhatNobodyCouldRead(t *testing.T) {
	for name, change := range map[string]func(f *su3.File){
		"no content":   func(f *su3.File) { f.Content = nil },
		"no signer":    func(f *su3.File) { f.SignerID = "" },
		"long signer":  func(f *su3.File) { f.SignerID = strings.Repeat("x", 256) },
		"long version": func(f *su3.File) { f.Version = strings.Repeat("1", 256) },
	} {
		f := sample()
		change(&f)
		if _, err := su3.Sign(f, signing()); !errors.Is(err, su3.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	small := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: big.NewInt(3233), E: 65537}}
	if _, err := su3.Sign(sample(), small); !errors.Is(err, su3.ErrKey) {
		t.Errorf("small key: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	header := append([]byte("I2Psu3\x00\x00\x00\x06\x02\x00\x00\x10\x00\x01"), make([]byte, 24+16)...)
	header[23], header[27] = 1, 3
	f.Add(append(header, make([]byte, 1+1+512)...))
	f.Add(header)
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := su3.Parse(b)
		if err != nil {
			if !errors.Is(err, su3.ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		if len(file.Content) == 0 || len(file.SignerID) == 0 || len(b) < 40+16+len(file.SignerID)+len(file.Content)+len(file.Signature) {
			t.Fatalf("%+v", file)
		}
		if file.Verify(now, su3.ReseedSigners()) == nil {
			t.Fatal("a forged file verifies")
		}
	})
}
