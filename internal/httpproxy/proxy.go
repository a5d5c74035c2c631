// Package httpproxy is the HTTP proxy a browser uses to visit I2P sites.
//
// A request in absolute form (GET http://site.i2p/...) is forwarded over a
// connection of its own to the Destination; CONNECT makes a plain pipe to it.
// Only .i2p names are served: nothing here resolves or dials a clearnet name.
// What would tell visitors of a site apart is taken out of the request on the
// way; see headers.go.
//
// It sees the router through the public API alone, as any program could.
package httpproxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"sync"
	"time"
)

// Config says where the proxy listens.
type Config struct {
	// Listen is the local address browsers are told to use.
	Listen netip.AddrPort
	// Timeout bounds reaching a site, and then its answer up to the end of the
	// response header.
	Timeout time.Duration
}

const (
	// maxHeader is the most a request header may take, in bytes.
	maxHeader = 32 << 10
	// headerWait and idleWait bound how long a client may be silent within a
	// request header, and between requests.
	headerWait = 30 * time.Second
	idleWait   = 2 * time.Minute
)

// Dialer opens connections over I2P; *allium.Session is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Proxy is a running HTTP proxy.
type Proxy struct {
	cfg      Config
	dial     Dialer
	log      *slog.Logger
	listener net.Listener
	server   *http.Server
	forward  *httputil.ReverseProxy

	// life ends with Close, and every request with it.
	life context.Context
	end  context.CancelFunc

	mu     sync.Mutex
	closed bool
	active sync.WaitGroup // the server, requests and dials
}

// Listen opens the proxy's port and begins to serve it. Errors are those of
// net.Listen.
func Listen(cfg Config, dial Dialer, log *slog.Logger) (*Proxy, error) {
	listener, err := net.Listen("tcp", cfg.Listen.String())
	if err != nil {
		return nil, err
	}
	p := &Proxy{cfg: cfg, dial: dial, log: log, listener: listener}
	p.life, p.end = context.WithCancel(context.Background())
	p.forward = p.newForward()
	p.server = &http.Server{
		Handler:           http.HandlerFunc(p.serve),
		BaseContext:       func(net.Listener) context.Context { return p.life },
		ReadHeaderTimeout: headerWait,
		IdleTimeout:       idleWait,
		MaxHeaderBytes:    maxHeader,
		// "OPTIONS *" is no proxy request either.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	p.active.Go(func() {
		if err := p.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("HTTP proxy stopped", "err", err)
		}
	})
	return p, nil
}

// Addr is where it listens, with the port the system chose.
func (p *Proxy) Addr() net.Addr { return p.listener.Addr() }

// Close ends the proxy and every connection through it.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.end()
	err := p.server.Close()
	p.active.Wait()
	return err
}

// enter counts a goroutine that Close waits for, unless it has begun to.
func (p *Proxy) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.active.Add(1)
	return true
}

func (p *Proxy) serve(w http.ResponseWriter, req *http.Request) {
	if !p.enter() {
		panic(http.ErrAbortHandler)
	}
	defer p.active.Done()
	switch {
	case req.Method == http.MethodConnect:
		p.connect(w, req)
	case !req.URL.IsAbs():
		p.refuse(w, &refusal{http.StatusBadRequest, "Not a proxy request",
			"This is an HTTP proxy: set it as the HTTP proxy of your browser."})
	case req.URL.Scheme != "http":
		p.refuse(w, &refusal{http.StatusForbidden, "Not HTTP", "Sites of other kinds are reached with CONNECT."})
	default:
		p.pass(w, req)
	}
}

// visit is the key under which a request's context is a value of itself:
// http.Transport dials for whoever comes next, with the values of the context
// but not its end. Here nobody comes next.
type visit struct{}

// pass forwards a request.
func (p *Proxy) pass(w http.ResponseWriter, req *http.Request) {
	host, port := normalHost(req.URL.Hostname()), req.URL.Port()
	if r := check(host, port); r != nil {
		p.refuse(w, r)
		return
	}
	ctx := req.Context()
	req = req.WithContext(context.WithValue(ctx, visit{}, ctx))
	site := *req.URL
	site.Host = joinPort(host, port)
	req.URL, req.Host = &site, site.Host
	p.forward.ServeHTTP(w, req)
}

// newForward makes what passes requests on. A long answer may take its time:
// only reaching the site and its response header are bounded.
func (p *Proxy) newForward() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.RawQuery = r.In.URL.RawQuery // as it is, also where it is no form
			scrub(r.Out)
		},
		FlushInterval: -1, // each piece as it arrives: tunnels are slow enough
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, err error) { p.fail(w, err) },
		ErrorLog:      slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
				return p.reach(ctx.Value(visit{}).(context.Context), addr)
			},
			// One request, one stream: idle ones kept for later would link
			// requests that a browser keeps apart.
			DisableKeepAlives:      true,
			DisableCompression:     true,
			ResponseHeaderTimeout:  p.cfg.Timeout,
			MaxResponseHeaderBytes: 4 * maxHeader,
		},
	}
}

// reach dials a site.
func (p *Proxy) reach(ctx context.Context, addr string) (net.Conn, error) {
	if !p.enter() {
		return nil, net.ErrClosed
	}
	defer p.active.Done()
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	return p.dial.DialContext(ctx, "i2p", addr)
}
