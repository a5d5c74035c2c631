// Package i2ptunnel joins local ports and Destinations: a client tunnel makes
// a Destination reachable at a local port, a server tunnel makes a local
// service reachable at a Destination.
//
// It sees the router through the public API alone, as any program could.
package i2ptunnel

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"allium"
)

// ClientConfig describes a client tunnel.
type ClientConfig struct {
	// Listen is the local address programs connect to.
	Listen netip.AddrPort
	// Target is host:port of the Destination: a name from the address book, a
	// .b32.i2p address, or a whole Destination in base64.
	Target string
	// Timeout bounds reaching the Destination.
	Timeout time.Duration
}

// Dialer opens connections over I2P; *allium.Session is one.
type Dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Client is a running client tunnel.
type Client struct {
	cfg      ClientConfig
	dial     Dialer
	log      *slog.Logger
	listener net.Listener
	joints   joints
	stop     context.CancelFunc
}

// ListenClient opens the tunnel's local port and begins to serve it. Errors
// are those of net.SplitHostPort for the target and of net.Listen.
func ListenClient(cfg ClientConfig, dial Dialer, log *slog.Logger) (*Client, error) {
	if _, _, err := net.SplitHostPort(cfg.Target); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", cfg.Listen.String())
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &Client{cfg: cfg, dial: dial, log: log, listener: listener, stop: stop}
	c.joints.serve(listener, log, func(local net.Conn) { c.join(ctx, local) })
	return c, nil
}

// Addr is where the tunnel listens, with the port the system chose.
func (c *Client) Addr() net.Addr { return c.listener.Addr() }

// Close ends the tunnel and every connection through it.
func (c *Client) Close() error {
	c.stop()
	err := c.listener.Close()
	c.joints.close()
	return err
}

func (c *Client) join(ctx context.Context, local net.Conn) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	remote, err := c.dial.DialContext(ctx, "i2p", c.cfg.Target)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			c.log.Warn("client tunnel: destination not reached", "listen", c.listener.Addr(), "cause", cause(err))
			// Addresses of destinations are for debugging alone.
			c.log.Debug("client tunnel: destination not reached", "target", c.cfg.Target, "err", err)
		}
		reset(local)
		return
	}
	c.joints.join(local, remote)
}

// cause is why a Destination was not reached, without its address.
func cause(err error) string {
	for _, known := range []error{allium.ErrNameUnknown, allium.ErrNoLeaseSet, allium.ErrNotReady, allium.ErrRefused} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	var slow net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &slow) && slow.Timeout() {
		return "no answer in time"
	}
	return "connection failed"
}
