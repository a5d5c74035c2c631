package streaming_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/nettest"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/streaming"
)

// newRealPair makes two ends on the real clock, with almost nothing between.
func newRealPair(t testing.TB, cfg streaming.Config) (a, b *streaming.Streams, bHash data.Hash, stop func()) {
	t.Helper()
	h := host.New(host.Config{})
	la, lb := newLocal(t), newLocal(t)
	to := func(peer **streaming.Streams, from data.Hash) streaming.Network {
		return func(_ *host.Round, _ data.Hash, fromPort, toPort uint16, payload []byte) error {
			payload = bytes.Clone(payload)
			h.AfterFunc(100*time.Microsecond, func(r *host.Round) {
				_ = (*peer).Receive(r, streaming.Sender{Bound: true, Hash: from}, fromPort, toPort, payload)
			})
			return nil
		}
	}
	a = streaming.New(cfg, h, la, to(&b, la.Destination.Hash()))
	b = streaming.New(cfg, h, lb, to(&a, lb.Destination.Hash()))
	return a, b, lb.Destination.Hash(), func() {
		h.Do(func(r *host.Round) { a.Close(r); b.Close(r) })
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if a.Len()+b.Len() != 0 {
			t.Error("streams are left")
		}
	}
}

// newConns makes a connection and returns both ends of it.
func newConns(t testing.TB) (dialled, accepted net.Conn, stop func()) {
	t.Helper()
	a, b, to, end := newRealPair(t, config())
	l, err := b.Listen(80)
	if err != nil {
		t.Fatal(err)
	}
	dialled, err = a.Dial(t.Context(), to, 80)
	if err != nil {
		t.Fatal(err)
	}
	accepted, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return dialled, accepted, func() {
		_ = dialled.Close()
		_ = accepted.Close()
		_ = l.Close()
		end()
	}
}

func TestConnIsANetConn(t *testing.T) {
	defer goleak.VerifyNone(t)
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		c1, c2, stop = newConns(t)
		return c1, c2, stop, nil
	})
}

func TestConnHalfCloses(t *testing.T) {
	defer goleak.VerifyNone(t)
	c, s, stop := newConns(t)
	defer stop()
	if _, err := c.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	if err := c.(*streaming.Conn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("more")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("writing after CloseWrite: %v", err)
	}
	if b, err := io.ReadAll(s); err != nil || string(b) != "question" {
		t.Fatalf("%q, %v", b, err)
	}
	if _, err := s.Write([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); err != nil || string(b) != "answer" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestAddressesOfAConn(t *testing.T) {
	c, s, stop := newConns(t)
	defer stop()
	if c.LocalAddr() != s.RemoteAddr() || c.RemoteAddr() != s.LocalAddr() {
		t.Errorf("%v - %v is seen as %v - %v", c.LocalAddr(), c.RemoteAddr(), s.RemoteAddr(), s.LocalAddr())
	}
	addr := c.RemoteAddr().(streaming.Addr)
	if addr.Port != 80 || addr.Network() != "i2p" || addr.String() != addr.Hash.B32()+":80" {
		t.Errorf("the address is %v", addr)
	}
	if s.(*streaming.Conn).Peer().Hash() != c.LocalAddr().(streaming.Addr).Hash {
		t.Error("the peer is another")
	}
}

func TestDialFailures(t *testing.T) {
	defer goleak.VerifyNone(t)
	cfg := config()
	cfg.ConnectTimeout = 50 * time.Millisecond
	a, _, to, stop := newRealPair(t, cfg)
	defer stop()
	var op *net.OpError
	if _, err := a.Dial(t.Context(), to, 80); !errors.Is(err, streaming.ErrReset) || !errors.As(err, &op) {
		t.Errorf("refused: %v", err)
	}
	h := host.New(host.Config{})
	defer h.Close()
	silent := streaming.New(cfg, h, newLocal(t), func(*host.Round, data.Hash, uint16, uint16, []byte) error { return host.ErrFull })
	var timeout net.Error
	if _, err := silent.Dial(t.Context(), to, 80); !errors.Is(err, streaming.ErrTimeout) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("silence: %v", err)
	}
	cfg.ConnectTimeout = time.Hour
	silent = streaming.New(cfg, h, newLocal(t), func(*host.Round, data.Hash, uint16, uint16, []byte) error { return nil })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := silent.Dial(ctx, to, 80); !errors.Is(err, context.DeadlineExceeded) || silent.Len() != 0 {
		t.Errorf("given up: %v, %d streams", err, silent.Len())
	}
}

func TestDeadlineThatPassesIsATimeout(t *testing.T) {
	c, _, stop := newConns(t)
	defer stop()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	_, err := c.Read(make([]byte, 1))
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("the error is %v", err)
	}
}

func TestListenerKeepsABacklog(t *testing.T) {
	defer goleak.VerifyNone(t)
	cfg := config()
	cfg.Backlog = 3
	a, b, to, stop := newRealPair(t, cfg)
	defer stop()
	l, err := b.Listen(80)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Listen(80); !errors.Is(err, streaming.ErrInUse) {
		t.Errorf("listening twice: %v", err)
	}
	var open []net.Conn
	for range 3 {
		c, err := a.Dial(t.Context(), to, 80)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	if _, err := a.Dial(t.Context(), to, 80); !errors.Is(err, streaming.ErrReset) {
		t.Errorf("a full backlog: %v", err)
	}
	if _, err := l.Accept(); err != nil {
		t.Fatal(err)
	}
	var waiting sync.WaitGroup
	for range 2 {
		waiting.Go(func() { _, _ = l.Accept() })
	}
	waiting.Wait()
	waiting.Go(func() {
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accepting at the end: %v", err)
		}
	})
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	waiting.Wait()
	if _, err := b.Listen(80); err != nil {
		t.Errorf("listening again: %v", err)
	}
	for _, c := range open {
		_ = c.Close()
	}
}

func TestClosedListenerResetsWhatWaits(t *testing.T) {
	a, b, to, stop := newRealPair(t, config())
	defer stop()
	l, err := b.Listen(80)
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Dial(t.Context(), to, 80)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, streaming.ErrReset) {
		t.Errorf("the stream has %v", err)
	}
}

// TestManyConnsAtOnce has conns opened, used and closed from many goroutines.
func TestManyConnsAtOnce(t *testing.T) {
	defer goleak.VerifyNone(t)
	a, b, to, stop := newRealPair(t, config())
	defer stop()
	l, err := b.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			})
		}
	})
	var clients sync.WaitGroup
	for i := range 20 {
		clients.Go(func() {
			c, err := a.Dial(context.Background(), to, uint16(i+1))
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			want := pattern(10000 * (i + 1))
			all.Go(func() {
				_, _ = c.Write(want)
				_ = c.CloseWrite()
			})
			if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
			}
		})
	}
	clients.Wait()
	_ = l.Close()
	all.Wait()
}
