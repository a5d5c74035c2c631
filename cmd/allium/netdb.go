package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"allium"
	"allium/internal/su3"
)

// netdbCommand is `allium netdb`.
type netdbCommand struct {
	Import importCommand `cmd:"" help:"Add RouterInfos from files, netDb folders, ZIP archives or signed SU3 bundles."`
}

type importCommand struct {
	Dir    string   `required:"" type:"path" placeholder:"DIR" help:"Directory of the router."`
	Config string   `type:"path" placeholder:"FILE" help:"The router's settings file: it says which network is meant."`
	Paths  []string `arg:"" type:"path" help:"RouterInfo files, folders that hold some at any depth, ZIP archives, SU3 files."`
}

// maxImport is the largest file that is looked into, in bytes.
const maxImport = 64 << 20

// Run implements the command.
func (c *importCommand) Run(s *streams) error {
	cfg, err := loadConfig(c.Config, s)
	if err != nil {
		return err
	}
	for _, path := range c.Paths {
		if _, err := os.Stat(path); err != nil {
			return usageError{err}
		}
	}
	var failed error
	files := func(yield func(string, []byte) bool) {
		for _, path := range c.Paths {
			for name, b := range routerInfos(path, &failed) {
				if !yield(name, b) {
					return
				}
			}
		}
	}
	done, err := allium.Import(c.Dir, cfg.Router, files)
	if err := errors.Join(failed, err); err != nil {
		return usageError{err}
	}
	fmt.Fprintf(s.out, "%d added, %d known already\n", done.Added, done.Known)
	for _, refusal := range done.Refused {
		fmt.Fprintf(s.out, "%d refused: %v\n", refusal.Count, refusal.Reason)
	}
	if done.Added+done.Known == 0 {
		return usage("no usable RouterInfo of network %d in %s", cfg.Router.Network, strings.Join(c.Paths, ", "))
	}
	return nil
}

// routerInfos yields the RouterInfos that a path leads to. What cannot be read
// is noted in failed.
func routerInfos(path string, failed *error) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := readLimited(p)
			if err != nil {
				return err
			}
			if p != path && !strings.HasSuffix(p, ".dat") && !strings.HasSuffix(p, ".info") {
				return nil // something else in a folder
			}
			entries, err := unpack(p, b)
			if err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
			for _, e := range entries {
				if !yield(e.Name, e.Bytes) {
					return fs.SkipAll
				}
			}
			return nil
		})
		*failed = errors.Join(*failed, err)
	}
}

// unpack gives the RouterInfos in a file: it may be one, or hold many.
func unpack(name string, b []byte) ([]su3.Entry, error) {
	switch {
	case bytes.HasPrefix(b, []byte("I2Psu3")):
		f, err := su3.Parse(b)
		if err != nil {
			return nil, err
		}
		if err := f.Verify(time.Now(), su3.ReseedSigners()); err != nil {
			return nil, err
		}
		return su3.Bundle(f.Content)
	case bytes.HasPrefix(b, []byte("PK\x03\x04")):
		return unzip(b)
	}
	return []su3.Entry{{Name: filepath.Base(name), Bytes: b}}, nil
}

// unzip gives the files of an archive that may be RouterInfos, in whatever
// folders.
func unzip(b []byte) ([]su3.Entry, error) {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	var all []su3.Entry
	for _, f := range z.File {
		if f.FileInfo().IsDir() || !strings.HasSuffix(f.Name, ".dat") && !strings.HasSuffix(f.Name, ".info") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(io.LimitReader(r, su3.MaxEntry+1))
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
		all = append(all, su3.Entry{Name: filepath.Base(f.Name), Bytes: content})
	}
	return all, nil
}

func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxImport+1))
	if err == nil && len(b) > maxImport {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxImport)
	}
	return b, err
}

// version is what the binary was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}
