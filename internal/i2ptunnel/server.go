package i2ptunnel

import (
	"context"
	"log/slog"
	"net"
	"time"
)

// ServerConfig describes a server tunnel.
type ServerConfig struct {
	// Target is the local service, host:port.
	Target string
	// Timeout bounds reaching the local service.
	Timeout time.Duration
}

// Server is a running server tunnel.
type Server struct {
	cfg      ServerConfig
	log      *slog.Logger
	listener net.Listener
	joints   joints
	stop     context.CancelFunc
}

// Serve joins every connection that listener accepts (of an allium.Session,
// as a rule) to the local service. It owns the listener from then on, unless
// it fails, for a target that is not host:port.
func Serve(cfg ServerConfig, listener net.Listener, log *slog.Logger) (*Server, error) {
	if _, _, err := net.SplitHostPort(cfg.Target); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{cfg: cfg, log: log, listener: listener, stop: stop}
	s.joints.serve(listener, log, func(remote net.Conn) { s.join(ctx, remote) })
	return s, nil
}

// Close ends the tunnel and every connection through it.
func (s *Server) Close() error {
	s.stop()
	err := s.listener.Close()
	s.joints.close()
	return err
}

func (s *Server) join(ctx context.Context, remote net.Conn) {
	dialer := net.Dialer{Timeout: s.cfg.Timeout}
	local, err := dialer.DialContext(ctx, "tcp", s.cfg.Target)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Warn("server tunnel: local service not reached", "target", s.cfg.Target, "err", err)
		}
		reset(remote)
		return
	}
	s.joints.join(remote, local)
}
