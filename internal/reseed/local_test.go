package reseed_test

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"allium/internal/data"
	"allium/internal/netdb"
	"allium/internal/reseed"
	"allium/internal/store"
	"allium/internal/su3"
)

// put writes a file for the test.
func put(t *testing.T, b []byte, path ...string) string {
	t.Helper()
	file := filepath.Join(append([]string{t.TempDir()}, path...)...)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestAFileGoesBeforeServers has the files a row: who signed them, if anybody,
// and whether servers are asked as well.
func TestAFileGoesBeforeServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.good(t, "server.test", "two", 100, 77)
		w.good(t, "single.test", "one", 0, 77)
		var archive bytes.Buffer
		z := zip.NewWriter(&archive)
		for _, f := range routers(0, 77, "good") {
			out, err := z.Create("netDb/" + f.Name)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = out.Write(f.Bytes)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		folder := t.TempDir()
		for _, f := range routers(0, 77, "good") {
			if err := os.WriteFile(filepath.Join(folder, f.Name), f.Bytes, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		forged := bundle(t, "one", time.Hour, routers(0, 77, "good"))
		forged[len(forged)-1] ^= 1
		w.files.URLs = []string{"https://server.test/"}
		for _, c := range []struct {
			file, signer string
			routers      int
			why          reseed.Reason
			servers      int
		}{
			{put(t, bundle(t, "one", time.Hour, routers(0, 77, "good")), "friend.su3"), "one@test", 77, "", 0},
			{put(t, bundle(t, "one", time.Hour, routers(0, 20, "good")), "few.su3"), "one@test", 20, "", 1},
			{put(t, archive.Bytes(), "seeds.zip"), "", 77, "", 0},
			{folder, "", 77, "", 0},
			{"https://single.test/i2pseeds.su3?netid=99", "one@test", 77, "", 0},
			{put(t, forged, "forged.su3"), "", 0, reseed.BadSignature, 1},
			{put(t, []byte(reseed.NoBundle), "text.zip"), "", 0, reseed.NoBundle, 1},
			{"nowhere.su3", "", 0, reseed.NoFile, 1},
		} {
			w.files.File = c.file
			w.router.took = map[string]string{}
			before := w.asked("server")
			r := w.reseeder(t)
			done := r.Once(t.Context(), nil)
			s := r.Status().Sources[0]
			if !done || s.Source != c.file || s.Routers != c.routers || s.Signer != c.signer || s.Why != c.why || w.asked("server")-before != c.servers {
				t.Errorf("%s: %+v, servers asked %d times", c.file, s, w.asked("server")-before)
			}
			if want := c.routers + 77*c.servers; w.router.len() != want {
				t.Errorf("%s: %d routers, want %d", c.file, w.router.len(), want)
			}
		}
	})
}

// TestRealBundlesFillANetDb takes bundles of real reseed servers at the time
// they were made. They lie outside the module and may be missing.
func TestRealBundlesFillANetDb(t *testing.T) {
	bundles, err := filepath.Glob("../../../shared/data/reseed/*.su3")
	if err != nil || len(bundles) == 0 {
		t.Skip("no bundles here")
	}
	for _, file := range bundles {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f, err := su3.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		made, err := f.Time()
		if err != nil {
			t.Fatal(err)
		}
		bucket, err := store.Memory().Bucket("netdb")
		if err != nil {
			t.Fatal(err)
		}
		db, err := netdb.New(netdb.Config{NetID: data.MainNet, MinVersion: "0.9.58"}, data.Hash{}, bucket)
		if err != nil {
			t.Fatal(err)
		}
		take := func(now time.Time) reseed.Taken {
			return reseed.TakenBy(db.Import(now, func(yield func(string, []byte) bool) {
				err := reseed.Files(file, now, su3.ReseedSigners(), func(signer, name string, b []byte) {
					if signer != f.SignerID {
						t.Errorf("%s is signed by %q", file, signer)
					}
					yield(name, b)
				})
				if err != nil {
					t.Error(err)
				}
			}))
		}
		if old := take(made.Add(60 * time.Hour)); old.Usable != 0 || old.Why != reseed.OldRouters {
			t.Errorf("%s: %+v after days", file, old)
		}
		if taken := take(made); taken.Usable < 50 || db.Len() != taken.Usable {
			t.Errorf("%s: %+v", file, taken)
		}
	}
}

func TestPublicServersAreOfDifferentSigners(t *testing.T) {
	var signers []string
	for _, s := range reseed.Servers() {
		known := slices.ContainsFunc(su3.ReseedSigners(), func(k su3.Signer) bool { return k.ID == s.Signer })
		if !known {
			t.Errorf("%s: the certificate of %s is not built in", s.URL, s.Signer)
		}
		if !slices.Contains(signers, s.Signer) {
			signers = append(signers, s.Signer)
		}
	}
	if len(signers) < 10 {
		t.Errorf("%d signers", len(signers))
	}
}

func FuzzUnpack(f *testing.F) {
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	for _, e := range routers(0, 2, "good") {
		out, err := z.Create(e.Name)
		if err != nil {
			f.Fatal(err)
		}
		_, _ = out.Write(e.Bytes)
	}
	if err := z.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(archive.Bytes())
	f.Add(bundle(f, "one", time.Hour, routers(0, 2, "good")))
	f.Add([]byte("I2Psu3"))
	f.Add([]byte("a router info"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = reseed.Unpack("a.dat", b, time.Now(), su3.ReseedSigners(), func(signer, _ string, found []byte) {
			if signer != "" {
				t.Fatal("a forged bundle verifies")
			}
			if len(found) > su3.MaxEntry+1 && len(found) != len(b) {
				t.Fatalf("%d bytes unpacked", len(found))
			}
		})
	})
}
