// Package httpproxy is the HTTP proxy a browser uses to visit I2P sites.
//
// A request in absolute form (GET http://site.i2p/...) is forwarded over a
// connection of its own to the Destination; CONNECT makes a plain pipe to it.
// Only .i2p names are served: nothing here resolves or dials a clearnet name.
// What would tell sites apart from one another's visitors is taken out of the
// request on the way; see headers.go.
//
// It sees the router through the public API alone, as any program could.
package httpproxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"strings"
	"sync"
	"time"

	"allium"
)

// Config says where the proxy listens.
type Config struct {
	// Listen is the local address browsers are told to use.
	Listen netip.AddrPort `default:"127.0.0.1:4444" help:"address the HTTP proxy listens on" restart:"true"`
	// Timeout bounds finding, reaching and answering of a site, up to the
	// first byte of its response header.
	Timeout time.Duration `default:"90s" min:"1s" max:"10m" help:"longest wait for the first byte of an answer"`
}

// maxHeader is the most a request header may take, in bytes.
const maxHeader = 32 << 10

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
	serving  sync.WaitGroup

	mu     sync.Mutex
	pipes  map[net.Conn]struct{} // of CONNECT: http.Server forgets what is hijacked
	closed bool
}

// Listen opens the proxy's port and begins to serve it.
func Listen(cfg Config, dial Dialer, log *slog.Logger) (*Proxy, error) {
	listener, err := net.Listen("tcp", cfg.Listen.String())
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		cfg:      cfg,
		dial:     dial,
		log:      log,
		listener: listener,
		pipes:    make(map[net.Conn]struct{}),
	}
	p.forward = p.newForward()
	p.server = &http.Server{
		Handler:           http.HandlerFunc(p.serve),
		ReadHeaderTimeout: 30 * time.Second,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	p.serving.Go(func() {
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
	err := p.server.Close()
	p.mu.Lock()
	p.closed = true
	for c := range p.pipes {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.serving.Wait()
	return err
}

func (p *Proxy) serve(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodConnect {
		p.connect(w, req)
		return
	}
	if !req.URL.IsAbs() || req.URL.Scheme != "http" {
		p.refuse(w, http.StatusBadRequest, "Not a proxy request",
			"This is an HTTP proxy: set it as the HTTP proxy of your browser. HTTPS sites are reached with CONNECT.")
		return
	}
	if status, why := refusedHost(req.URL.Hostname()); status != 0 {
		p.refuse(w, status, "Not an I2P site", why)
		return
	}
	p.forward.ServeHTTP(w, req)
}

// newForward makes what passes requests on. A long answer may take its time:
// only reaching the site and its first bytes are bounded.
func (p *Proxy) newForward() *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { scrub(r.Out) },
		FlushInterval: -1, // each piece as it arrives: tunnels are slow enough
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, err error) { p.fail(w, err) },
		ErrorLog:      slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
				ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
				defer cancel()
				return p.dial.DialContext(ctx, "i2p", addr)
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

// refusedHost gives the status and reason for hosts that are not visited, or
// zero. Clearnet names are refused unresolved, so that no DNS server learns
// of them.
func refusedHost(host string) (int, string) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "" {
		return http.StatusBadRequest, "The request names no host."
	}
	if host == "localhost" || isAddress(host) {
		return http.StatusForbidden, "Addresses and localhost are not visited through I2P."
	}
	if !strings.HasSuffix(host, ".i2p") && !strings.HasSuffix(host, ".i2p.alt") {
		return http.StatusServiceUnavailable, "Only names that end in .i2p can be visited: no outproxy is configured."
	}
	return 0, ""
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

// connect joins the client to the Destination byte for byte.
func (p *Proxy) connect(w http.ResponseWriter, req *http.Request) {
	host, _, err := net.SplitHostPort(req.Host)
	if err != nil {
		p.refuse(w, http.StatusBadRequest, "Bad CONNECT", "CONNECT needs host:port.")
		return
	}
	if status, why := refusedHost(host); status != 0 {
		p.refuse(w, status, "Not an I2P site", why)
		return
	}
	ctx, cancel := context.WithTimeout(req.Context(), p.cfg.Timeout)
	defer cancel()
	remote, err := p.dial.DialContext(ctx, "i2p", req.Host)
	if err != nil {
		p.fail(w, err)
		return
	}
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = remote.Close()
		p.refuse(w, http.StatusInternalServerError, "CONNECT impossible", "This connection cannot carry a tunnel.")
		return
	}
	// Hijacking leaves the server's read deadline behind.
	_ = client.SetDeadline(time.Time{})
	if !p.keep(client, remote) {
		return
	}
	defer p.forget(client, remote)
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	pipe(buffered.Reader, client, remote)
}

// keep remembers the two ends so that Close can end them. It reports false,
// having closed them, when the proxy is closed already.
func (p *Proxy) keep(client, remote net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = client.Close()
		_ = remote.Close()
		return false
	}
	p.pipes[client] = struct{}{}
	p.pipes[remote] = struct{}{}
	return true
}

func (p *Proxy) forget(client, remote net.Conn) {
	p.mu.Lock()
	for _, c := range []net.Conn{client, remote} {
		delete(p.pipes, c)
	}
	p.mu.Unlock()
	_ = client.Close()
	_ = remote.Close()
}

// fail answers with the status scripts know from the Java router's proxy.
func (p *Proxy) fail(w http.ResponseWriter, err error) {
	var timeout net.Error
	switch {
	case errors.Is(err, allium.ErrNameUnknown):
		p.refuse(w, http.StatusBadGateway, "Unknown name",
			"No address book entry has this name. Its owner can tell you its .b32.i2p address, which works without one.")
	case errors.Is(err, allium.ErrNoLeaseSet):
		p.refuse(w, http.StatusGatewayTimeout, "Site not found",
			"The network knows no way to this site now: it is offline, or just starting. Try again in a minute.")
	case errors.Is(err, allium.ErrNotReady):
		p.refuse(w, http.StatusGatewayTimeout, "Not connected yet",
			"This router is still building its tunnels. Try again in some seconds.")
	case errors.Is(err, allium.ErrRefused):
		p.refuse(w, http.StatusForbidden, "Refused", "The site refused the connection.")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		p.refuse(w, http.StatusGatewayTimeout, "No answer", "The site did not answer in time. Try again.")
	default:
		p.refuse(w, http.StatusBadGateway, "Connection lost", "The connection to the site broke before it answered. Try again.")
	}
	p.log.Debug("request failed", "err", err)
}
