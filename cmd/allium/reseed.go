package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"allium"
	"allium/internal/daemon"
	"allium/internal/data"
	"allium/internal/reseed"
	"allium/internal/store"
	"allium/internal/su3"
)

// reseedCommand is `allium reseed`.
type reseedCommand struct {
	Fetch  fetchCommand  `cmd:"" help:"Fetch first routers for a router that is not running: from reseed servers, a file or an address. A running router does so by itself."`
	Export exportCommand `cmd:"" help:"Write a signed bundle of routers for somebody to take away, from the directory of a router that is not running."`
	Serve  serveCommand  `cmd:"" help:"Run a router that is a reseed server for others besides."`
}

// fetchCommand is `allium reseed fetch`.
type fetchCommand struct {
	Dir        string   `default:"${dir}" type:"path" placeholder:"DIR" help:"Directory of the router, which must not be running. Made if needed. (${dir})"`
	Config     string   `type:"path" placeholder:"FILE" help:"The router's settings file: it says which network is meant, and has settings for reseeding."`
	From       string   `placeholder:"FILE|URL" help:"Take routers from here alone: an SU3 file, a ZIP archive, a folder of RouterInfos, the https address of an SU3 file, or that of a reseed server."`
	SignerCert []string `type:"path" placeholder:"FILE" help:"Certificate of somebody whose SU3 files to take, besides those built in."`
	Authority  []string `type:"path" placeholder:"FILE" help:"Certificate to accept from a server, or from those who vouch for it, besides the system's."`
	Proxy      string   `placeholder:"URL" help:"Proxy to fetch through, such as socks5://127.0.0.1:9050."`
}

// Run implements the command.
func (c *fetchCommand) Run(ctx context.Context, s *streams) error {
	cfg, err := loadConfig(c.Config, s)
	if err != nil {
		return err
	}
	nobody := func(func(string, []byte) bool) {}
	if _, err := allium.Import(c.Dir, cfg.Router, nobody); err != nil {
		return offlineError(err) // before anybody is asked in vain
	}
	into := &offline{dir: c.Dir, cfg: &cfg}
	r, err := reseed.New(c.settings(cfg.Router.Reseed), c.wiring(into))
	if err != nil {
		return usageError{err}
	}
	if len(r.Status().Sources) == 0 {
		return usage("network %d has no public reseed servers: name one with --from", cfg.Router.Network)
	}
	done := r.Once(ctx, func(src reseed.SourceStatus) { tell(s, src) })
	switch {
	case into.err != nil:
		return startError(into.err)
	case ctx.Err() != nil:
		return errors.New("stopped before there were routers enough")
	case !done && c.From != "":
		return usage("no routers came from %s", c.From)
	case !done:
		return errors.New("no routers came from anywhere; see --from and --proxy for other ways")
	}
	fmt.Fprintf(s.out, "%d routers added, %d known already\n", into.added, into.known)
	return nil
}

// settings are those of the file with what the command says over them.
func (c *fetchCommand) settings(cfg reseed.Config) reseed.Config {
	cfg.Signers = append(cfg.Signers, c.SignerCert...)
	cfg.Authorities = append(cfg.Authorities, c.Authority...)
	if c.Proxy != "" {
		cfg.Proxy = c.Proxy
	}
	if c.From == "" {
		return cfg
	}
	cfg.File, cfg.URLs = "", nil
	if u, err := url.Parse(c.From); err == nil && u.Scheme == "https" && !strings.HasSuffix(u.Path, ".su3") {
		cfg.URLs = []string{c.From}
	} else {
		cfg.File = c.From
	}
	return cfg
}

// wiring asks the public servers if nothing else is named.
func (c *fetchCommand) wiring(into *offline) reseed.Wiring {
	router := &into.cfg.Router
	w := reseed.Wiring{
		NetID: router.Network, Router: into, Dial: router.Dialer().DialContext,
		Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
	if c.From == "" && router.Network == data.MainNet {
		w.Servers = reseed.Servers()
	}
	return w
}

// offlineError tells why the directory of a router cannot be worked on.
func offlineError(err error) error {
	if errors.Is(err, store.ErrLocked) {
		return usageError{fmt.Errorf("the router is running: stop it for the moment (%w)", err)}
	}
	return startError(err)
}

// tell prints what came of a source.
func tell(s *streams, src reseed.SourceStatus) {
	switch {
	case src.Why != "":
		fmt.Fprintf(s.err, "%s: %s (%s)\n", src.Source, src.Why, src.Detail)
	case src.Signer != "":
		fmt.Fprintf(s.err, "%s: %d routers, signed by %s\n", src.Source, src.Routers, src.Signer)
	default:
		fmt.Fprintf(s.err, "%s: %d routers, unsigned\n", src.Source, src.Routers)
	}
}

// offline is a router that is not running.
type offline struct {
	dir string
	cfg *daemon.Config

	mu           sync.Mutex // one at a time opens the store
	added, known int
	err          error
}

// Known implements reseed.Router; routers are fetched however many there are.
func (o *offline) Known() reseed.Knowledge { return reseed.Knowledge{} }

// Take puts routers into the directory.
func (o *offline) Take(files []su3.Entry) reseed.Taken {
	o.mu.Lock()
	defer o.mu.Unlock()
	done, err := allium.Import(o.dir, o.cfg.Router, func(yield func(string, []byte) bool) {
		for _, f := range files {
			if !yield(f.Name, f.Bytes) {
				return
			}
		}
	})
	if err != nil {
		o.err = err
	}
	o.added += done.Added
	o.known += done.Known
	return reseed.TakenBy(done)
}
