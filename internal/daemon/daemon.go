// Package daemon puts everything together for a running service: one router
// with its proxy, its tunnels and its status, from one [Config].
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"

	"allium"
	"allium/internal/httpproxy"
	"allium/internal/i2ptunnel"
)

// maxHosts is the longest hosts.txt that is read, in bytes.
const maxHosts = 64 << 20

// Daemon is a running service.
type Daemon struct {
	cfg    Config
	log    *slog.Logger
	router *allium.Router
	// parts are closed in the opposite order of their opening.
	parts []part
}

// part is something that runs.
type part struct {
	table string // of the settings
	addr  net.Addr
	io.Closer
}

// Start starts the service with its files in dir. It returns when everything
// listens; tunnels follow. It fails, with everything closed again, for what
// the settings and the directory do not allow, or when ctx is done.
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
	d.parts = append(d.parts, part{"router", nil, d.router})
	d.log.Info("router started", "hash", d.router.Hash(), "addresses", d.router.ListenAddrs())
	if err := d.readHosts(); err != nil {
		return err
	}
	if d.cfg.Status.Enabled {
		if err := d.startStatus(); err != nil {
			return err
		}
	}
	if d.cfg.ReseedServer.Enabled {
		if err := d.startReseedServer(dir); err != nil {
			return err
		}
	}
	if d.cfg.HTTPProxy.Enabled {
		if err := d.startProxy(ctx); err != nil {
			return err
		}
	}
	for i := range d.cfg.ServerTunnels {
		t := &d.cfg.ServerTunnels[i]
		if err := d.startServer(ctx, "server_tunnels."+t.Name, t); err != nil {
			return err
		}
	}
	for i := range d.cfg.ClientTunnels {
		t := &d.cfg.ClientTunnels[i]
		if err := d.startClient(ctx, "client_tunnels."+t.Name, t); err != nil {
			return err
		}
	}
	return nil
}

// readHosts fills the address book.
func (d *Daemon) readHosts() error {
	for _, name := range d.cfg.AddressBook.Hosts {
		text, err := readFile(name, maxHosts)
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

// readFile reads a file of at most so many bytes.
func readFile(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s is longer than %d bytes", name, most)
	}
	return text, err
}

// open brings up the Destination of a part.
func (d *Daemon) open(ctx context.Context, name, keyFile string, own Tunnels, unpublished bool) (*allium.Session, error) {
	return d.router.Open(ctx, allium.SessionConfig{
		Name: name, KeyFile: keyFile, Tunnels: own.over(d.cfg.Router.Tunnels), Unpublished: unpublished,
	})
}

// startProxy opens the HTTP proxy on a Destination of its own.
func (d *Daemon) startProxy(ctx context.Context) error {
	cfg := &d.cfg.HTTPProxy
	s, err := d.open(ctx, "HTTP proxy", "", cfg.Tunnels, true)
	if err != nil {
		return fmt.Errorf("http_proxy: %w", err)
	}
	p, err := httpproxy.Listen(httpproxy.Config{Listen: cfg.Listen, Timeout: cfg.Timeout}, s, d.log)
	if err != nil {
		return fmt.Errorf("http_proxy.listen: %w", err)
	}
	d.parts = append(d.parts, part{"http_proxy", p.Addr(), p})
	d.log.Info("HTTP proxy listens", "addr", p.Addr())
	return nil
}

func (d *Daemon) startServer(ctx context.Context, table string, t *ServerTunnel) error {
	s, err := d.open(ctx, t.Name, t.keyFile(), t.Tunnels, false)
	if err != nil {
		return fmt.Errorf("%s: %w", table, err)
	}
	ln, err := s.Listen("i2p", fmt.Sprintf(":%d", t.Port))
	if err != nil {
		return fmt.Errorf("%s: %w", table, err)
	}
	tunnel, err := i2ptunnel.Serve(i2ptunnel.ServerConfig{Target: t.Target, Timeout: t.Timeout}, ln, d.log)
	if err != nil {
		return fmt.Errorf("%s.target: %w", table, err)
	}
	d.parts = append(d.parts, part{table, ln.Addr(), tunnel})
	// The operator's own name for it: its address stands in the status.
	d.log.Info("server tunnel open", "name", t.Name, "target", t.Target)
	return nil
}

func (d *Daemon) startClient(ctx context.Context, table string, t *ClientTunnel) error {
	s, err := d.open(ctx, t.Name, t.KeyFile, t.Tunnels, true)
	if err != nil {
		return fmt.Errorf("%s: %w", table, err)
	}
	tunnel, err := i2ptunnel.ListenClient(i2ptunnel.ClientConfig{Listen: t.Listen, Target: t.Target, Timeout: t.Timeout}, s, d.log)
	if err != nil {
		return fmt.Errorf("%s.listen: %w", table, err)
	}
	d.parts = append(d.parts, part{table, tunnel.Addr(), tunnel})
	d.log.Info("client tunnel open", "name", t.Name, "addr", tunnel.Addr())
	return nil
}

// Router is the service's router.
func (d *Daemon) Router() *allium.Router { return d.router }

// Addr is where the part listens whose settings are in that table, such as
// "http_proxy" or "client_tunnels.irc", with the port the system chose. For a
// server tunnel it is the Destination's. It is nil for what does not run.
func (d *Daemon) Addr(table string) net.Addr {
	for _, p := range d.parts {
		if p.table == table {
			return p.addr
		}
	}
	return nil
}

// Close stops everything, the router last.
func (d *Daemon) Close() error {
	var errs []error
	for _, p := range slices.Backward(d.parts) {
		errs = append(errs, p.Close())
	}
	d.parts = nil
	return errors.Join(errs...)
}
