package noise_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"allium/internal/noise"
)

func TestInitialStatesMatchProtocolNames(t *testing.T) {
	for _, v := range []struct {
		name  string
		state noise.State // from the constructor, where there is one
		ck, h string      // their first 8 bytes
	}{
		{"Noise_XKaesobfse+hs2+hs3_25519_ChaChaPoly_SHA256", noise.NTCP2(), "72e842c545e18080", "49ff483fc404b9b2"},
		{"Noise_XKchaobfse+hs1+hs2+hs3_25519_ChaChaPoly_SHA256", noise.SSU2(), "b13722817423a8fd", "dc85e6af7b02650c"},
		{"Noise_IKelg2+hs2_25519_ChaChaPoly_SHA256", noise.Ratchet(), "4caf11ef2c8e3656", "9ccf852cc93bb950"},
		{"Noise_N_25519_ChaChaPoly_SHA256", noise.TunnelN(), hex.EncodeToString([]byte("Noise_N_")), "694d52445a27d9ad"},
		{"Noise_IKhfselg2_25519+MLKEM512_ChaChaPoly_SHA256", noise.State{}, "b08fb1739266c990", "958df66c95cea9f7"},
		{"Noise_IKhfselg2_25519+MLKEM768_ChaChaPoly_SHA256", noise.State{}, "3603902df9a22a5e", "154489bf30f0c977"},
		{"Noise_IKhfselg2_25519+MLKEM1024_ChaChaPoly_SHA256", noise.State{}, "86a53644c612d571", "420dc21c7b1861b7"},
		{"Noise_XKhfsaesobfse+hs2+hs3_25519+MLKEM768_ChaChaPoly_SHA256", noise.State{}, "b9c3445611cc80ec", "0bcd38afcfb7aaeb"},
		{"Noise_XKhfschaobfse+hs1+hs2+hs3_25519+MLKEM768_ChaChaPoly_SHA256", noise.State{}, "06458d7f4a0e53d3", "d6ae2015445f61a5"},
	} {
		s := noise.Initial(v.name, nil)
		if ck, h := hex.EncodeToString(s.CK[:8]), hex.EncodeToString(s.H[:8]); ck != v.ck || h != v.h {
			t.Errorf("%s: ck %s, h %s, want %s, %s", v.name, ck, h, v.ck, v.h)
		}
		if v.state != (noise.State{}) && v.state != s {
			t.Errorf("%s: the constructor's state is not that of the name", v.name)
		}
	}
}

func keyedState() noise.State {
	s := noise.NTCP2()
	s.MixKey([]byte("any secret will do"))
	return s
}

func TestStateWorksInPlace(t *testing.T) {
	plaintext := []byte("sixteen bytes and a few more")
	far, near := keyedState(), keyedState()
	want := far.EncryptAndHash([]byte("front"), plaintext)

	buffer := append(make([]byte, 0, 100), "front"...)
	copy(buffer[5:33], plaintext)
	got := near.EncryptAndHash(buffer, buffer[5:33])
	if !bytes.Equal(got, want) || near != far {
		t.Fatalf("in place %x, apart %x", got, want)
	}

	far, near = keyedState(), keyedState()
	if b, err := far.DecryptAndHash([]byte("front"), want[5:]); err != nil || string(b) != "front"+string(plaintext) {
		t.Fatalf("opened %q, %v", b, err)
	}
	if b, err := near.DecryptAndHash(got[5:5], got[5:]); err != nil || !bytes.Equal(b, plaintext) {
		t.Fatalf("opened in place %q, %v", b, err)
	}
	if near != far {
		t.Error("states differ after opening in place")
	}
}

func TestDecryptAndHashLeavesStateOnFailure(t *testing.T) {
	s := keyedState()
	sealed := s.EncryptAndHash(nil, []byte("payload"))
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		s := keyedState()
		if b, err := s.DecryptAndHash(nil, bad); err != noise.ErrAuthentication || b != nil || s != keyedState() {
			t.Fatalf("byte %d changed: %x, %v", i, b, err)
		}
	}
	for n := range noise.Overhead {
		s := keyedState()
		if _, err := s.DecryptAndHash(nil, sealed[:n]); err != noise.ErrAuthentication || s != keyedState() {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

// NTCP2 depends on it: padding of length zero must not be hashed.
func TestMixHashOfNothingChangesHash(t *testing.T) {
	s := noise.NTCP2()
	s.MixHash(nil)
	if s.H == noise.NTCP2().H {
		t.Error("hash unchanged")
	}
}
