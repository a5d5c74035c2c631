package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// statusServer answers GET /api/status and GET /api/transit.
type statusServer struct {
	server  *http.Server
	serving sync.WaitGroup
}

func (d *Daemon) startStatus() error {
	ln, err := net.Listen("tcp", d.cfg.Status.Listen.String())
	if err != nil {
		return fmt.Errorf("status.listen: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/status", func(w http.ResponseWriter, _ *http.Request) { serveJSON(w, d.router.Status()) })
	mux.HandleFunc("GET /api/transit", func(w http.ResponseWriter, _ *http.Request) { serveJSON(w, d.router.TransitTunnels()) })
	s := &statusServer{
		server: &http.Server{
			Handler:           onlyByAddress(mux),
			ReadHeaderTimeout: 10 * time.Second,
			WriteTimeout:      time.Minute,
			IdleTimeout:       time.Minute,
			MaxHeaderBytes:    16 << 10,
			ErrorLog:          slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
		},
	}
	s.serving.Go(func() {
		if err := s.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("status server stopped", "err", err)
		}
	})
	d.parts = append(d.parts, part{"status", ln.Addr(), s})
	d.log.Info("status served", "url", "http://"+ln.Addr().String()+"/api/status")
	return nil
}

// Close stops the server.
func (s *statusServer) Close() error {
	err := s.server.Close()
	s.serving.Wait()
	return err
}

func serveJSON(w http.ResponseWriter, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	// A client that is gone needs no answer.
	_, _ = w.Write(append(b, '\n'))
}

// onlyByAddress refuses requests that name a host other than an address or
// localhost: the name of a page elsewhere could be made to point here, and its
// scripts would read the status.
func onlyByAddress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		host := req.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err != nil && !strings.EqualFold(host, "localhost") {
			http.Error(w, "ask for the status by address, not by name", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, req)
	})
}
