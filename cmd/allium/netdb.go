package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"allium"
	"allium/internal/daemon"
	"allium/internal/data"
	"allium/internal/netdb"
	"allium/internal/su3"
)

// netdbCommand is `allium netdb`.
type netdbCommand struct {
	Import importCommand `cmd:"" help:"Add RouterInfos from files, netDb folders, ZIP archives or signed SU3 bundles."`
}

type importCommand struct {
	Dir    string   `required:"" type:"path" placeholder:"DIR" help:"Directory of the router, which must not be running. Made if needed."`
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
	var failed []error
	done, err := allium.Import(c.Dir, cfg.Router, func(yield func(string, []byte) bool) {
		more := true
		found := func(name string, b []byte) {
			more = more && yield(name, b)
		}
		for _, path := range c.Paths {
			if err := routerInfos(path, found); err != nil {
				failed = append(failed, err)
			}
		}
	})
	if err != nil {
		return startError(err)
	}
	report(s.out, done, &cfg)
	switch {
	case len(failed) > 0:
		return usageError{errors.Join(failed...)}
	case done.Added+done.Known == 0:
		return usage("nothing was imported: no RouterInfo that can be used in %s", strings.Join(c.Paths, ", "))
	}
	return nil
}

// report tells what became of the files.
func report(w io.Writer, done allium.Imported, cfg *daemon.Config) {
	fmt.Fprintf(w, "%d added, %d known already\n", done.Added, done.Known)
	for _, refusal := range done.Refused {
		fmt.Fprintf(w, "%d refused: %s\n", refusal.Count, explain(refusal.Reason, cfg))
	}
}

// explain is a reason in words for the person who has the files.
func explain(reason error, cfg *daemon.Config) string {
	switch {
	case errors.Is(reason, netdb.ErrUnreadable):
		return "not a RouterInfo"
	case errors.Is(reason, netdb.ErrName):
		return "the file is named after another router"
	case errors.Is(reason, data.ErrSignature):
		return "the signature is wrong"
	case errors.Is(reason, netdb.ErrExpired):
		return fmt.Sprintf("published more than %.0f hours ago; routers publish anew all the time, so fetch newer files", data.RouterInfoMaxAge.Hours())
	case errors.Is(reason, netdb.ErrFuture):
		return "published in the future; see whether this computer's clock is right"
	case errors.Is(reason, netdb.ErrNetID):
		return fmt.Sprintf("not of network %d, which router.network says", cfg.Router.Network)
	case errors.Is(reason, netdb.ErrVersion):
		return fmt.Sprintf("of a router older than %s, which router.min_version says", cfg.Router.MinVersion)
	case errors.Is(reason, netdb.ErrKeys):
		return "with keys of a kind that is out of use"
	case errors.Is(reason, netdb.ErrNoAddress):
		return "without an address that can be reached; private ones count if router.private is true"
	case errors.Is(reason, netdb.ErrFull):
		return fmt.Sprintf("the router knows %d others, the most that router.max_routers allows", cfg.Router.MaxRouters)
	}
	return reason.Error()
}

// routerInfos finds the RouterInfos that a path leads to, with the names of
// their files. What is wrong with one of many files in a folder does not keep
// the others.
func routerInfos(path string, found func(name string, b []byte)) error {
	var failed []error
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			failed = append(failed, err)
			return nil
		case d.IsDir():
			return nil
		case p != path && !isRouterInfo(p):
			return nil // something else in a folder
		}
		b, err := readLimited(p, maxImport)
		if err == nil {
			err = unpack(p, b, found)
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
func unpack(name string, b []byte, found func(name string, b []byte)) error {
	switch {
	case bytes.HasPrefix(b, []byte("I2Psu3")):
		return unsign(b, found)
	case bytes.HasPrefix(b, []byte("PK\x03\x04")):
		return unzip(b, found)
	}
	found(name, b)
	return nil
}

// unsign finds the files of a bundle that a known signer has signed.
func unsign(b []byte, found func(name string, b []byte)) error {
	f, err := su3.Parse(b)
	if err != nil {
		return err
	}
	if err := f.Verify(time.Now(), su3.ReseedSigners()); err != nil {
		return err
	}
	entries, err := su3.Bundle(f.Content)
	for _, e := range entries {
		found(e.Name, e.Bytes)
	}
	return err
}

// unzip finds the files of an archive that may be RouterInfos, in whatever
// folders. What is longer than one can be is cut, and then none.
func unzip(b []byte, found func(name string, b []byte)) error {
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
		found(f.Name, content)
	}
	return nil
}

// readLimited reads a file of at most so many bytes.
func readLimited(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("longer than %d bytes", most)
	}
	return b, err
}
