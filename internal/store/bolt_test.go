package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"allium/internal/store"
)

func open(t *testing.T, path string) store.Store {
	t.Helper()
	s, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// filled makes a store of some megabytes and closes it.
func filled(t *testing.T, path string) {
	t.Helper()
	s := open(t, path)
	defer s.Close()
	b := bucket(t, s, "b")
	var changes []store.Change
	for i := range 2000 {
		changes = append(changes, store.Change{Key: fmt.Appendf(nil, "%04d", i), Value: make([]byte, 1000)})
	}
	if err := b.Write(changes); err != nil {
		t.Fatal(err)
	}
}

func TestFileKeepsItsContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s := open(t, path)
	put(t, bucket(t, s, "b"), "key", "value")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	defer s.Close()
	if got := content(t, bucket(t, s, "b")); !slices.Equal(got, []string{"key=value"}) {
		t.Errorf("content %q", got)
	}
}

func TestFileIsPrivate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "new", "deep", "store")
	open(t, path).Close()
	mode(t, path, 0o600)
	mode(t, filepath.Dir(path), os.ModeDir|0o700)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, path).Close()
	mode(t, path, 0o600)
}

func mode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != want {
		t.Errorf("%s has mode %v", path, info.Mode())
	}
}

func TestOneOpensAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	first := open(t, path)
	if s, err := store.Open(path); !errors.Is(err, store.ErrLocked) {
		t.Errorf("second Open: %v, error %v", s, err)
	}
	put(t, bucket(t, first, "b"), "key", "value")
	first.Close()
	open(t, path).Close()
}

func TestOpenRefusesWhatIsNoStore(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"short":   []byte("precious"),
		"page":    bytes.Repeat([]byte("precious"), 512),
		"long":    bytes.Repeat([]byte("precious"), 100_000),
		"nothing": make([]byte, 100_000),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(path); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: error %v", name, err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, data) {
			t.Errorf("%s was changed, error %v", name, err)
		}
	}
	if _, err := store.Open(dir); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("directory: error %v", err)
	}
	if _, err := store.Open(filepath.Join(dir, "short", "store")); err == nil || errors.Is(err, store.ErrDamaged) {
		t.Errorf("below a file: error %v", err)
	}
}

func TestFileCutShortIsDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	filled(t, path)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{len(whole) / 2, 1 << 20, 64 << 10, 16 << 10, 8 << 10} {
		if err := os.Truncate(path, int64(n)); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(path); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("cut to %d bytes: error %v", n, err)
		}
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	defer s.Close()
	if got := content(t, bucket(t, s, "b")); len(got) != 2000 {
		t.Errorf("put together again, it has %d entries", len(got))
	}
}

func TestDeathInCreationLeavesNothingBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	for _, pages := range []int{0, 1, 2, 3, 4} {
		open(t, path).Close()
		if err := os.Truncate(path, int64(pages*os.Getpagesize())); err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(path)
		if err != nil {
			t.Errorf("%d pages: %v", pages, err)
			continue
		}
		put(t, bucket(t, s, "b"), "key", "value")
		s.Close()
		os.Remove(path)
	}
}

func TestDamageInsideIsAnErrorNotAPanic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	filled(t, path)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	// All but the first two pages, which tell that all is well.
	head := 2 * int64(os.Getpagesize())
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xff}, int(info.Size()-head)), head); err != nil {
		t.Fatal(err)
	}
	f.Close()
	s, err := store.Open(path)
	if err == nil {
		_, err = s.Bucket("b")
		s.Close()
	}
	if !errors.Is(err, store.ErrDamaged) {
		t.Errorf("error %v", err)
	}
}

func TestFileCutWhileOpenIsAnErrorNotACrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	filled(t, path)
	s := open(t, path)
	b := bucket(t, s, "b")
	if err := os.Truncate(path, 64<<10); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err := b.Each(func(key, value []byte) error { return nil })
		if !errors.Is(err, store.ErrDamaged) {
			t.Errorf("error %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
