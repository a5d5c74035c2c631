package data_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"allium/internal/data"
	"allium/internal/signature"
	"allium/internal/wire"
	"allium/internal/x25519"
)

func signingKey(tb testing.TB, t signature.Type) signature.PrivateKey {
	tb.Helper()
	key, err := signature.Generate(t)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func destination(tb testing.TB, key signature.PrivateKey) *data.Destination {
	tb.Helper()
	d, err := data.NewDestination(key)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

var destinationTypes = []signature.Type{signature.Ed25519, signature.RedDSA, signature.ECDSAP256, signature.ECDSAP384, signature.ECDSAP521}

func TestDestinationsOfAllTypesSurviveParsing(t *testing.T) {
	for _, kind := range destinationTypes {
		key := signingKey(t, kind)
		d := destination(t, key)
		again, err := data.ParseDestination(d.Bytes())
		if err != nil {
			t.Errorf("%v: %v", kind, err)
			continue
		}
		if !again.Equal(&d.KeysAndCert) || again.Hash() != data.HashOf(d.Bytes()) || again.SigningType() != kind {
			t.Errorf("%v: another destination", kind)
		}
		if !bytes.Equal(again.SigningKey(), key.Public()) {
			t.Errorf("%v: another key", kind)
		}
		if message := []byte("hello"); !again.Verify(message, key.Sign(message)) || again.Verify([]byte("hullo"), key.Sign(message)) {
			t.Errorf("%v: signatures", kind)
		}
		if again.CryptoType() != data.ElGamal { // Java refuses others
			t.Errorf("%v: encryption type %d", kind, again.CryptoType())
		}
		if text, err := data.ParseDestinationBase64(d.Base64()); err != nil || !text.Equal(&d.KeysAndCert) {
			t.Errorf("%v: base64: %v", kind, err)
		}
	}
}

func TestPaddingRepeats32Bytes(t *testing.T) {
	keys := routerKeys(t)
	for name, c := range map[string]struct {
		b       []byte
		padding int
	}{
		"router":      {keys.Identity.Bytes()[32:], 320},
		"destination": {destination(t, signingKey(t, signature.Ed25519)).Bytes(), 352},
	} {
		for i := range c.padding - 32 {
			if c.b[i] != c.b[i+32] {
				t.Fatalf("%s: byte %d does not repeat", name, i)
			}
		}
		if bytes.Equal(c.b[:16], c.b[16:32]) {
			t.Errorf("%s: not random", name)
		}
	}
	if n := len(keys.Identity.Bytes()); n != 391 {
		t.Errorf("a router of %d bytes", n)
	}
	if key, ok := keys.Identity.X25519(); !ok || key != keys.Encryption.Public {
		t.Error("another encryption key")
	}
}

func TestOldDestinationsHaveNullCertificates(t *testing.T) {
	d, err := data.ParseDestination(make([]byte, 387))
	if err != nil {
		t.Fatal(err)
	}
	if d.SigningType() != signature.DSASHA1 || d.CryptoType() != data.ElGamal || len(d.SigningKey()) != 128 || len(d.CryptoKey()) != 256 {
		t.Errorf("types %v and %d", d.SigningType(), d.CryptoType())
	}
}

func TestIdentityRejects(t *testing.T) {
	keys := make([]byte, 384)
	for name, c := range map[string]struct {
		certificate string
		want        error
	}{
		"certificate types of old":     {"\x01\x00\x00", data.ErrUnsupported},
		"null certificates with bytes": {"\x00\x00\x01x", data.ErrMalformed},
		"key certificates too short":   {"\x05\x00\x03\x00\x07\x00", data.ErrMalformed},
		"key certificates too long":    {"\x05\x00\x05\x00\x07\x00\x04x", data.ErrMalformed},
		"missing excess bytes":         {"\x05\x00\x04\x00\x03\x00\x00", data.ErrMalformed},
		"unknown signing types":        {"\x05\x00\x04\x00\x0c\x00\x04", data.ErrUnsupported},
		"signing types of files":       {"\x05\x00\x04\x00\x08\x00\x04", data.ErrUnsupported},
		"certificates cut short":       {"\x05\x00\x04\x00\x07\x00", wire.ErrShort},
		"bytes after the end":          {"\x00\x00\x00x", wire.ErrTrailing},
		"missing certificates":         {"", wire.ErrShort},
	} {
		if _, err := data.ParseDestination(append(keys, c.certificate...)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := data.NewRouterIdentity(signingKey(t, signature.RedDSA), x25519.PublicKey{}); !errors.Is(err, data.ErrUnsupported) {
		t.Errorf("a router that signs with RedDSA: %v", err)
	}
}

func TestDestinationsOfTheAddressBookParse(t *testing.T) {
	text, err := os.ReadFile(filepath.FromSlash("../../../shared/data/naming/hosts.txt"))
	if err != nil {
		text = []byte("made.up.i2p=" + destination(t, signingKey(t, signature.ECDSAP256)).Base64() + "#!a=b\n")
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		value, _, _ = strings.Cut(value, "#")
		if d, err := data.ParseDestinationBase64(value); err != nil || d.Base64() != value {
			t.Errorf("%s: %v", name, err)
		}
		n++
	}
	if n == 0 {
		t.Error("no destinations")
	}
}

func FuzzIdentity(f *testing.F) {
	f.Add(make([]byte, 387))
	f.Add(append(make([]byte, 384), "\x05\x00\x04\x00\x07\x00\x04"...))
	f.Add(append(make([]byte, 384), "\x05\x00\x08\x00\x03\x00\x00abcd"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := data.ParseRouterIdentity(b)
		if err != nil {
			return
		}
		if !bytes.Equal(id.Bytes(), b) || len(id.SigningKey()) != id.SigningType().PublicKeyLen() {
			t.Errorf("%x", b)
		}
		if id.CryptoKey() != nil && !bytes.Equal(rebuildIdentity(&id.KeysAndCert), b) {
			t.Errorf("%x became %x", b, rebuildIdentity(&id.KeysAndCert))
		}
		id.Verify(b, make([]byte, 64))
	})
}
