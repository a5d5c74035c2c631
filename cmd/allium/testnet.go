package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"

	"allium/internal/setting"
	"allium/internal/testnet"
)

// testnetCommand is `allium testnet`.
type testnetCommand struct {
	Routers int    `default:"10" help:"How many routers."`
	Hops    int    `default:"3" help:"How many routers each tunnel passes."`
	Once    bool   `help:"Fetch the page through the proxy, print figures and stop."`
	Bytes   string `placeholder:"SIZE" help:"Also fetch a body of that size, such as 20MB, and check its hash. Implies --once."`
	JSON    bool   `help:"Print the figures as one JSON object on standard output. Implies --once."`
	Proxy   string `default:"127.0.0.1:0" help:"Address for the HTTP proxy to listen on. Port 0 picks one."`
	Verbose bool   `short:"v" help:"Log what the routers do."`
}

// errStopped is for whoever waits for figures that will not come.
var errStopped = errors.New("stopped before the figures were complete")

// Run implements the command.
func (c *testnetCommand) Run(ctx context.Context, s *streams) error {
	proxy, err := netip.ParseAddrPort(c.Proxy)
	if err != nil {
		return usage("--proxy: %q is not address:port", c.Proxy)
	}
	var size setting.Size
	if c.Bytes != "" {
		if err := size.UnmarshalText([]byte(c.Bytes)); err != nil || size <= 0 || size > testnet.MaxBody {
			return usage("--bytes: %q is not a size from 1 to %v, such as 20MB", c.Bytes, setting.Size(testnet.MaxBody))
		}
	}
	cfg := testnet.Config{
		Routers: c.Routers, Hops: c.Hops, Proxy: proxy,
		Progress: func(line string) { fmt.Fprintln(s.err, line) },
	}
	if c.Verbose {
		cfg.Log = slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if err := cfg.Check(); err != nil {
		return usageError{err}
	}
	once := c.Once || size > 0 || c.JSON
	n, err := testnet.Start(ctx, cfg)
	switch {
	case ctx.Err() != nil && n == nil && once:
		return errStopped
	case ctx.Err() != nil && n == nil:
		return nil // stopped while it started
	case err != nil:
		return startError(err)
	}
	if once {
		figures, err := n.Measure(ctx, int64(size))
		if ctx.Err() != nil {
			err = errStopped
		}
		if err := errors.Join(err, n.Close()); err != nil {
			return err
		}
		return c.print(s, figures)
	}
	return errors.Join(c.stay(ctx, s, n), n.Close())
}

// print prints the figures.
func (c *testnetCommand) print(s *streams, f testnet.Figures) error {
	if c.JSON {
		return json.NewEncoder(s.out).Encode(f)
	}
	fmt.Fprintf(s.out, "ready after %.1f s, first page after %.1f s, a page in %.1f ms (median), %.0f %% of tunnel builds succeeded\n",
		f.ReadyS, f.FirstPageS, f.P50ms, 100*f.BuildSuccess)
	if f.MBperS > 0 {
		fmt.Fprintf(s.out, "%.2f MB/s\n", f.MBperS)
	}
	return nil
}

// stay tells what to try and waits for the end.
func (c *testnetCommand) stay(ctx context.Context, s *streams, n *testnet.Network) error {
	if err := n.Ready(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // stopped while it formed
		}
		return err
	}
	fmt.Fprintf(s.out, `
The network is up. In another terminal, or with this proxy set in a browser, try

  curl -x %[1]s http://welcome.i2p/
  curl -x %[1]s http://%[2]s/
  curl -x %[1]s -o /dev/null http://welcome.i2p/bytes/20000000

Ctrl-C stops it.
`, n.ProxyURL(), n.SiteHost())
	<-ctx.Done()
	return nil
}
