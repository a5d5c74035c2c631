package reseed

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"allium/internal/store"
	"allium/internal/su3"
)

const (
	// maxLocal is the largest file that is looked into, in bytes.
	maxLocal = 64 << 20
	// maxFound is how many RouterInfos are taken of one place: more than any
	// router knows.
	maxFound = 20000
)

// readLocal takes the routers that a path leads to, and who signed the bundle
// if it is one. Something unreadable among much else does not matter here.
func readLocal(path string, now time.Time, signers []su3.Signer) (signer string, files []su3.Entry, err error) {
	err = Files(path, now, signers, func(by, name string, b []byte) {
		if len(files) < maxFound {
			signer = by
			files = append(files, su3.Entry{Name: name, Bytes: b})
		}
	})
	if len(files) > 0 {
		err = nil
	}
	return signer, files, err
}

// Files finds the RouterInfos that a path leads to, with the names of their
// files: a RouterInfo, a folder that holds some at any depth, a ZIP archive,
// or an SU3 file, whose signer must be one of signers. For the last, signer is
// who signed, else "". What is wrong with one of many files does not keep the
// others: it is in the error, which joins all.
func Files(path string, now time.Time, signers []su3.Signer, found func(signer, name string, b []byte)) error {
	var failed []error
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			failed = append(failed, err)
			return nil
		case d.IsDir() || p != path && !isRouterInfo(p):
			return nil
		}
		b, err := store.ReadFile(p, maxLocal)
		if err == nil {
			err = unpack(p, b, now, signers, found)
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", p, err))
		}
		return nil
	})
	return errors.Join(append(failed, err)...)
}

// isRouterInfo tells by the name which files among others to look at.
func isRouterInfo(name string) bool {
	return strings.HasSuffix(name, ".dat") || strings.HasSuffix(name, ".info")
}

// unpack finds the RouterInfos in a file: it may be one, or hold many.
func unpack(name string, b []byte, now time.Time, signers []su3.Signer, found func(signer, name string, b []byte)) error {
	switch {
	case bytes.HasPrefix(b, []byte("I2Psu3")):
		return unsign(b, now, signers, found)
	case bytes.HasPrefix(b, []byte("PK\x03\x04")):
		return unzip(b, found)
	}
	found("", name, b)
	return nil
}

// unsign finds the files of a bundle that one of signers has signed. However
// old it is, its routers tell their own age.
func unsign(b []byte, now time.Time, signers []su3.Signer, found func(signer, name string, b []byte)) error {
	f, err := verified(b, now, signers)
	if err != nil {
		return err
	}
	files, err := su3.Bundle(f.Content)
	for _, e := range files {
		found(f.SignerID, e.Name, e.Bytes)
	}
	return err
}

// unzip finds the files of an archive that may be RouterInfos, in whatever
// folders. What is longer than one can be is cut, and then none.
func unzip(b []byte, found func(signer, name string, b []byte)) error {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return err
	}
	for _, f := range z.File {
		if f.FileInfo().IsDir() || !isRouterInfo(f.Name) {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		content, err := io.ReadAll(io.LimitReader(r, su3.MaxEntry+1))
		_ = r.Close() // an error of what was not read
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		found("", f.Name, content)
	}
	return nil
}
