package netdb_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/netdb"
	"allium/internal/store"
	"allium/internal/x25519"
)

// How much is thrown at the database. TestFloodIsBounded has been seen to hold
// for a million and a hundred thousand.
const (
	floodMalformed = 60_000
	floodValid     = 6_000
	floodBound     = 500
)

// fakes are RouterInfos with all signatures in order, of routers that nobody
// runs. One key signs them all, which nothing forbids.
func fakes(t testing.TB, n int) func(yield func(*data.RouterInfo) bool) {
	p := newPeer(t)
	return func(yield func(*data.RouterInfo) bool) {
		for range n {
			identity, err := data.NewRouterIdentity(p.key, x25519.Generate().Public)
			if err != nil {
				t.Fatal(err)
			}
			if !yield((peer{p.key, identity}).info(t, noon, caps("XfR"))) {
				return
			}
		}
	}
}

// Attack A5: whatever arrives, memory and disk stay small, and the routers we
// met are still there.
func TestFloodIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	s, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	bucket, err := s.Bucket("netdb")
	if err != nil {
		t.Fatal(err)
	}
	d := openDB(t, netdb.Config{MaxRouters: floodBound}, bucket)
	friends := publish(t, d, 100, noon.Add(-20*time.Hour))
	for _, ri := range friends {
		d.Reached(noon, ri.Hash())
	}
	d.Import(noon, malformed(t, friends[0].Bytes()))
	if d.Len() != len(friends) {
		t.Errorf("%d routers", d.Len())
	}
	sent, size := 0, int64(0)
	for ri := range fakes(t, floodValid) {
		if _, err := d.AddRouter(noon, ri); err != nil && !errors.Is(err, netdb.ErrFull) && !errors.Is(err, netdb.ErrDuplicate) {
			t.Fatal(err)
		}
		if sent++; sent%1000 == 0 {
			d.Expire(noon)
			if err := d.Flush(); err != nil {
				t.Fatal(err)
			}
			if sent == floodValid/2 {
				size = fileSize(t, path)
			}
		}
		if d.Len() > floodBound {
			t.Fatalf("%d routers", d.Len())
		}
	}
	if n := known(d, friends); n != len(friends) {
		t.Errorf("%d of %d friends left", n, len(friends))
	}
	records := 0
	if err := bucket.Each(func(_, _ []byte) error { records++; return nil }); err != nil || records > floodBound {
		t.Errorf("%d records, %v", records, err)
	}
	if now := fileSize(t, path); now > size || now > 4<<20 {
		t.Errorf("the file has %d bytes, and had %d", now, size)
	}
	t.Logf("%d routers, %d records, file %d KB", d.Len(), records, fileSize(t, path)>>10)
}

// malformed are files with a few bytes wrong, most of them where it matters.
func malformed(t testing.TB, good []byte) func(yield func(string, []byte) bool) {
	r := rand.New(rand.NewPCG(1, 2))
	return func(yield func(string, []byte) bool) {
		for i := range floodMalformed {
			b := append([]byte(nil), good[:1+r.IntN(len(good)-1)]...)
			if i%40 == 0 {
				b = append([]byte(nil), good...)
				b[390+r.IntN(len(b)-390)] ^= byte(1 + r.IntN(255))
			}
			if !yield("x", b) {
				return
			}
		}
	}
}

func fileSize(t testing.TB, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
