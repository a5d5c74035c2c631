package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"allium/internal/store"
)

// both runs a test on a store of each kind.
func both(t *testing.T, test func(t *testing.T, s store.Store)) {
	t.Run("file", func(t *testing.T) {
		s, err := store.Open(filepath.Join(t.TempDir(), "store"))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		test(t, s)
	})
	t.Run("memory", func(t *testing.T) {
		s := store.Memory()
		defer s.Close()
		test(t, s)
	})
}

func bucket(t *testing.T, s store.Store, name string) store.Bucket {
	t.Helper()
	b, err := s.Bucket(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// content is what Each tells, as "key=value" in its order.
func content(t *testing.T, b store.Bucket) []string {
	t.Helper()
	var all []string
	err := b.Each(func(key, value []byte) error {
		all = append(all, fmt.Sprintf("%s=%s", key, value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func put(t *testing.T, b store.Bucket, key, value string) {
	t.Helper()
	if err := b.Put([]byte(key), []byte(value)); err != nil {
		t.Fatal(err)
	}
}

func TestValueComesBack(t *testing.T) {
	both(t, func(t *testing.T, s store.Store) {
		b := bucket(t, s, "b")
		key, value := []byte("key"), []byte("value")
		if err := b.Put(key, value); err != nil {
			t.Fatal(err)
		}
		copy(key, "xxx")
		copy(value, "xxxxx")
		for range 2 {
			got, ok, err := b.Get([]byte("key"))
			if string(got) != "value" || !ok || err != nil {
				t.Fatalf("got %q, %v, %v", got, ok, err)
			}
			copy(got, "yyyyy") // ours: the second time it must be whole
		}
		if got, ok, err := b.Get([]byte("kez")); got != nil || ok || err != nil {
			t.Errorf("a missing key gives %q, %v, %v", got, ok, err)
		}
		put(t, b, "key", "longer value")
		if got, _, _ := b.Get([]byte("key")); string(got) != "longer value" {
			t.Errorf("after another Put: %q", got)
		}
	})
}

func TestEmptyValueIsAValue(t *testing.T) {
	both(t, func(t *testing.T, s store.Store) {
		b := bucket(t, s, "b")
		if err := b.Put([]byte("nil"), nil); err != nil {
			t.Fatal(err)
		}
		if err := b.Write([]store.Change{{Key: []byte("empty"), Value: []byte{}}}); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"nil", "empty"} {
			if v, ok, err := b.Get([]byte(key)); v == nil || len(v) != 0 || !ok || err != nil {
				t.Errorf("%s: %v, %v, %v", key, v, ok, err)
			}
		}
		if got := content(t, b); !slices.Equal(got, []string{"empty=", "nil="}) {
			t.Errorf("content %q", got)
		}
	})
}

func TestDeletedKeyIsGone(t *testing.T) {
	both(t, func(t *testing.T, s store.Store) {
		b := bucket(t, s, "b")
		put(t, b, "a", "1")
		put(t, b, "b", "2")
		for range 2 {
			if err := b.Delete([]byte("a")); err != nil {
				t.Fatal(err)
			}
			if got := content(t, b); !slices.Equal(got, []string{"b=2"}) {
				t.Errorf("content %q", got)
			}
		}
	})
}

func TestBucketsStayApart(t *testing.T) {
	both(t, func(t *testing.T, s store.Store) {
		a, b := bucket(t, s, "a"), bucket(t, s, "b")
		put(t, a, "key", "in a")
		put(t, b, "key", "in b")
		if got := content(t, a); !slices.Equal(got, []string{"key=in a"}) {
			t.Errorf("a holds %q", got)
		}
		if got := content(t, bucket(t, s, "b")); !slices.Equal(got, []string{"key=in b"}) {
			t.Errorf("b, opened again, holds %q", got)
		}
	})
}

func TestWriteKeepsTheOrderOfChanges(t *testing.T) {
	both(t, func(t *testing.T, s store.Store) {
		b := bucket(t, s, "b")
		put(t, b, "old", "1")
		err := b.Write([]store.Change{
			{Key: []byte("x"), Value: []byte("1")},
			{Key: []byte("x"), Value: []byte("2")},
			{Key: []byte("y"), Value: []byte("1")},
			{Key: []byte("y")},
			{Key: []byte("old")},
			{Key: []byte("old"), Value: []byte("2")},
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := content(t, b); !slices.Equal(got, []string{"old=2", "x=2"}) {
			t.Errorf("content %q", got)
		}
	})
}

func TestBadChangeSpoilsTheWholeWrite(t *testing.T) {
	long := bytes.Repeat([]byte("k"), store.MaxKey+1)
	bad := map[string]struct {
		change store.Change
		want   error
	}{
		"empty key":  {store.Change{Value: []byte("v")}, store.ErrKey},
		"long key":   {store.Change{Key: long, Value: []byte("v")}, store.ErrKey},
		"delete":     {store.Change{Key: long}, store.ErrKey},
		"long value": {store.Change{Key: []byte("k"), Value: make([]byte, store.MaxValue+1)}, store.ErrTooBig},
	}
	both(t, func(t *testing.T, s store.Store) {
		b := bucket(t, s, "b")
		for name, c := range bad {
			err := b.Write([]store.Change{{Key: []byte("good"), Value: []byte("v")}, c.change})
			if !errors.Is(err, c.want) {
				t.Errorf("%s: error %v", name, err)
			}
		}
		if _, _, err := b.Get(nil); !errors.Is(err, store.ErrKey) {
			t.Errorf("Get of the empty key: error %v", err)
		}
		if got := content(t, b); len(got) != 0 {
			t.Errorf("content %.100q", got)
		}
		put(t, b, string(long[1:]), "fits")
		for _, name := range []string{"", string(long)} {
			if _, err := s.Bucket(name); !errors.Is(err, store.ErrKey) {
				t.Errorf("bucket named %.10q...: error %v", name, err)
			}
		}
	})
}

func TestEachGoesInKeyOrder(t *testing.T) {
	both(t, func(t *testing.T, s store.Store) {
		b := bucket(t, s, "b")
		// More than are read at once, by number and by size.
		var changes []store.Change
		var want []string
		for i := range 1000 {
			value := strings.Repeat("v", i%7*500)
			key := fmt.Sprintf("%04d", (i*7919)%1000)
			changes = append(changes, store.Change{Key: []byte(key), Value: []byte(value)})
			want = append(want, key+"="+value)
		}
		if err := b.Write(changes); err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		if got := content(t, b); !slices.Equal(got, want) {
			t.Errorf("%d entries, or another order", len(got))
		}
	})
}

func TestEachStopsAtAnError(t *testing.T) {
	both(t, func(t *testing.T, s store.Store) {
		b := bucket(t, s, "b")
		put(t, b, "a", "")
		put(t, b, "b", "")
		stop, calls := errors.New("stop"), 0
		err := b.Each(func(key, value []byte) error {
			calls++
			return stop
		})
		if err != stop || calls != 1 {
			t.Errorf("error %v after %d calls", err, calls)
		}
	})
}

func TestEachMayChangeTheStore(t *testing.T) {
	both(t, func(t *testing.T, s store.Store) {
		b := bucket(t, s, "b")
		var changes []store.Change
		for i := range 600 {
			changes = append(changes, store.Change{Key: fmt.Appendf(nil, "%04d", i), Value: []byte("old")})
		}
		if err := b.Write(changes); err != nil {
			t.Fatal(err)
		}
		n := 0
		err := b.Each(func(key, value []byte) error {
			n++
			if n%50 != 0 {
				return nil
			}
			before := append([]byte("!"), key...)
			change := []store.Change{{Key: bytes.Clone(key)}, {Key: before, Value: []byte("new")}}
			clear(key) // both are ours
			clear(value)
			if err := b.Write(change); err != nil {
				return err
			}
			_, ok, err := b.Get(before)
			if !ok {
				t.Errorf("%s is not there yet", before)
			}
			return err
		})
		if err != nil || n != 600 {
			t.Errorf("%d entries, error %v", n, err)
		}
		if got := content(t, b); len(got) != 600 || got[0] != "!0049=new" || got[12] != "0000=old" {
			t.Errorf("left are %d entries: %q", len(got), got[:13])
		}
	})
}

func TestClosedStoreSaysSo(t *testing.T) {
	both(t, func(t *testing.T, s store.Store) {
		b := bucket(t, s, "b")
		put(t, b, "k", "v")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
		_, errBucket := s.Bucket("c")
		_, _, errGet := b.Get([]byte("k"))
		for name, err := range map[string]error{
			"Bucket": errBucket,
			"Get":    errGet,
			"Put":    b.Put([]byte("k"), nil),
			"Delete": b.Delete([]byte("k")),
			"Write":  b.Write(nil),
			"Each":   b.Each(func(key, value []byte) error { return nil }),
		} {
			if !errors.Is(err, store.ErrClosed) {
				t.Errorf("%s: error %v", name, err)
			}
		}
	})
}

func TestGoroutinesShareAStore(t *testing.T) {
	both(t, func(t *testing.T, s store.Store) {
		b := bucket(t, s, "b")
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range 10 {
					key := fmt.Appendf(nil, "%d/%d", g, i)
					if err := b.Put(key, key); err != nil {
						t.Error(err)
					}
					if v, ok, err := b.Get(key); !ok || err != nil || !bytes.Equal(v, key) {
						t.Errorf("%s: %q, %v, %v", key, v, ok, err)
					}
				}
			})
		}
		wg.Wait()
		if got := content(t, b); len(got) != 40 {
			t.Errorf("%d entries", len(got))
		}
	})
}

// Random changes leave both kinds of store with what a map would hold.
func TestBothKindsAgree(t *testing.T) {
	both(t, func(t *testing.T, s store.Store) {
		b := bucket(t, s, "b")
		rng := rand.New(rand.NewPCG(1, 2))
		want := map[string]string{}
		for range 60 {
			var changes []store.Change
			for range rng.IntN(40) {
				key := fmt.Sprint(rng.IntN(200))
				if rng.IntN(3) == 0 {
					changes = append(changes, store.Change{Key: []byte(key)})
					delete(want, key)
					continue
				}
				value := strings.Repeat("v", rng.IntN(3000))
				changes = append(changes, store.Change{Key: []byte(key), Value: []byte(value)})
				want[key] = value
			}
			if err := b.Write(changes); err != nil {
				t.Fatal(err)
			}
		}
		var wanted []string
		for _, key := range slices.Sorted(maps.Keys(want)) {
			wanted = append(wanted, key+"="+want[key])
		}
		if got := content(t, b); !slices.Equal(got, wanted) {
			t.Errorf("%d entries where a map has %d, or others", len(got), len(wanted))
		}
	})
}
