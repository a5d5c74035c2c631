// Package daemon puts everything together for a running service: one router
// with its proxy, its tunnels and its status, from one [Config].
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"allium"
	"allium/internal/httpproxy"
	"allium/internal/i2ptunnel"
)

const (
	clientTimeout = 90 * time.Second
	serverTimeout = 10 * time.Second
	// maxHosts is the longest hosts.txt that is read, in bytes.
	maxHosts = 64 << 20
)

// Daemon is a running service.
type Daemon struct {
	cfg    Config
	log    *slog.Logger
	router *allium.Router
	// parts are closed in the opposite order of their opening.
	parts []closer
}

type closer interface{ Close() error }

// Start starts the service with its files in dir. It returns when everything
// listens; tunnels follow.
func Start(ctx context.Context, dir string, cfg Config, log *slog.Logger) (*Daemon, error) {
	d := &Daemon{cfg: cfg, log: log}
	if err := d.start(ctx, dir); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Daemon) start(ctx context.Context, dir string) (err error) {
	d.router, err = allium.Start(ctx, allium.Config{Dir: dir, Log: d.log, Settings: d.cfg.Router})
	if err != nil {
		return err
	}
	d.parts = append(d.parts, d.router)
	d.log.Info("router started", "hash", d.router.Hash(), "addresses", d.router.ListenAddrs())
	if err := d.readHosts(); err != nil {
		return err
	}
	if d.cfg.Status.Enabled {
		if err := d.startStatus(); err != nil {
			return err
		}
	}
	if d.cfg.HTTPProxy.Enabled {
		if err := d.startProxy(ctx); err != nil {
			return err
		}
	}
	for i := range d.cfg.ServerTunnels {
		if err := d.startServer(ctx, &d.cfg.ServerTunnels[i]); err != nil {
			return fmt.Errorf("server tunnel %s: %w", d.cfg.ServerTunnels[i].Name, err)
		}
	}
	for i := range d.cfg.ClientTunnels {
		if err := d.startClient(ctx, &d.cfg.ClientTunnels[i]); err != nil {
			return fmt.Errorf("client tunnel %s: %w", d.cfg.ClientTunnels[i].Name, err)
		}
	}
	return nil
}

// readHosts fills the address book.
func (d *Daemon) readHosts() error {
	for _, name := range d.cfg.AddressBook.Hosts {
		info, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("address_book.hosts: %w", err)
		}
		if info.Size() > maxHosts {
			return fmt.Errorf("address_book.hosts: %s is longer than %d bytes", name, maxHosts)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("address_book.hosts: %w", err)
		}
		added, err := d.router.AddHosts(text)
		if err != nil {
			return fmt.Errorf("address_book.hosts: %s: %w", name, err)
		}
		d.log.Info("names read", "file", name, "new", added)
	}
	return nil
}

// startProxy opens the HTTP proxy on a Destination of its own.
func (d *Daemon) startProxy(ctx context.Context) error {
	s, err := d.router.Open(ctx, allium.SessionConfig{
		Name: "HTTP proxy", Tunnels: d.cfg.HTTPProxy.Tunnels, Unpublished: true,
	})
	if err != nil {
		return err
	}
	p, err := httpproxy.Listen(d.cfg.HTTPProxy.Proxy, s, d.log)
	if err != nil {
		return fmt.Errorf("http_proxy: %w", err)
	}
	d.parts = append(d.parts, p)
	d.log.Info("HTTP proxy listens", "addr", p.Addr())
	return nil
}

func (d *Daemon) startServer(ctx context.Context, t *ServerTunnel) error {
	keys := t.KeyFile
	if keys == "" {
		keys = t.Name + ".dat"
	}
	s, err := d.router.Open(ctx, allium.SessionConfig{Name: t.Name, KeyFile: keys, Tunnels: t.Tunnels})
	if err != nil {
		return err
	}
	ln, err := s.Listen("i2p", fmt.Sprintf(":%d", t.Port))
	if err != nil {
		return err
	}
	tunnel, err := i2ptunnel.Serve(i2ptunnel.ServerConfig{Target: t.Target, Timeout: serverTimeout}, ln, d.log)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	d.parts = append(d.parts, tunnel)
	// The operator's own name for it: its address stands in the status.
	d.log.Info("server tunnel open", "name", t.Name, "target", t.Target)
	return nil
}

func (d *Daemon) startClient(ctx context.Context, t *ClientTunnel) error {
	s, err := d.router.Open(ctx, allium.SessionConfig{Name: t.Name, KeyFile: t.KeyFile, Tunnels: t.Tunnels, Unpublished: true})
	if err != nil {
		return err
	}
	tunnel, err := i2ptunnel.ListenClient(t.client(), s, d.log)
	if err != nil {
		return err
	}
	d.parts = append(d.parts, tunnel)
	d.log.Info("client tunnel open", "name", t.Name, "addr", tunnel.Addr())
	return nil
}

// Router is the service's router.
func (d *Daemon) Router() *allium.Router { return d.router }

// StatusAddr is where the status is served, nil if it is not.
func (d *Daemon) StatusAddr() net.Addr {
	for _, p := range d.parts {
		if s, ok := p.(*statusServer); ok {
			return s.listener.Addr()
		}
	}
	return nil
}

// Close stops everything, the router last.
func (d *Daemon) Close() error {
	var errs []error
	for i := len(d.parts) - 1; i >= 0; i-- {
		errs = append(errs, d.parts[i].Close())
	}
	d.parts = nil
	return errors.Join(errs...)
}
