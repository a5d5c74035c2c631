// Package reseedserver lets other routers find their first acquaintances with
// us: it hands out signed bundles of RouterInfos over HTTPS, as every router
// understands them.
//
// Whoever collects all bundles of a server knows much of the network. So the
// bundles are made of a random half of the routers worth passing on; there are
// few of them; and all clients of one network (/24, or /48 of IPv6) get the same
// one until all are made anew, hours later. How often a network may ask is
// bounded. No client's address is kept or logged.
//
// Clients are told apart from browsers and search engines by what all routers
// say: the name of the file, the User-Agent and the number of the network.
package reseedserver

import (
	"context"
	"crypto/tls"
	"errors"
	"iter"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/time/rate"

	"allium/internal/random"
	"allium/internal/reseed"
)

// Config says where and what to serve.
type Config struct {
	Listen netip.AddrPort
	// Certificate is the one for HTTPS.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	NetID       uint8
	// Routers is how many are in a bundle, and Least how few do for a start.
	Routers, Least int
	// Renew is for how long bundles are used.
	Renew time.Duration
	// PerHour is how many bundles a network of clients gets in an hour.
	PerHour int
}

const (
	// path and userAgent are what routers ask for, and call themselves.
	path      = "/i2pseeds.su3"
	userAgent = "Wget/1.11.4"
	// maxClients is how many connections there may be.
	maxClients = 256
	// perSecond is how many bundles are sent at most.
	perSecond = 20
	// retryEvery is how often it is seen whether there are enough routers yet.
	retryEvery = 30 * time.Second
)

// Routers gives routers worth being passed on, at most n in random order, with
// file names.
type Routers func(n int) iter.Seq2[string, []byte]

// Server is a running reseed server.
type Server struct {
	cfg     Config
	key     *reseed.Key
	routers Routers
	log     *slog.Logger
	ln      net.Listener
	http    *http.Server
	stop    context.CancelFunc
	tasks   sync.WaitGroup
	total   *rate.Limiter

	mu      sync.Mutex
	bundles [][]byte
	secret  [16]byte // who gets which
	clients clients
	status  Status
}

// Status is what a Server has done.
type Status struct {
	// Bundles there are now, each of Routers, made at Made; none while too few
	// routers are known.
	Bundles, Routers int
	Made             time.Time
	// Served counts the bundles sent, Refused requests that no router makes,
	// Limited those of clients who ask too often, and Early those that came
	// when there were no bundles.
	Served, Refused, Limited, Early uint64
}

// Listen starts a server. It fails when it cannot listen.
func Listen(cfg Config, key *reseed.Key, routers Routers, l *slog.Logger) (*Server, error) {
	ln, err := net.Listen("tcp", cfg.Listen.String())
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, key: key, routers: routers, log: l, ln: ln, total: rate.NewLimiter(perSecond, 2*perSecond)}
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 15 * time.Second,
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       15 * time.Second,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          log.New(nowhere{}, "", 0), // it would tell addresses
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.tasks.Go(func() { s.keep(ctx) })
	secure := tls.NewListener(netutil.LimitListener(ln, maxClients), &tls.Config{GetCertificate: cfg.Certificate, MinVersion: tls.VersionTLS12})
	s.tasks.Go(func() {
		if err := s.http.Serve(secure); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("reseed server stopped", "err", err)
		}
	})
	return s, nil
}

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Close stops it.
func (s *Server) Close() error {
	s.stop()
	err := s.http.Close()
	s.tasks.Wait()
	return err
}

// Status tells what it has done.
func (s *Server) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// keep makes the bundles, and makes them anew.
func (s *Server) keep(ctx context.Context) {
	for {
		s.renew()
		pause := retryEvery
		if s.Status().Bundles > 0 {
			pause = random.Between(s.cfg.Renew*3/4, s.cfg.Renew*5/4)
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	switch {
	case req.URL.Path != path:
		s.refuse(w, http.StatusNotFound, func(st *Status) { st.Refused++ })
		return
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		s.refuse(w, http.StatusMethodNotAllowed, func(st *Status) { st.Refused++ })
		return
	case req.UserAgent() != userAgent || !s.ours(req):
		s.refuse(w, http.StatusForbidden, func(st *Status) { st.Refused++ })
		return
	}
	client, ok := network(req.RemoteAddr)
	b, limited := s.bundle(client, time.Now())
	switch {
	case !ok || limited:
		w.Header().Set("Retry-After", "3600")
		s.refuse(w, http.StatusTooManyRequests, func(st *Status) { st.Limited++ })
		return
	case b == nil:
		w.Header().Set("Retry-After", "600")
		s.refuse(w, http.StatusServiceUnavailable, func(st *Status) { st.Early++ })
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Header().Set("Cache-Control", "no-store")
	if req.Method == http.MethodHead {
		return
	}
	if _, err := w.Write(b); err == nil {
		s.count(func(st *Status) { st.Served++ })
	}
}

// ours tells requests of our network; old routers do not say.
func (s *Server) ours(req *http.Request) bool {
	id := req.URL.Query().Get("netid")
	return id == "" || id == strconv.Itoa(int(s.cfg.NetID))
}

func (s *Server) refuse(w http.ResponseWriter, code int, count func(*Status)) {
	s.count(count)
	http.Error(w, http.StatusText(code), code)
}

func (s *Server) count(change func(*Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.status)
}
