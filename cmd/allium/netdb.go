package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"allium"
	"allium/internal/daemon"
	"allium/internal/data"
	"allium/internal/netdb"
	"allium/internal/reseed"
	"allium/internal/su3"
)

// netdbCommand is `allium netdb`.
type netdbCommand struct {
	Import importCommand `cmd:"" help:"Add RouterInfos from files, netDb folders, ZIP archives or signed SU3 bundles."`
}

type importCommand struct {
	Dir    string   `default:"${dir}" type:"path" placeholder:"DIR" help:"Directory of the router, which must not be running. Made if needed. (${dir})"`
	Config string   `type:"path" placeholder:"FILE" help:"The router's settings file: it says which network is meant."`
	Paths  []string `arg:"" type:"path" help:"RouterInfo files, folders that hold some at any depth, ZIP archives, SU3 files."`
}

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
		found := func(_, name string, b []byte) {
			more = more && yield(name, b)
		}
		for _, path := range c.Paths {
			if err := reseed.Files(path, time.Now(), su3.ReseedSigners(), found); err != nil {
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
