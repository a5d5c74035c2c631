package naming_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"

	"allium/internal/data"
	"allium/internal/naming"
	"allium/internal/signature"
	"allium/internal/store"
)

func newDestination(t testing.TB) *data.Destination {
	t.Helper()
	key, err := signature.Generate(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	d, err := data.NewDestination(key)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// failing is a bucket that cannot write while full.
type failing struct {
	store.Bucket
	full bool
}

var errFull = errors.New("disk full")

func (f *failing) Put(key, value []byte) error {
	if f.full {
		return errFull
	}
	return f.Bucket.Put(key, value)
}

func (f *failing) Delete(key []byte) error {
	if f.full {
		return errFull
	}
	return f.Bucket.Delete(key)
}

func (f *failing) Write(changes []store.Change) error {
	if f.full {
		return errFull
	}
	return f.Bucket.Write(changes)
}

func newBucket(t testing.TB) *failing {
	t.Helper()
	s := store.Memory()
	t.Cleanup(func() { s.Close() })
	b, err := s.Bucket("names")
	if err != nil {
		t.Fatal(err)
	}
	return &failing{Bucket: b}
}

func open(t testing.TB, b store.Bucket) *naming.Book {
	t.Helper()
	book, err := naming.New(b)
	if err != nil {
		t.Fatal(err)
	}
	return book
}

func TestNormalize(t *testing.T) {
	long := strings.Repeat("a", 63)
	for name, want := range map[string]string{
		"stats.i2p":                             "stats.i2p",
		"Stats.I2P":                             "stats.i2p",
		"stats.i2p.alt":                         "stats.i2p",
		"STATS.i2p.ALT":                         "stats.i2p",
		"a-b.c1.i2p":                            "a-b.c1.i2p",
		"xn--bcher-kva.i2p":                     "xn--bcher-kva.i2p",
		long + ".i2p":                           long + ".i2p",
		long + ".i2p.alt":                       long + ".i2p",
		long + "a.i2p":                          "",
		"":                                      "",
		"i2p":                                   "",
		".i2p":                                  "",
		".i2p.alt":                              "",
		"stats":                                 "",
		"stats.com":                             "",
		"stats.alt":                             "",
		"stats.i2p.alt.alt":                     "",
		"stats.i2p.":                            "",
		".stats.i2p":                            "",
		"a..b.i2p":                              "",
		"-a.i2p":                                "",
		"a-.i2p":                                "",
		"a.-b.i2p":                              "",
		"a-.b.i2p":                              "",
		"a--b.i2p":                              "",
		"a_b.i2p":                               "",
		"bücher.i2p":                            "",
		"\u212aelvin.i2p":                       "", // a sign that turns into k when made small
		"a b.i2p":                               "",
		"a=b.i2p":                               "",
		"b32.i2p":                               "",
		"x.b32.i2p":                             "",
		"proxy.i2p":                             "",
		"a.router.i2p":                          "",
		"console.i2p":                           "",
		"MAIL.i2p.alt":                          "",
		"hotmail.i2p":                           "hotmail.i2p",
		"mail.example.i2p":                      "mail.example.i2p",
		strings.Repeat("a", 52) + ".i2p":        "",
		strings.Repeat("1", 52) + ".i2p":        strings.Repeat("1", 52) + ".i2p",
		strings.Repeat("a", 51) + ".i2p":        strings.Repeat("a", 51) + ".i2p",
		strings.Repeat("a", 52) + ".b.i2p":      strings.Repeat("a", 52) + ".b.i2p",
		"b." + strings.Repeat("a", 52) + ".i2p": "b." + strings.Repeat("a", 52) + ".i2p",
	} {
		got, err := naming.Normalize(name)
		if got != want || (err == nil) != (want != "") || err != nil && !errors.Is(err, naming.ErrName) {
			t.Errorf("%q: got %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestParseHosts(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	d := newDestination(t)
	text := "\ufeff# comment\r\n\n" +
		"Plain.i2p=" + d.Base64() + "\r\n" +
		"  spaces.i2p = " + d.Base64() + "\n" +
		"options.i2p=" + d.Base64() + "#!date=1=2#nothing#sig=abc\n" +
		"remark.i2p=" + d.Base64() + "# remark\n" +
		"#!action=remove#name=gone.i2p\n" +
		"no destination\n" +
		"bad name.i2p=" + d.Base64() + "\n" +
		"short.i2p=AAAA\n" +
		"long.i2p=" + d.Base64() + "#!sig=" + strings.Repeat("A", 10_000) + "\n" +
		"last.i2p=" + d.Base64()
	var names []string
	var failed []string
	for e, err := range naming.ParseHosts([]byte(text)) {
		if err != nil {
			failed = append(failed, err.Error()[:len("line 00")])
			continue
		}
		names = append(names, e.Name)
		if !bytes.Equal(e.Destination.Bytes(), d.Bytes()) {
			t.Errorf("%s: another destination", e.Name)
		}
		want := 0
		if e.Name == "options.i2p" {
			want = 2
			if e.Options[0] != (data.Pair{Key: "date", Value: "1=2"}) {
				t.Errorf("option %q", e.Options[0])
			}
		}
		if len(e.Options) != want {
			t.Errorf("%s: options %q", e.Name, e.Options)
		}
	}
	if want := []string{"plain.i2p", "spaces.i2p", "options.i2p", "remark.i2p", "last.i2p"}; !slices.Equal(names, want) {
		t.Errorf("got %q", names)
	}
	if want := []string{"line 8:", "line 9:", "line 10", "line 11"}; !slices.Equal(failed, want) {
		t.Errorf("failed %q", failed)
	}
}

func TestRealHostsFileIsReadWhole(t *testing.T) {
	text, err := os.ReadFile("../../../shared/data/naming/hosts.txt")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no real data here")
	}
	if err != nil {
		t.Fatal(err)
	}
	book := open(t, newBucket(t))
	m, err := book.Merge(text)
	if err != nil || m.Added != bytes.Count(text, []byte("\n")) || m.Added != book.Len(naming.Subscribed) {
		t.Errorf("%+v, %v", m, err)
	}
	again, err := open(t, newBucket(t)).Merge(naming.AppendHosts(nil, book.All(naming.Subscribed)))
	if err != nil || again != m {
		t.Errorf("written and read: %+v, %v", again, err)
	}
}

func TestLookupAsksTheListsInOrder(t *testing.T) {
	book := open(t, newBucket(t))
	var all []*data.Destination
	for _, l := range []naming.List{naming.Subscribed, naming.Local, naming.Private} {
		d := newDestination(t)
		all = append(all, d)
		if err := book.Add(l, "Name.i2p.alt", d); err != nil {
			t.Fatal(err)
		}
		if got, ok := book.Lookup("NAME.i2p"); !ok || got.Hash() != d.Hash() {
			t.Errorf("not the one of list %d", l)
		}
	}
	for i, l := range []naming.List{naming.Private, naming.Local, naming.Subscribed} {
		if got, ok := book.Lookup("name.i2p.alt"); !ok || got.Hash() != all[2-i].Hash() {
			t.Errorf("not the one of list %d", l)
		}
		if was, err := book.Remove(l, "name.i2p"); !was || err != nil {
			t.Errorf("list %d: removed %v, %v", l, was, err)
		}
	}
	if _, ok := book.Lookup("name.i2p"); ok {
		t.Error("found after all are removed")
	}
	if was, err := book.Remove(naming.Local, "name.i2p"); was || err != nil {
		t.Errorf("removed twice: %v", err)
	}
	if _, ok := book.Lookup("no name"); ok {
		t.Error("found what is no name")
	}
}

func TestAddKeepsSubscribedNames(t *testing.T) {
	book := open(t, newBucket(t))
	first, second := newDestination(t), newDestination(t)
	for _, c := range []struct {
		list naming.List
		name string
		d    *data.Destination
		want error
	}{
		{naming.Subscribed, "a.i2p", first, nil},
		{naming.Subscribed, "a.i2p", first, nil},
		{naming.Subscribed, "a.i2p", second, naming.ErrTaken},
		{naming.Local, "b.i2p", first, nil},
		{naming.Local, "b.i2p", second, nil},
		{naming.Local, "b.b32.i2p", second, naming.ErrName},
	} {
		if err := book.Add(c.list, c.name, c.d); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	a, _ := book.Lookup("a.i2p")
	b, _ := book.Lookup("b.i2p")
	if a.Hash() != first.Hash() || b.Hash() != second.Hash() {
		t.Error("kept or replaced the wrong one")
	}
}

func TestMergeNeverReplacesAName(t *testing.T) {
	bucket := newBucket(t)
	book := open(t, bucket)
	ours, other := newDestination(t), newDestination(t)
	if err := book.Add(naming.Private, "ours.i2p", ours); err != nil {
		t.Fatal(err)
	}
	line := func(name string, d *data.Destination) string { return name + "=" + d.Base64() + "\n" }
	text := []byte(line("ours.i2p", other) + line("OURS.i2p", ours) + line("new.i2p", ours) + line("new.i2p", other) + line("new.i2p", ours) + "bad\nworse\n")

	bucket.full = true
	if _, err := book.Merge(text); !errors.Is(err, errFull) || book.Len(naming.Subscribed) != 0 {
		t.Errorf("got %v", err)
	}
	bucket.full = false
	m, err := book.Merge(text)
	if err != nil || m.Added != 1 || m.Known != 2 || m.Conflict != 2 || m.Bad != 2 || m.Dropped != 0 {
		t.Errorf("%+v, %v", m, err)
	}
	if !errors.Is(m.FirstBad, naming.ErrLine) || !strings.HasPrefix(m.FirstBad.Error(), "line 6: ") {
		t.Errorf("first bad line: %v", m.FirstBad)
	}
	for _, name := range []string{"ours.i2p", "new.i2p"} {
		if d, ok := book.Lookup(name); !ok || d.Hash() != ours.Hash() {
			t.Errorf("%s was taken over", name)
		}
	}
}

func TestBookSurvivesARestart(t *testing.T) {
	bucket := newBucket(t)
	book := open(t, bucket)
	d := newDestination(t)
	var want []string
	for i := range 20 {
		name := fmt.Sprintf("n%02d.i2p", i)
		if err := book.Add(naming.List(i%3), name, d); err != nil {
			t.Fatal(err)
		}
		if i%3 == int(naming.Local) {
			want = append(want, name)
		}
	}
	bucket.full = true
	if err := book.Add(naming.Local, "late.i2p", d); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
	if _, err := book.Remove(naming.Local, "n01.i2p"); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
	bucket.full = false
	for _, record := range []struct{ key, value string }{
		{"lbad name.i2p", string(d.Bytes())}, {"?a.i2p", string(d.Bytes())}, {"lb.i2p", "garbage"}, {"lUPPER.i2p", string(d.Bytes())},
	} {
		if err := bucket.Put([]byte(record.key), []byte(record.value)); err != nil {
			t.Fatal(err)
		}
	}
	for _, b := range []*naming.Book{book, open(t, bucket)} {
		var got []string
		for name, found := range b.All(naming.Local) {
			got = append(got, name)
			if found.Hash() != d.Hash() {
				t.Errorf("%s: another destination", name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	bucket := newBucket(t)
	book := open(t, bucket)
	d := [2]*data.Destination{newDestination(t), newDestination(t)}
	var wg sync.WaitGroup
	for part := range 2 {
		wg.Go(func() {
			for i := range 50 {
				name := fmt.Sprintf("n%d.i2p", i%5)
				if err := book.Add(naming.Local, name, d[part]); err != nil {
					t.Error(err)
				}
				book.Lookup(name)
				for range book.All(naming.Local) {
				}
				if _, err := book.Merge([]byte("m" + name + "=" + d[part].Base64())); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	again := open(t, bucket)
	for name, d := range book.All(naming.Local) {
		if on, ok := again.Lookup(name); !ok || on.Hash() != d.Hash() {
			t.Errorf("%s: memory and bucket differ", name)
		}
	}
}

func FuzzParseHosts(f *testing.F) {
	f.Add([]byte("a.i2p=AAAA\n# x\n#!action=remove\nb.i2p=#!k=v#k2=v2"))
	f.Add([]byte("\ufeffa.i2p=" + newDestination(f).Base64() + "#!date=1#sig=x\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		lines := bytes.Count(text, []byte("\n")) + 1
		n := 0
		for e, err := range naming.ParseHosts(text) {
			n++
			if err != nil {
				continue
			}
			if name, err := naming.Normalize(e.Name); err != nil || name != e.Name {
				t.Errorf("name %q", e.Name)
			}
		}
		if n > lines {
			t.Errorf("%d entries in %d lines", n, lines)
		}
	})
}

func FuzzNormalize(f *testing.F) {
	f.Add("Stats.i2p.alt")
	f.Add("xn--a.b-c.i2p")
	f.Fuzz(func(t *testing.T, name string) {
		once, err := naming.Normalize(name)
		if err != nil {
			return
		}
		if twice, err := naming.Normalize(once); err != nil || twice != once || len(once) > 67 {
			t.Errorf("%q gives %q gives %q, %v", name, once, twice, err)
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	book := open(b, newBucket(b))
	if err := book.Add(naming.Subscribed, "stats.i2p", newDestination(b)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, ok := book.Lookup("Stats.i2p"); !ok {
			b.Fail()
		}
	}
}
