package su3_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"allium/internal/su3"
)

func TestACertificateMakesASigner(t *testing.T) {
	text, err := su3.NewCertificate("test@mail.i2p", signing(), now.Add(-time.Hour), now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	s, err := su3.ParseSigner(text)
	if err != nil {
		t.Fatal(err)
	}
	want := trusted()[0]
	if s.ID != want.ID || s.ContentType != su3.Reseed || !bytes.Equal(s.Key, want.Key) ||
		!s.NotBefore.Equal(want.NotBefore) || !s.NotAfter.Equal(want.NotAfter) {
		t.Errorf("%+v", s)
	}
	if err := accept(sign(t, sample()), []su3.Signer{s}); err != nil {
		t.Error(err)
	}
}

// TestRealCertificatesMakeTheSignersThatAreBuiltIn reads certificates that lie
// outside the module and may be missing.
func TestRealCertificatesMakeTheSignersThatAreBuiltIn(t *testing.T) {
	files, err := filepath.Glob("../../../shared/data/certificates/reseed/*.crt")
	if err != nil || len(files) == 0 {
		t.Skip("no certificates here")
	}
	built := map[string]su3.Signer{}
	for _, s := range su3.ReseedSigners() {
		built[s.ID] = s
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := su3.ParseSigner(text)
		if err != nil || !bytes.Equal(s.Key, built[s.ID].Key) || !s.NotAfter.Equal(built[s.ID].NotAfter) {
			t.Errorf("%s: %s, %v", file, s.ID, err)
		}
	}
}

func TestOtherKeysAndTextsAreNoCertificates(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := su3.NewCertificate("test@mail.i2p", other, now, now); !errors.Is(err, su3.ErrKey) {
		t.Errorf("another kind of key: %v", err)
	}
	for _, id := range []string{"", strings.Repeat("x", 41)} {
		if _, err := su3.NewCertificate(id, signing(), now, now); !errors.Is(err, su3.ErrCertificate) {
			t.Errorf("id %q: %v", id, err)
		}
	}
	for _, text := range []string{"", "hello", "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"} {
		if _, err := su3.ParseSigner([]byte(text)); !errors.Is(err, su3.ErrCertificate) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParseSigner(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := su3.ParseSigner(text)
		if (err == nil) != (s.ID != "") || err != nil && !errors.Is(err, su3.ErrCertificate) {
			t.Fatalf("%+v, %v", s, err)
		}
	})
}
