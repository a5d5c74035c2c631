// Package testnet is a private I2P network in one process: routers that talk
// over real sockets on loopback, a page hosted by one of them, and an HTTP
// proxy on another that fetches it through tunnels of the others.
//
// It is for trying Allium out, for measuring it, and a test of the whole: it
// uses nothing but the public API.
package testnet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"allium"
	"allium/internal/httpproxy"
)

// Config describes a network.
type Config struct {
	// Routers is how many there are, at least Hops+2.
	Routers int
	// Hops is the length of every client tunnel.
	Hops int
	// Proxy is where the HTTP proxy listens; port 0 picks one.
	Proxy netip.AddrPort
	// Log gets what the routers log; nil for nothing.
	Log *slog.Logger
	// Progress is told what is going on, in short lines, one at a time; nil
	// for nobody.
	Progress func(line string)
}

// ErrTooFew reports a network that is too small for its tunnels.
var ErrTooFew = errors.New("testnet: too few routers")

const (
	// MaxRouters is how many routers one process is asked to run at most.
	MaxRouters = 200
	// minFloodfills and maxFloodfills are how many of them keep the network
	// database: one alone would have nobody to publish to.
	minFloodfills, maxFloodfills = 2, 5
	// clientTunnels is how many tunnels each way site and visitor have.
	clientTunnels = 3
	// reportEvery is how often progress is told.
	reportEvery = time.Second
)

// Network is a running network.
type Network struct {
	cfg     Config
	began   time.Time
	routers []*allium.Router
	site    *allium.Session
	visitor *allium.Session
	proxy   *httpproxy.Proxy
	server  *http.Server
	serving sync.WaitGroup

	telling sync.Mutex // one line at a time
}

// Check fails with ErrTooFew, or for numbers that make no network.
func (c *Config) Check() error {
	switch {
	case c.Hops < 0 || c.Hops > 7:
		return fmt.Errorf("testnet: tunnels have 0 to 7 hops, not %d", c.Hops)
	case c.Routers > MaxRouters:
		return fmt.Errorf("testnet: at most %d routers, not %d", MaxRouters, c.Routers)
	case c.Routers < c.Hops+2 || c.Routers < 2:
		return fmt.Errorf("%w: tunnels of %d hops need %d routers", ErrTooFew, c.Hops, max(c.Hops+2, 2))
	}
	return nil
}

// Start starts the routers, the site and the proxy. It does not wait for
// their tunnels: see Ready. It fails, with everything closed again, for what
// Check refuses, when the proxy cannot listen, or when ctx is done.
func Start(ctx context.Context, cfg Config) (*Network, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	n := &Network{cfg: cfg, began: time.Now()}
	if err := n.start(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Network) start(ctx context.Context) error {
	if err := n.startRouters(ctx); err != nil {
		return err
	}
	n.introduce()
	if err := n.openSite(ctx); err != nil {
		return err
	}
	return n.openProxy(ctx)
}

// startRouters starts all routers under a network id of their own.
func (n *Network) startRouters(ctx context.Context) error {
	network := uint8(16 + rand.IntN(254-16+1))
	for i := range n.cfg.Routers {
		s := allium.DefaultSettings()
		s.Network = network
		s.Private = true
		s.MinVersion = ""
		s.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
		s.Floodfill = allium.FloodfillOff
		if i < max(minFloodfills, min(maxFloodfills, (n.cfg.Routers+1)/2)) {
			s.Floodfill = allium.FloodfillOn
		}
		s.Share = 100e6
		length := min(2, n.cfg.Hops)
		s.Exploratory.Inbound.Length, s.Exploratory.Outbound.Length = length, length
		r, err := allium.Start(ctx, allium.Config{Settings: s, Log: n.cfg.Log.With("router", i)})
		if err != nil {
			return err
		}
		n.routers = append(n.routers, r)
	}
	n.say("%d routers started, network id %d", len(n.routers), network)
	return nil
}

// introduce makes every router know every other one, as reseeding would.
func (n *Network) introduce() {
	for i, r := range n.routers {
		r.Import(func(yield func(string, []byte) bool) {
			for j, other := range n.routers {
				if j != i && !yield("router.info", other.RouterInfo()) {
					return
				}
			}
		})
	}
}

// tunnels is what site and visitor have.
func (n *Network) tunnels() allium.TunnelConfig {
	t := allium.DefaultSettings().Tunnels
	t.Inbound.Length, t.Outbound.Length = n.cfg.Hops, n.cfg.Hops
	t.Inbound.Quantity, t.Outbound.Quantity = clientTunnels, clientTunnels
	return t
}

// openSite hosts the page on the first router.
func (n *Network) openSite(ctx context.Context) (err error) {
	n.site, err = n.routers[0].Open(ctx, allium.SessionConfig{Name: "site", Tunnels: n.tunnels()})
	if err != nil {
		return err
	}
	ln, err := n.site.Listen("i2p", ":80")
	if err != nil {
		return err
	}
	n.server = &http.Server{Handler: siteHandler(), ReadHeaderTimeout: time.Minute}
	n.serving.Go(func() {
		if err := n.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			n.say("the site stopped: %v", err)
		}
	})
	return nil
}

// openProxy opens the HTTP proxy on the last router, which knows the site by
// name.
func (n *Network) openProxy(ctx context.Context) (err error) {
	last := n.routers[len(n.routers)-1]
	n.visitor, err = last.Open(ctx, allium.SessionConfig{Name: "visitor", Tunnels: n.tunnels(), Unpublished: true})
	if err != nil {
		return err
	}
	if _, err := last.AddHosts([]byte(siteName + "=" + n.site.Destination() + "\n")); err != nil {
		return err
	}
	n.proxy, err = httpproxy.Listen(httpproxy.Config{Listen: n.cfg.Proxy, Timeout: time.Minute}, n.visitor, n.cfg.Log)
	return err
}

// Ready waits until site and visitor have their tunnels and the site can be
// found, telling how it goes.
func (n *Network) Ready(ctx context.Context) error {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	result := make(chan error, 1)
	n.serving.Go(func() {
		result <- errors.Join(n.site.Ready(ctx), n.visitor.Ready(ctx))
	})
	for {
		select {
		case err := <-result:
			if err == nil {
				n.say("ready")
			}
			return err
		case <-tick.C:
			n.report()
		}
	}
}

// report tells how far the network has come.
func (n *Network) report() {
	known, sessions, ready := 0, 0, 0
	for _, r := range n.routers {
		s := r.Status()
		known += s.Known.Routers
		sessions += s.Peers.Sessions
		if s.Ready {
			ready++
		}
	}
	b := n.Builds()
	n.say("%d routers known to each, %d connections, %d of %d routers have tunnels; %d tunnels built, %d building, %d failed",
		known/len(n.routers), sessions/2, ready, len(n.routers), b.Built, b.UnderWay, b.Failed)
}

// Builds sums up the tunnel builds of all routers.
func (n *Network) Builds() allium.Builds {
	sum := allium.Builds{Causes: map[string]int{}}
	for _, r := range n.routers {
		b := r.Status().Builds
		sum.Built += b.Built
		sum.Failed += b.Failed
		sum.Late += b.Late
		sum.UnderWay += b.UnderWay
		for cause, count := range b.Causes {
			sum.Causes[cause] += count
		}
	}
	if all := sum.Built + sum.Failed; all > 0 {
		sum.Success = float64(sum.Built) / float64(all)
	}
	return sum
}

// SiteHost is the .b32.i2p address of the site.
func (n *Network) SiteHost() string { return n.site.Host() }

// ProxyURL is where the HTTP proxy listens.
func (n *Network) ProxyURL() *url.URL {
	return &url.URL{Scheme: "http", Host: n.proxy.Addr().String()}
}

// say tells progress with the time since the start.
func (n *Network) say(format string, args ...any) {
	n.telling.Lock()
	defer n.telling.Unlock()
	if n.cfg.Progress != nil {
		n.cfg.Progress(fmt.Sprintf("%6.1fs  ", time.Since(n.began).Seconds()) + fmt.Sprintf(format, args...))
	}
}

// Close stops everything. Routers stop side by side.
func (n *Network) Close() error {
	var errs []error
	if n.proxy != nil {
		errs = append(errs, n.proxy.Close())
	}
	if n.server != nil {
		errs = append(errs, n.server.Close())
	}
	failed := make([]error, len(n.routers))
	var closing sync.WaitGroup
	for i, r := range n.routers {
		closing.Go(func() { failed[i] = r.Close() })
	}
	closing.Wait()
	n.serving.Wait()
	return errors.Join(append(errs, failed...)...)
}
