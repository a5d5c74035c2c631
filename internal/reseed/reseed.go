// Package reseed finds a router's first acquaintances: it fetches signed
// bundles of RouterInfos from reseed servers, or takes them from a file.
//
// A [Reseeder] runs beside a router and looks after it. When the router knows
// too few others, or nobody of those it knows has answered for minutes, it
// asks servers, a few at a time in random order, until two whose signers are
// independent of each other have delivered: one alone could choose whom the
// router will ever meet. Whatever goes wrong is tried again for ever, with
// growing pauses. If only one server is left in the world, it has to do, and
// the others are asked a while longer in the background.
//
// Nothing from the net is believed before its signature: the server's HTTPS
// certificate only keeps lookers-on away, and the bundle's signer must be one
// of those built in (package su3) or named by the operator. What the bundle
// holds is then for the router's netDb to judge. A bundle without a signature
// is taken only from a file that the operator named.
//
// The way to a server may be blocked, poisoned or watched. So there are
// proxies, an own choice of servers, and files carried by hand. For each
// server tried it is known when and why it failed, see [Status].
//
// What a router knows it can also give to others: [Choose] picks routers that
// are worth being passed on, and [Key] signs bundles of them.
package reseed

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"allium/internal/data"
	"allium/internal/store"
	"allium/internal/su3"
)

// Config says when and where to reseed.
type Config struct {
	Enabled     bool     `default:"true" help:"Ask reseed servers for routers when too few are known or none of them answers."`
	URLs        []string `help:"Reseed servers to ask, such as https://reseed.example.org/. Empty for those of the public network; private networks have none."`
	File        string   `help:"Where to take routers from before any server is asked: an SU3 file, a ZIP archive or a folder of RouterInfos, or the https address of an SU3 file. Servers follow if it gives too few."`
	Signers     []string `help:"Files with certificates of signers whose bundles to take, besides those built in."`
	Authorities []string `help:"Files with certificates to accept from reseed servers and those who vouch for them, besides the system's."`
	Proxy       string   `help:"Proxy to fetch through, such as socks5://127.0.0.1:9050 or http://user:password@192.0.2.1:3128. It also resolves the names."`
	Threshold   int      `default:"50" min:"1" max:"1000" unit:"routers" help:"Below so many known routers others are asked for."`
}

// Knowledge is what a router knows of the network, as far as it tells whether
// to reseed.
type Knowledge struct {
	Routers int       // known, of whatever age
	Newest  time.Time // when the newest of their RouterInfos was published
	Peers   int       // routers there is a session with
}

// Taken is what became of the RouterInfos of a bundle.
type Taken struct {
	Usable int    // now known, whether or not they were before
	Why    Reason // why most of the others are not, if any are not
}

// Router is who is looked after. Its methods are called from goroutines of a
// Reseeder.
type Router interface {
	Known() Knowledge
	// Take adds RouterInfos to what is known, after checking each.
	Take(files []su3.Entry) Taken
}

// Dial makes the connections to servers and proxies, as net.Dialer's
// DialContext, and resolves their names.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Wiring is what a Reseeder works with.
type Wiring struct {
	// NetID is the network of the router.
	NetID uint8
	// Servers are asked unless the settings name others; those of the public
	// network are [Servers].
	Servers []Server
	Router  Router
	Dial    Dial
	// Now is the network's time, by which certificates and files are judged.
	Now func() time.Time
	Log *slog.Logger
}

// ErrConfig reports settings that cannot be used; it says which.
var ErrConfig = errors.New("reseed")

// maxCertificate is the longest file of certificates, in bytes.
const maxCertificate = 1 << 20

// Reseeder finds routers for a router. Run and Once may not overlap.
type Reseeder struct {
	cfg     Config
	w       Wiring
	client  *client
	signers []su3.Signer
	sources []source
	poke    chan struct{}

	mu     sync.Mutex
	status Status
}

// New makes a Reseeder. It fails with ErrConfig for settings that make no
// sense and files that cannot be read.
func New(cfg Config, w Wiring) (*Reseeder, error) {
	r := &Reseeder{cfg: cfg, w: w, poke: make(chan struct{}, 1)}
	proxy, err := cfg.check()
	if err != nil {
		return nil, err
	}
	if r.signers, err = cfg.signers(); err != nil {
		return nil, err
	}
	roots, err := cfg.roots()
	if err != nil {
		return nil, err
	}
	r.client = newClient(w.Dial, proxy, roots, w.Now)
	r.sources = cfg.sources(w.Servers)
	r.status = newStatus(r.sources, cfg.Enabled)
	return r, nil
}

// Check finds settings that make no sense, without looking into files: an
// error that wraps ErrConfig, and begins with the key.
func (c *Config) Check() error {
	_, err := c.check()
	return err
}

func (c *Config) check() (proxy *url.URL, err error) {
	for _, u := range c.URLs {
		if !isHTTPS(u) {
			return nil, fmt.Errorf("%w.urls: %q is not the address of a server, such as https://reseed.example.org/", ErrConfig, u)
		}
	}
	if c.Proxy == "" {
		return nil, nil
	}
	proxy, err = url.Parse(c.Proxy)
	if err != nil || proxy.Hostname() == "" || proxy.Port() == "" {
		// The text may hold a password.
		return nil, fmt.Errorf("%w.proxy: this is not the address of a proxy, such as socks5://127.0.0.1:9050", ErrConfig)
	}
	switch proxy.Scheme {
	case "socks5", "http", "https":
		return proxy, nil
	}
	return nil, fmt.Errorf("%w.proxy: a proxy is socks5, http or https, not %q", ErrConfig, proxy.Scheme)
}

// isHTTPS tells addresses of servers.
func isHTTPS(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != ""
}

// signers are all who may sign bundles.
func (c *Config) signers() ([]su3.Signer, error) {
	signers := su3.ReseedSigners()
	for _, file := range c.Signers {
		text, err := store.ReadFile(file, maxCertificate)
		if err != nil {
			return nil, fmt.Errorf("%w.signers: %w", ErrConfig, err)
		}
		s, err := su3.ParseSigner(text)
		if err != nil {
			return nil, fmt.Errorf("%w.signers: %s: %w", ErrConfig, filepath.Base(file), err)
		}
		signers = append(signers, s)
	}
	return signers, nil
}

// roots are who may vouch for servers; nil is the system's.
func (c *Config) roots() (*x509.CertPool, error) {
	if len(c.Authorities) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a system that has none
	}
	for _, file := range c.Authorities {
		text, err := store.ReadFile(file, maxCertificate)
		if err != nil {
			return nil, fmt.Errorf("%w.authorities: %w", ErrConfig, err)
		}
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%w.authorities: there is no certificate in %s", ErrConfig, filepath.Base(file))
		}
	}
	return pool, nil
}

// leastUsable is how many routers a bundle must give to count. A private
// network may not have many.
func (r *Reseeder) leastUsable() int {
	if r.w.NetID == data.MainNet {
		return 25
	}
	return 1
}
