package i2ptunnel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"allium"
	"allium/internal/i2ptunnel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait that should not last.
const patience = 20 * time.Second

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// dialer is I2P for a client tunnel.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d(ctx, network, address)
}

// service serves every connection to a port of its own.
func service(t *testing.T, serve func(conn *net.TCPConn)) net.Addr {
	t.Helper()
	ln := listen(t)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				serve(conn.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		serving.Wait()
	})
	return ln.Addr()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func connect(t *testing.T, to net.Addr) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn)
}

// refused is how a connection ends that is given up at once: a reset may come
// before net.Dial has returned.
func refused(to net.Addr) error {
	conn, err := net.Dial("tcp", to.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, err = conn.Read(make([]byte, 1))
	return err
}

// tunnel is a client or a server tunnel.
type tunnel struct {
	entry net.Addr
	io.Closer
}

// tunnels opens one of each kind to a service: what holds of one holds of the
// other.
func tunnels(t *testing.T, log *slog.Logger, to net.Addr) map[string]tunnel {
	t.Helper()
	client, err := i2ptunnel.ListenClient(i2ptunnel.ClientConfig{Listen: loopback, Target: "site.i2p:22", Timeout: patience},
		dialer(func(ctx context.Context, network, address string) (net.Conn, error) {
			if network != "i2p" || address != "site.i2p:22" {
				return nil, fmt.Errorf("dialled %s %s", network, address)
			}
			return net.Dial("tcp", to.String())
		}), log)
	if err != nil {
		t.Fatal(err)
	}
	ln := listen(t)
	server, err := i2ptunnel.Serve(i2ptunnel.ServerConfig{Target: to.String(), Timeout: patience}, ln, log)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]tunnel{"client": {client.Addr(), client}, "server": {ln.Addr(), server}}
	for name, tun := range all {
		t.Cleanup(func() {
			if err := tun.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: Close: %v", name, err)
			}
		})
	}
	return all
}

var quiet = slog.New(slog.DiscardHandler)

func TestBytesPassBothWaysAndHalfCloses(t *testing.T) {
	to := service(t, func(conn *net.TCPConn) {
		b, err := io.ReadAll(conn) // up to the half close
		if err == nil {
			_, _ = conn.Write(append(b, "end"...))
		}
	})
	long := bytes.Repeat([]byte("0123456789"), 100_000)
	for name, tun := range tunnels(t, quiet, to) {
		conn := connect(t, tun.entry)
		_, _ = conn.Write(long)
		_ = conn.CloseWrite()
		got, err := io.ReadAll(conn)
		if err != nil || !bytes.Equal(got, append(long, "end"...)) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

func TestResetsPassBothWays(t *testing.T) {
	seen := make(chan error, 1)
	to := service(t, func(conn *net.TCPConn) {
		b := make([]byte, 1)
		_, _ = io.ReadFull(conn, b)
		if b[0] == 'r' {
			_ = conn.SetLinger(0) // Close resets
			return
		}
		_, _ = conn.Write(b)
		_, err := conn.Read(b)
		seen <- err
	})
	for name, tun := range tunnels(t, quiet, to) {
		conn := connect(t, tun.entry)
		_, _ = conn.Write([]byte("r"))
		if _, err := conn.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("%s: a reset of the service looks like %v", name, err)
		}
		conn = connect(t, tun.entry)
		_, _ = conn.Write([]byte("w"))
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetLinger(0)
		_ = conn.Close()
		select {
		case err := <-seen:
			if err == nil || err == io.EOF {
				t.Errorf("%s: a reset of the program looks like %v", name, err)
			}
		case <-time.After(patience):
			t.Fatalf("%s: a reset does not pass", name)
		}
	}
}

func TestCloseEndsEveryConnection(t *testing.T) {
	to := service(t, func(conn *net.TCPConn) { _, _ = io.Copy(struct{ io.Writer }{conn}, conn) })
	for name, tun := range tunnels(t, quiet, to) {
		var conns []*net.TCPConn
		for range 3 {
			conn := connect(t, tun.entry)
			_, _ = conn.Write([]byte("x"))
			if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			conns = append(conns, conn)
		}
		if err := tun.Close(); err != nil {
			t.Error(err)
		}
		for _, conn := range conns {
			var slow net.Error
			if _, err := conn.Read(make([]byte, 1)); err == nil || errors.As(err, &slow) && slow.Timeout() {
				t.Errorf("%s: still open: %v", name, err)
			}
		}
		if conn, err := net.Dial("tcp", tun.entry.String()); err == nil {
			conn.Close()
			t.Errorf("%s: still listening", name)
		}
	}
}

func TestCloseEndsDialsUnderWay(t *testing.T) {
	dialling := make(chan struct{})
	c, err := i2ptunnel.ListenClient(i2ptunnel.ClientConfig{Listen: loopback, Target: "site.i2p:1", Timeout: time.Hour},
		dialer(func(ctx context.Context, _, _ string) (net.Conn, error) {
			close(dialling)
			<-ctx.Done()
			return nil, ctx.Err()
		}), quiet)
	if err != nil {
		t.Fatal(err)
	}
	connect(t, c.Addr())
	<-dialling
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// TestUnreachedDestinationsResetAndAreLoggedWithoutTheirAddress has an error
// of the dial a row and what the operator reads.
func TestUnreachedDestinationsResetAndAreLoggedWithoutTheirAddress(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("%w: secret.i2p", allium.ErrNameUnknown), "host name unknown"},
		{allium.ErrNoLeaseSet, "destination not found"},
		{fmt.Errorf("%w: %w", allium.ErrNotReady, context.DeadlineExceeded), "no tunnels yet"},
		{allium.ErrRefused, "refused"},
		{context.DeadlineExceeded, "no answer in time"},
		{errors.New("secret.i2p broke"), "connection failed"},
	} {
		var log bytes.Buffer
		client, err := i2ptunnel.ListenClient(i2ptunnel.ClientConfig{Listen: loopback, Target: "secret.i2p:1", Timeout: patience},
			dialer(func(context.Context, string, string) (net.Conn, error) { return nil, c.err }),
			slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if err := refused(client.Addr()); err == nil || err == io.EOF {
			t.Errorf("%v: the program sees %v", c.err, err)
		}
		client.Close()
		if text := log.String(); !strings.Contains(text, c.want) || strings.Contains(text, "secret") {
			t.Errorf("%v: logged %s", c.err, text)
		}
	}
}

func TestUnreachedServiceEndsTheConnection(t *testing.T) {
	gone := listen(t)
	gone.Close()
	var log bytes.Buffer
	ln := listen(t)
	s, err := i2ptunnel.Serve(i2ptunnel.ServerConfig{Target: gone.Addr().String(), Timeout: patience}, ln, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := refused(ln.Addr()); err == nil || err == io.EOF {
		t.Errorf("the visitor sees %v", err)
	}
	s.Close()
	if !strings.Contains(log.String(), gone.Addr().String()) {
		t.Errorf("logged %q", log.String())
	}
}

// faulty is a listener that fails once, as one without file descriptors.
type faulty struct {
	net.Listener
	once sync.Once
}

func (f *faulty) Accept() (conn net.Conn, err error) {
	f.once.Do(func() { err = errors.New("too many open files") })
	if err != nil {
		return nil, err
	}
	return f.Listener.Accept()
}

func TestAcceptingGoesOnAfterAFailure(t *testing.T) {
	to := service(t, func(conn *net.TCPConn) { _, _ = conn.Write([]byte("x")) })
	ln := &faulty{Listener: listen(t)}
	s, err := i2ptunnel.Serve(i2ptunnel.ServerConfig{Target: to.String(), Timeout: patience}, ln, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if b, err := io.ReadAll(connect(t, ln.Addr())); err != nil || string(b) != "x" {
		t.Errorf("%q %v", b, err)
	}
}

// TestConnectionsWithoutHalfCloseEnd joins a connection that can only be
// closed whole.
func TestConnectionsWithoutHalfCloseEnd(t *testing.T) {
	near, far := net.Pipe()
	client, err := i2ptunnel.ListenClient(i2ptunnel.ClientConfig{Listen: loopback, Target: "site.i2p:1", Timeout: patience},
		dialer(func(context.Context, string, string) (net.Conn, error) { return near, nil }), quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn := connect(t, client.Addr())
	go func() {
		_, _ = far.Write([]byte("all"))
		far.Close()
	}()
	if b, err := io.ReadAll(conn); err != nil || string(b) != "all" {
		t.Errorf("%q %v", b, err)
	}
}

func TestTargetsNeedAPort(t *testing.T) {
	if _, err := i2ptunnel.ListenClient(i2ptunnel.ClientConfig{Listen: loopback, Target: "site.i2p"}, nil, quiet); err == nil {
		t.Error("client tunnel without a port")
	}
	ln := listen(t)
	defer ln.Close()
	if _, err := i2ptunnel.Serve(i2ptunnel.ServerConfig{Target: "localhost"}, ln, quiet); err == nil {
		t.Error("server tunnel without a port")
	}
}
