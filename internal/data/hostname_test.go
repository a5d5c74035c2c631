package data_test

import (
	"errors"
	"strings"
	"testing"

	"allium/internal/data"
	"allium/internal/signature"
)

// b33Example is the key of bytes 0 to 31 of type Ed25519, as another program
// wrote it.
const b33Example = "rj4s2aabaibqibiga4eascqlbqgq4dyqcejbgfavcylrqgi2dmob2hq7.b32.i2p"

func TestB32(t *testing.T) {
	h := data.HashOf([]byte("service"))
	host := h.B32()
	if len(host) != 60 || !strings.HasSuffix(host, ".b32.i2p") || data.IsB33(host) {
		t.Errorf("host %q", host)
	}
	for _, name := range []string{host, strings.ToUpper(host)} {
		if got, err := data.ParseB32(name); err != nil || got != h {
			t.Errorf("%q: %v, %v", name, got, err)
		}
	}
	letters := strings.TrimSuffix(host, ".b32.i2p")
	for _, name := range []string{letters, "a" + host, host[1:], "stats.i2p", letters + ".i2p", b33Example, letters[:51] + "9.b32.i2p", strings.Repeat("b", 52) + ".b32.i2p"} {
		if _, err := data.ParseB32(name); !errors.Is(err, data.ErrEncoding) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestB33(t *testing.T) {
	want := data.B33{Type: signature.Ed25519}
	for i := range want.Key {
		want.Key[i] = byte(i)
	}
	if got := want.String(); got != b33Example || !data.IsB33(got) {
		t.Errorf("%q instead of %q", got, b33Example)
	}
	for _, name := range []string{b33Example, strings.ToUpper(b33Example)} {
		if got, err := data.ParseB33(name); err != nil || got != want {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
	}
	for _, want := range []data.B33{
		{Type: signature.RedDSA, Key: want.Key, SecretRequired: true},
		{Type: signature.Ed25519, Key: want.Key, ClientAuth: true},
		{Type: signature.RedDSA, SecretRequired: true, ClientAuth: true},
	} {
		if got, err := data.ParseB33(want.String()); err != nil || got != want {
			t.Errorf("%+v: %+v, %v", want, got, err)
		}
	}
}

func TestB33RefusesDamagedNames(t *testing.T) {
	for i := range len(b33Example) - len(".b32.i2p") {
		name := []byte(b33Example)
		if name[i]++; name[i] == 'z'+1 || name[i] == '7'+1 {
			name[i] = 'a'
		}
		got, err := data.ParseB33(string(name))
		// 24 bits of checksum leave only few flags and types that pass.
		if err == nil {
			t.Errorf("%q: %+v", name, got)
		}
	}
	for _, name := range []string{"", ".b32.i2p", data.Hash{}.B32(), b33Example[1:], "aa" + b33Example, strings.TrimSuffix(b33Example, ".i2p")} {
		if got, err := data.ParseB33(name); err == nil {
			t.Errorf("%q: %+v", name, got)
		}
	}
}

func TestOnlySomeDestinationsHaveB33(t *testing.T) {
	key := signingKey(t, signature.Ed25519)
	a, err := destination(t, key).B33(true, false)
	if err != nil || a.Key != [32]byte(key.Public()) || !a.SecretRequired || a.ClientAuth {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := destination(t, signingKey(t, signature.ECDSAP256)).B33(false, false); !errors.Is(err, data.ErrUnsupported) {
		t.Errorf("P256: %v", err)
	}
}

func FuzzB33(f *testing.F) {
	f.Add(b33Example)
	f.Add(strings.ToUpper(b33Example))
	f.Add(data.Hash{}.B32())
	f.Fuzz(func(t *testing.T, name string) {
		if a, err := data.ParseB33(name); err == nil && a.String() != strings.ToLower(name) {
			t.Errorf("%q stands for %q as well", name, a)
		}
		if h, err := data.ParseB32(name); err == nil && h.B32() != strings.ToLower(name) {
			t.Errorf("%q stands for %q as well", name, h.B32())
		}
	})
}
