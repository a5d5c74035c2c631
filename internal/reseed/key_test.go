package reseed_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"allium/internal/reseed"
	"allium/internal/su3"
)

// TestAKeyIsMadeOnceAndSignsForItsOwner makes one, which takes some seconds.
func TestAKeyIsMadeOnceAndSignsForItsOwner(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sub", "key.pem")
	now := time.Now()
	made, err := reseed.LoadKey(file, "", now)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: not for its owner alone", st, err)
	}
	if !strings.HasSuffix(made.ID, "@allium") || strings.Contains(string(made.Certificate), "PRIVATE") {
		t.Errorf("signer %q\n%s", made.ID, made.Certificate)
	}
	loaded, err := reseed.LoadKey(file, made.ID, now)
	if err != nil || string(loaded.Certificate) != string(made.Certificate) {
		t.Fatal(err)
	}
	if _, err := reseed.LoadKey(file, "someone@else", now); !errors.Is(err, reseed.ErrKeyFile) {
		t.Errorf("the key of another: %v", err)
	}
	b, err := loaded.Sign(routers(0, 80, "good"), now)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := su3.ParseSigner(made.Certificate)
	if err != nil || signer.ID != made.ID || !signer.NotAfter.After(now.AddDate(5, 0, 0)) {
		t.Errorf("%+v, %v", signer, err)
	}
	var names []string
	err = reseed.Files(put(t, b, "x.su3"), now, []su3.Signer{signer}, func(by, name string, _ []byte) {
		names = append(names, by+" "+name)
	})
	if err != nil || len(names) != 80 || !strings.HasPrefix(names[0], made.ID+" routerInfo-") {
		t.Errorf("%d files, %v", len(names), err)
	}
	for _, text := range []string{"", "hello", string(made.Certificate)} {
		if _, err := reseed.LoadKey(put(t, []byte(text), "key.pem"), "", now); !errors.Is(err, reseed.ErrKeyFile) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}
