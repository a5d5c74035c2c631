package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// WriteFile puts data into the file at path, with mode 0600 and directories
// of mode 0700 above it where there are none. Whenever the process or the
// machine dies, the file has its old content or the new one, whole; when
// WriteFile returns nil, it has the new one. Calls for one path must not
// overlap.
func WriteFile(path string, data []byte) error {
	if err := writeFile(path, data); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

func writeFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// One name for the new file, so that those of calls that died do not
	// pile up.
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeThrough(fresh, data); err != nil {
		os.Remove(fresh)
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		os.Remove(fresh)
		return err
	}
	return syncDir(dir)
}

// writeThrough creates a file and returns when its data is on the disk.
func writeThrough(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir returns when the names in dir are on the disk.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // does it by itself and does not let us ask
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ReadFile reads the file at path. A file of more than most bytes is
// ErrTooBig.
func ReadFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("store: %s: %w: more than %d bytes", path, ErrTooBig, most)
	}
	return data, nil
}

// Files lists the files in dir and in the directories below it whose own name
// matches pattern, as path/filepath.Match understands it, each directory in the
// order of its names. It does not follow symbolic links below dir.
func Files(dir, pattern string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		ok, err := filepath.Match(pattern, d.Name())
		if ok && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return files, nil
}
