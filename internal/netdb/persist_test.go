package netdb_test

import (
	"errors"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/cryptotest"
	"time"

	"allium/internal/data"
	"allium/internal/netdb"
	"allium/internal/store"
	"allium/internal/su3"
)

// failing is a bucket that counts its writes and cannot write while full.
type failing struct {
	store.Bucket
	full   bool
	writes int
}

var errFull = errors.New("disk full")

func (f *failing) Write(changes []store.Change) error {
	if f.writes++; f.full {
		return errFull
	}
	return f.Bucket.Write(changes)
}

func TestRoutersSurviveARestart(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	bucket := &failing{Bucket: newBucket(t)}
	d := openDB(t, netdb.Config{}, bucket)
	all := fill(t, d, 30)
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	d.Remove(all[1].Hash())
	p := newPeer(t)
	mustAdd(t, d, noon, p.info(t, noon))
	newer := p.info(t, noon.Add(time.Second))
	mustAdd(t, d, noon, newer)

	bucket.full = true
	if err := d.Flush(); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
	bucket.full = false
	for range 2 {
		if err := d.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if bucket.writes != 3 {
		t.Errorf("%d writes, want one for each Flush that had something", bucket.writes)
	}

	again := openDB(t, netdb.Config{}, bucket)
	if again.Len() != 30 || again.Floodfills() != 3 || again.RouterInfo(all[1].Hash()) != nil {
		t.Errorf("%d routers, %d floodfills", again.Len(), again.Floodfills())
	}
	if ri := again.RouterInfo(p.hash()); ri == nil || !ri.Published().Equal(newer.Published()) {
		t.Error("the newer one is not there")
	}
	if err := again.Flush(); err != nil || bucket.writes != 3 {
		t.Errorf("writes again what it read: %v", err)
	}
}

// TestNewsAreWrittenWhenTheyMatter hears the same from a router again and again.
func TestNewsAreWrittenWhenTheyMatter(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	bucket := &failing{Bucket: newBucket(t)}
	d := openDB(t, netdb.Config{}, bucket)
	p := newPeer(t)
	address := p.info(t, noon).Addresses()
	same := func(s *said) { s.addresses = address }
	for _, c := range []struct {
		after time.Duration
		how   []func(s *said)
		write bool
	}{
		{0, nil, true},
		{40 * time.Minute, nil, false},
		{119 * time.Minute, nil, false},
		{120 * time.Minute, nil, true},
		{125 * time.Minute, []func(s *said){caps("PR")}, true},
		{130 * time.Minute, []func(s *said){caps("PR"), func(s *said) { s.addresses = []data.RouterAddress{ntcp2(t, "70.1.2.3")} }}, true},
		{135 * time.Minute, nil, true},
		{140 * time.Minute, nil, false},
	} {
		at := noon.Add(c.after)
		before := bucket.writes
		mustAdd(t, d, at, p.info(t, at, append([]func(s *said){same}, c.how...)...))
		if err := d.Flush(); err != nil || (bucket.writes > before) != c.write {
			t.Errorf("after %v: written %v, %v", c.after, bucket.writes > before, err)
		}
	}
}

func TestTenthMoreRoutersAreGrowth(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	bucket := newBucket(t)
	d := openDB(t, netdb.Config{}, bucket)
	grown := func(want bool) {
		t.Helper()
		if d.Grown() != want {
			t.Errorf("%d routers are growth: %v", d.Len(), !want)
		}
	}
	grown(false)
	fill(t, d, 1)
	grown(true)
	fill(t, d, 19)
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	d = openDB(t, netdb.Config{}, bucket)
	fill(t, d, 2)
	grown(false)
	fill(t, d, 1)
	grown(true)
}

func TestWhomWeMetIsRememberedForDays(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	bucket := newBucket(t)
	d := openDB(t, netdb.Config{}, bucket)
	all := fill(t, d, 2)
	d.Reached(noon, all[0].Hash())
	for range 2 { // and a second time, when nothing has changed
		if err := d.Flush(); err != nil {
			t.Fatal(err)
		}
		d = openDB(t, netdb.Config{}, bucket)
	}
	if d.Len() != 2 || !d.HasMet(noon, all[0].Hash()) || d.HasMet(noon, all[1].Hash()) {
		t.Error("forgot whom we met")
	}
	if d.HasMet(noon.Add(73*time.Hour), all[0].Hash()) {
		t.Error("never forgets it")
	}
}

func TestLoadDropsTheInvalid(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	bucket := newBucket(t)
	good := newPeer(t).info(t, noon)
	forged := newPeer(t).info(t, noon).Bytes()
	forged = append(slices.Clone(forged[:len(forged)-1]), forged[len(forged)-1]^1)
	put := func(h data.Hash, b []byte) {
		if err := bucket.Put(h[:], b); err != nil {
			t.Fatal(err)
		}
	}
	put(good.Hash(), good.Bytes())
	put(data.HashOf([]byte("other")), good.Bytes())
	put(data.HashOf([]byte("garbage")), []byte("garbage"))
	put(data.HashOf(forged[:391]), forged)
	foreign := newPeer(t).info(t, noon, func(s *said) { s.netID = "99" })
	put(foreign.Hash(), foreign.Bytes())

	d := openDB(t, netdb.Config{}, bucket)
	if d.Len() != 1 || d.RouterInfo(good.Hash()) == nil {
		t.Errorf("%d routers", d.Len())
	}
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	left := 0
	if err := bucket.Each(func(_, _ []byte) error { left++; return nil }); err != nil || left != 1 {
		t.Errorf("%d records left in the bucket, %v", left, err)
	}
}

func TestLoadIsBounded(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	bucket := newBucket(t)
	d := openDB(t, netdb.Config{}, bucket)
	fill(t, d, 30)
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	if small := openDB(t, netdb.Config{MaxRouters: 20}, bucket); small.Len() != 20 {
		t.Errorf("%d routers", small.Len())
	}
}

func fileName(h data.Hash) string { return "routerInfo-" + h.String() + ".dat" }

func TestImportCountsByReason(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	d := newDB(t, netdb.Config{})
	files := func(yield func(string, []byte) bool) {
		a, b, old := newPeer(t).info(t, noon), newPeer(t).info(t, noon), newPeer(t).info(t, noon.Add(-28*time.Hour))
		_ = yield("netDb/r1/"+fileName(a.Hash()), a.Bytes()) &&
			yield(`netDb\r1\`+fileName(a.Hash()), a.Bytes()) &&
			yield("my-router", b.Bytes()) &&
			yield(fileName(a.Hash()), newPeer(t).info(t, noon).Bytes()) &&
			yield(fileName(old.Hash()), old.Bytes()) &&
			yield("empty", nil) && yield("long", make([]byte, 1<<20))
	}
	got := d.Import(noon, files)
	want := []netdb.Refusal{{Reason: netdb.ErrUnreadable, Count: 2}, {Reason: netdb.ErrName, Count: 1}, {Reason: netdb.ErrExpired, Count: 1}}
	if got.Added != 2 || got.Known != 1 || !slices.Equal(got.Refused, want) {
		t.Errorf("got %+v", got)
	}
}

// reseedBundle is the RouterInfos of a real reseed file, and when it was made.
func reseedBundle(t *testing.T, name string) (iter.Seq2[string, []byte], int, time.Time) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../../shared/data/reseed", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no real data here")
	}
	if err != nil {
		t.Fatal(err)
	}
	file, err := su3.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := su3.Bundle(file.Content)
	if err != nil {
		t.Fatal(err)
	}
	at, err := file.Time()
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(string, []byte) bool) {
		for _, e := range entries {
			if !yield(e.Name, e.Bytes) {
				return
			}
		}
	}, len(entries), at
}

func TestRealReseedFilesAreTaken(t *testing.T) {
	for _, name := range []string{"i2pseeds-diva.su3", "i2pseeds-r4sas.su3"} {
		t.Run(name, func(t *testing.T) {
			entries, n, at := reseedBundle(t, name)
			bucket := newBucket(t)
			d := openDB(t, netdb.Config{}, bucket)
			all := d.Import(at, entries)
			if all.Added != d.Len() || all.Added < n*9/10 {
				t.Errorf("of %d: %+v", n, all)
			}
			t.Logf("of %d: %+v, %d floodfills", n, all, d.Floodfills())
			if err := d.Flush(); err != nil {
				t.Fatal(err)
			}
			hashes := func(d *netdb.DB) map[data.Hash]bool {
				m := make(map[data.Hash]bool)
				for ri := range d.All() {
					m[ri.Hash()] = true
				}
				return m
			}
			if !maps.Equal(hashes(d), hashes(openDB(t, netdb.Config{}, bucket))) {
				t.Error("others after a restart")
			}
		})
	}
}

func FuzzImport(f *testing.F) {
	f.Add("routerInfo-.dat", []byte{})
	f.Add("x", newPeer(f).info(f, noon).Bytes())
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		d := newDB(t, netdb.Config{})
		all := d.Import(noon, func(yield func(string, []byte) bool) { yield(name, b) })
		n := all.Added
		for _, r := range all.Refused {
			n += r.Count
		}
		if n != 1 || all.Added != d.Len() {
			t.Errorf("got %+v", all)
		}
	})
}
