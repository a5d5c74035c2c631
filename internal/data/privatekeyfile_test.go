package data_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/signature"
	"allium/internal/wire"
)

func TestPrivateKeysSurviveTheirFile(t *testing.T) {
	for _, kind := range destinationTypes {
		keys, err := data.GeneratePrivateKeys(kind)
		if err != nil {
			t.Fatal(err)
		}
		b := keys.Append(nil)
		if want := len(keys.Destination.Bytes()) + 256 + kind.PrivateKeyLen(); len(b) != want {
			t.Errorf("%v: %d bytes instead of %d", kind, len(b), want)
		}
		again, err := data.ParsePrivateKeys(b)
		if err != nil {
			t.Errorf("%v: %v", kind, err)
			continue
		}
		if !again.Destination.Equal(&keys.Destination.KeysAndCert) || !bytes.Equal(again.Append(nil), b) || again.Offline != nil {
			t.Errorf("%v: other keys", kind)
		}
		clear(b)
		if message := []byte("hello"); !keys.Destination.Verify(message, again.Signing.Sign(message)) {
			t.Errorf("%v: wrong signature", kind)
		}
	}
}

func TestOfflinePrivateKeysSurviveTheirFile(t *testing.T) {
	keys, err := data.GeneratePrivateKeys(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	transient := signingKey(t, signature.ECDSAP256)
	o, err := data.NewOfflineSignature(keys.Signing, now.Add(time.Hour), transient.Type(), transient.Public())
	if err != nil {
		t.Fatal(err)
	}
	keys.Offline, keys.Signing = &o, transient
	again, err := data.ParsePrivateKeysBase64(keys.Base64())
	if err != nil {
		t.Fatal(err)
	}
	if again.Base64() != keys.Base64() || again.Signing.Type() != signature.ECDSAP256 || !again.Destination.VerifyOffline(again.Offline, now) {
		t.Error("other keys")
	}
}

func TestPrivateKeysReject(t *testing.T) {
	keys, err := data.GeneratePrivateKeys(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	good := keys.Append(nil)
	other := bytes.Clone(good)
	other[len(other)-1] ^= 1
	transient := signingKey(t, signature.Ed25519)
	forged, err := data.NewOfflineSignature(transient, now, transient.Type(), transient.Public())
	if err != nil {
		t.Fatal(err)
	}
	forgedKeys := *keys
	forgedKeys.Offline, forgedKeys.Signing = &forged, transient
	unknown := bytes.Clone(good)
	unknown[390] = 99 // the type of the encryption key
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"another key":             {other, data.ErrKeyMismatch},
		"bytes after the end":     {append(bytes.Clone(good), 0), wire.ErrTrailing},
		"a short end":             {good[:len(good)-1], wire.ErrShort},
		"a destination only":      {good[:391], wire.ErrShort},
		"forged offline blocks":   {forgedKeys.Append(nil), data.ErrSignature},
		"zeros without a block":   {append(bytes.Clone(good[:len(good)-32]), make([]byte, 32)...), wire.ErrShort},
		"unknown encryption keys": {unknown, data.ErrUnsupported},
		"DSA":                     {make([]byte, 387+256+20), wire.ErrShort},
		"DSA with a key":          {append(make([]byte, 387+256), bytes.Repeat([]byte{1}, 20)...), signature.ErrType},
	} {
		if _, err := data.ParsePrivateKeys(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRouterKeysSurviveTheirFile(t *testing.T) {
	keys := routerKeys(t)
	b := keys.Append(nil)
	again, err := data.ParseRouterKeys(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) != 391+32+32 || !bytes.Equal(again.Append(nil), b) || again.Encryption != keys.Encryption || again.Identity.Hash() != keys.Identity.Hash() {
		t.Error("other keys")
	}
	encryption := bytes.Clone(b)
	encryption[400] ^= 1
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"another signing key":    {append(b[:len(b)-1:len(b)-1], b[len(b)-1]^1), data.ErrKeyMismatch},
		"another encryption key": {encryption, data.ErrKeyMismatch},
		"bytes after the end":    {append(bytes.Clone(b), 0), wire.ErrTrailing},
		"ElGamal":                {make([]byte, 387+32+20), data.ErrUnsupported},
		"half":                   {b[:400], wire.ErrShort},
	} {
		if _, err := data.ParseRouterKeys(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPrivateKeysDoNotPrint(t *testing.T) {
	keys, err := data.GeneratePrivateKeys(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	router := routerKeys(t)
	secrets := [][]byte{keys.Signing.Bytes(), router.Signing.Bytes(), router.Encryption.Private[:]}
	text := fmt.Sprint(keys, router) + fmt.Sprintf("%v %+v %x", keys, router, router)
	for i, s := range secrets {
		if strings.Contains(text, fmt.Sprint(s)) || strings.Contains(text, fmt.Sprintf("%x", s)) {
			t.Errorf("%d does: %s", i, text)
		}
	}
}

func FuzzPrivateKeys(f *testing.F) {
	for _, fields := range javaVectors(f, "privatekeys", 1) {
		f.Add(decode(f, fields[0]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := data.ParsePrivateKeys(b)
		if err == nil && len(k.Append(nil)) != len(b) {
			t.Errorf("%x became %x", b, k.Append(nil))
		}
	})
}

func FuzzRouterKeys(f *testing.F) {
	f.Add(routerKeys(f).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := data.ParseRouterKeys(b)
		if err == nil && len(k.Append(nil)) != len(b) {
			t.Errorf("%x became %x", b, k.Append(nil))
		}
	})
}
