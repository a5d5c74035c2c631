package store_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"allium/internal/store"
)

func TestWriteFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "deep", "file")
	if err := store.WriteFile(path, []byte("one")); err != nil {
		t.Fatal(err)
	}
	mode(t, path, 0o600)
	mode(t, filepath.Dir(path), os.ModeDir|0o700)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := store.WriteFile(path, []byte("two")); err != nil {
		t.Fatal(err)
	}
	mode(t, path, 0o600)
	if data, err := store.ReadFile(path, 3); string(data) != "two" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
}

func TestFailedWriteFileLeavesTheOldFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	if err := store.WriteFile(filepath.Join(dir, "file"), []byte("old")); err != nil {
		t.Fatal(err)
	}
	// A file cannot take the place of a directory.
	if err := store.WriteFile(dir, []byte("new")); err == nil {
		t.Error("no error")
	}
	files, err := store.Files(filepath.Dir(dir), "*")
	if want := []string{filepath.Join(dir, "file")}; err != nil || !slices.Equal(files, want) {
		t.Errorf("there are %q, %v", files, err)
	}
}

func TestWriteFileDoesNotFollowALinkLeftThere(t *testing.T) {
	dir := t.TempDir()
	precious, path := filepath.Join(dir, "precious"), filepath.Join(dir, "file")
	if err := os.WriteFile(precious, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(precious, path+".new"); err != nil {
		t.Skip(err)
	}
	if err := store.WriteFile(path, []byte("data")); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(precious); string(data) != "precious" {
		t.Errorf("it was overwritten with %q", data)
	}
}

func TestReadFileHasALimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if _, err := store.ReadFile(path, 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := store.WriteFile(path, []byte("0123456789")); err != nil {
		t.Fatal(err)
	}
	if data, err := store.ReadFile(path, 10); string(data) != "0123456789" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := store.ReadFile(path, 9); !errors.Is(err, store.ErrTooBig) {
		t.Errorf("file of 10 bytes where 9 may be: %v", err)
	}
}

func TestFilesMatch(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"r1/b-2.dat", "r1/b-1.dat", "r0/b-3.dat", "b-4.dat", "r0/c.dat", "r0/b-5.txt"} {
		if err := store.WriteFile(filepath.Join(dir, name), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "b-6.dat"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := store.Files(dir, "b-*.dat")
	var want []string
	for _, name := range []string{"b-4.dat", "r0/b-3.dat", "r1/b-1.dat", "r1/b-2.dat"} {
		want = append(want, filepath.Join(dir, name))
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := store.Files(filepath.Join(dir, "none"), "*"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
	if _, err := store.Files(dir, "["); err == nil {
		t.Error("bad pattern: no error")
	}
}
