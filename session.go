package allium

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"allium/internal/data"
	"allium/internal/datagram"
	"allium/internal/destination"
	"allium/internal/host"
	"allium/internal/setting"
	"allium/internal/signature"
	"allium/internal/store"
	"allium/internal/streaming"
)

// SessionConfig describes a local Destination.
type SessionConfig struct {
	// Name is for Status.
	Name string
	// KeyFile holds the Destination's private keys in the format of all I2P
	// routers, within the router's directory unless it is an absolute path. It
	// is made if there is none. Empty for a new Destination that lives as long
	// as the session.
	KeyFile string
	// Keys are the content of such a file, instead of one.
	Keys []byte
	// Tunnels overrides the router's settings unless it is zero.
	Tunnels TunnelConfig
	// Unpublished keeps the Destination out of the network database: it can
	// reach others and be answered, but not be found. For clients.
	Unpublished bool
}

// Session is one Destination on a router. Its methods may be called by several
// goroutines at once.
type Session struct {
	r       *Router
	keys    *data.PrivateKeys
	d       *destination.Destination
	streams *streaming.Streams
	packets *datagram.Datagrams

	mu     sync.Mutex
	closed bool
}

// maxKeyFile is far more than any private key file has, in bytes.
const maxKeyFile = 16 << 10

// Open brings up a Destination. It returns at once; the first calls, or Ready,
// wait for its tunnels.
func (r *Router) Open(ctx context.Context, cfg SessionConfig) (*Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	keys, err := r.loadKeys(cfg)
	if err != nil {
		return nil, fmt.Errorf("allium: %w", err)
	}
	if cfg.Tunnels == (TunnelConfig{}) {
		cfg.Tunnels = r.cfg.Settings.Tunnels
	}
	s := &Session{r: r, keys: keys}
	local := streaming.Local{Destination: keys.Destination, Key: keys.Signing}
	if keys.Offline != nil {
		local.Offline = keys.Offline.Append(nil)
	}
	s.streams = streaming.New(streamSettings(), r.host, local, s.sendStream)
	s.packets = newPackets(s)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	r.host.Do(func(round *host.Round) {
		s.d = destination.Open(round, r.rt, destination.Config{
			Name:        cfg.Name,
			Tunnels:     cfg.Tunnels,
			Unpublished: cfg.Unpublished,
			Compress:    true,
		}, keys, handler{s}, r.log)
	})
	r.sessions[s] = struct{}{}
	return s, nil
}

// streamSettings are the defaults of package streaming.
func streamSettings() (c streaming.Config) {
	setting.Defaults(&c)
	return c
}

// loadKeys reads or makes the keys of a Destination.
func (r *Router) loadKeys(cfg SessionConfig) (*data.PrivateKeys, error) {
	if cfg.Keys != nil {
		return data.ParsePrivateKeys(cfg.Keys)
	}
	if cfg.KeyFile == "" {
		return data.GeneratePrivateKeys(signature.Ed25519)
	}
	path := cfg.KeyFile
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.cfg.Dir, path)
	}
	b, err := store.ReadFile(path, maxKeyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		keys, err := data.GeneratePrivateKeys(signature.Ed25519)
		if err != nil {
			return nil, err
		}
		return keys, store.WriteFile(path, keys.Append(nil))
	case err != nil:
		return nil, err
	}
	keys, err := data.ParsePrivateKeys(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// handler is a Session as its Destination sees it.
type handler struct{ s *Session }

// Message implements destination.Handler.
func (h handler) Message(r *host.Round, from destination.Sender, m destination.Message) {
	// What is wrong with a packet concerns its sender alone.
	if m.Protocol == destination.ProtocolStreaming {
		_ = h.s.streams.Receive(r, streaming.Sender(from), m.FromPort, m.ToPort, m.Payload)
		return
	}
	_ = h.s.packets.Receive(r, datagram.Sender(from), m.Protocol, m.FromPort, m.ToPort, m.Payload)
}

// Ready implements destination.Handler: whoever waits looks by himself.
func (h handler) Ready(*host.Round, bool) {}

func (s *Session) sendStream(r *host.Round, to data.Hash, fromPort, toPort uint16, payload []byte) error {
	return s.d.Send(r, to, destination.Message{
		Protocol: destination.ProtocolStreaming, FromPort: fromPort, ToPort: toPort, Payload: payload,
	})
}

// Addr is the session's own address, with port 0.
func (s *Session) Addr() Addr { return Addr{Hash: s.d.Hash()} }

// Host is the .b32.i2p address others reach the session at.
func (s *Session) Host() string { return s.d.Identity().B32() }

// Destination is the session's whole Destination in base64, as hosts.txt has
// it.
func (s *Session) Destination() string { return s.d.Identity().Base64() }

// Ready waits until the session has tunnels and, unless it is unpublished, can
// be found by others.
func (s *Session) Ready(ctx context.Context) error {
	err := s.r.await(ctx, func() bool { return s.isClosed() || s.d.Ready(s.r.host.Now()) })
	if err == nil && s.isClosed() {
		return ErrClosed
	}
	return err
}

func (s *Session) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Close takes the Destination down: its connections are reset, its listeners
// closed.
func (s *Session) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.packets.Close()
	s.r.host.Do(s.streams.Close)
	s.r.host.Do(s.d.Close)
	s.r.mu.Lock()
	delete(s.r.sessions, s)
	s.r.mu.Unlock()
	return nil
}

// Dial is DialContext without a limit of its own.
func (s *Session) Dial(network, address string) (net.Conn, error) {
	return s.DialContext(context.Background(), network, address)
}

// DialContext opens a stream to host:port. network is "i2p"; "tcp" is taken
// for it. It waits for the session's tunnels, finds the Destination and waits
// for its answer. Errors are *net.OpError around ErrNameUnknown,
// ErrNoLeaseSet, ErrRefused, ErrNotReady, or a timeout.
func (s *Session) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := s.dial(ctx, network, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "i2p", Source: s.Addr(), Err: err}
	}
	return c, nil
}

func (s *Session) dial(ctx context.Context, network, address string) (*streaming.Conn, error) {
	if err := checkNetwork(network); err != nil {
		return nil, err
	}
	hostname, port, err := splitPort(address)
	if err != nil {
		return nil, err
	}
	to, err := s.r.resolve(hostname)
	if err != nil {
		return nil, err
	}
	if err := s.find(ctx, to); err != nil {
		return nil, err
	}
	c, err := s.streams.Dial(ctx, to, port)
	switch {
	case errors.Is(err, streaming.ErrReset):
		return nil, ErrRefused
	case errors.Is(err, streaming.ErrTimeout):
		return nil, os.ErrDeadlineExceeded
	case errors.Is(err, streaming.ErrClosed):
		return nil, ErrClosed
	}
	return c, err
}

const (
	// A Destination that was not found is looked for again: it may have been
	// published just now, or the floodfill asked may be a bad one.
	findFor   = 20 * time.Second
	findPause = time.Second
)

// find waits for tunnels and for the LeaseSet of a Destination.
func (s *Session) find(ctx context.Context, to data.Hash) error {
	if err := s.awaitTunnels(ctx); err != nil {
		return err
	}
	giveUp := time.Now().Add(findFor)
	for {
		err := await(ctx, func(done func(err error)) {
			s.r.host.Do(func(r *host.Round) {
				s.d.Resolve(r, to, func(_ *host.Round, err error) { done(err) })
			})
		})
		if errors.Is(err, destination.ErrClosed) {
			return ErrClosed
		}
		if !errors.Is(err, destination.ErrNoLeaseSet) {
			return err
		}
		if time.Now().After(giveUp) {
			return ErrNoLeaseSet
		}
		if err := pause(ctx, findPause); err != nil {
			return ErrNoLeaseSet
		}
	}
}

// awaitTunnels waits until messages can be sent and answered.
func (s *Session) awaitTunnels(ctx context.Context) error {
	err := s.r.await(ctx, func() bool { return s.isClosed() || s.d.CanSend(s.r.host.Now()) })
	if err == nil && s.isClosed() {
		return ErrClosed
	}
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Listen accepts streams to a port of the session: ":80", or ":0" for those
// that nobody else takes.
func (s *Session) Listen(network, address string) (net.Listener, error) {
	if err := checkNetwork(network); err != nil {
		return nil, err
	}
	_, port, err := splitPort(address)
	if err != nil {
		return nil, err
	}
	l, err := s.streams.Listen(port)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "i2p", Addr: Addr{Hash: s.d.Hash(), Port: port}, Err: err}
	}
	return l, nil
}

// Ping waits for a sign of life of a Destination.
func (s *Session) Ping(ctx context.Context, address string) (time.Duration, error) {
	hostname, port, err := splitPort(address)
	if err != nil {
		return 0, err
	}
	to, err := s.r.resolve(hostname)
	if err != nil {
		return 0, err
	}
	if err := s.find(ctx, to); err != nil {
		return 0, err
	}
	begin := time.Now()
	var stop func()
	err = await(ctx, func(done func(err error)) {
		s.r.host.Do(func(r *host.Round) {
			var err error
			if stop, err = s.streams.Ping(r, to, port, func(*host.Round) { done(nil) }); err != nil {
				done(err)
			}
		})
	})
	if stop != nil {
		stop()
	}
	return time.Since(begin), err
}
