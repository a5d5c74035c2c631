package datagram_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"allium/internal/data"
	"allium/internal/datagram"
	"allium/internal/host"
	"allium/internal/setting"
	"allium/internal/signature"
)

// newConns makes two PacketConns that reach each other, on the real clock.
func newConns(t testing.TB, kind datagram.Protocol) (a, b *datagram.PacketConn) {
	t.Helper()
	h := host.New(host.Config{})
	var cfg datagram.Config
	setting.Defaults(&cfg)
	la, lb := newLocal(t, signature.Ed25519), newLocal(t, signature.Ed25519)
	var da, db *datagram.Datagrams
	to := func(peer **datagram.Datagrams) datagram.Network {
		return func(_ *host.Round, _ data.Hash, protocol uint8, fromPort, toPort uint16, payload []byte) error {
			payload = bytes.Clone(payload)
			h.AfterFunc(0, func(r *host.Round) {
				_ = (*peer).Receive(r, datagram.Sender{}, protocol, fromPort, toPort, payload)
			})
			return nil
		}
	}
	da = datagram.New(cfg, h, la, to(&db), newAddr)
	db = datagram.New(cfg, h, lb, to(&da), newAddr)
	a, err := da.ListenPacket(kind, 7)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = db.ListenPacket(kind, 9); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		da.Close()
		db.Close()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		goleak.VerifyNone(t)
	})
	return a, b
}

func TestPacketConnsTalk(t *testing.T) {
	for _, kind := range []datagram.Protocol{datagram.Datagram1, datagram.Datagram2, datagram.Datagram3} {
		t.Run(kind.String(), func(t *testing.T) {
			a, b := newConns(t, kind)
			buf := make([]byte, 100)
			if n, err := a.WriteTo([]byte("question"), b.LocalAddr()); n != 8 || err != nil {
				t.Fatal(n, err)
			}
			n, from, err := b.ReadFrom(buf)
			if err != nil || string(buf[:n]) != "question" || from != a.LocalAddr() {
				t.Fatalf("%q from %v, %v", buf[:n], from, err)
			}
			if _, err := b.WriteTo([]byte("answer"), from); err != nil {
				t.Fatal(err)
			}
			n, from, err = a.ReadFrom(buf[:3])
			if err != nil || string(buf[:n]) != "ans" || from != b.LocalAddr() {
				t.Fatalf("%q from %v, %v", buf[:n], from, err)
			}
		})
	}
}

func TestPacketConnDeadlines(t *testing.T) {
	a, b := newConns(t, datagram.Raw)
	var timeout net.Error
	buf := make([]byte, 10)
	if err := a.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.ReadFrom(buf); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("reading: %v", err)
	}
	if err := a.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.WriteTo(nil, b.LocalAddr()); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("writing: %v", err)
	}
	if err := a.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.WriteTo([]byte("x"), a.LocalAddr()); err != nil {
		t.Error(err)
	}
	if n, _, err := a.ReadFrom(buf); n != 1 || err != nil {
		t.Errorf("without a deadline: %v", err)
	}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if _, _, err := a.ReadFrom(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a deadline set while reading: %v", err)
		}
	})
	if err := a.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Error(err)
	}
	waiting.Wait()
}

func TestPacketConnCloses(t *testing.T) {
	a, b := newConns(t, datagram.Raw)
	var waiting sync.WaitGroup
	for range 2 {
		waiting.Go(func() {
			if _, _, err := a.ReadFrom(make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("reading: %v", err)
			}
		})
	}
	if err := errors.Join(a.Close(), a.Close()); err != nil {
		t.Error(err)
	}
	waiting.Wait()
	if _, err := a.WriteTo(nil, b.LocalAddr()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("writing: %v", err)
	}
	if err := a.SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a deadline: %v", err)
	}
}

func TestPacketConnRefusesOtherAddresses(t *testing.T) {
	a, _ := newConns(t, datagram.Raw)
	if _, err := a.WriteTo(nil, &net.UDPAddr{}); err == nil {
		t.Error("a datagram to an address of the internet")
	}
}

func TestQueueIsBounded(t *testing.T) {
	x, y := newEnd(t, newLocal(t, signature.Ed25519)), newEnd(t, newLocal(t, signature.Ed25519))
	c, err := y.ListenPacket(datagram.Raw, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, datagram.MaxLen)
	for _, test := range []struct{ size, fit int }{{1, 256}, {10, 256}, {60000, 17}} {
		for range 300 {
			if err := x.to(y, datagram.Sender{}, datagram.Raw, buf[:test.size]); err != nil {
				t.Fatal(err)
			}
		}
		dropped := c.Dropped()
		for i := range test.fit {
			buf[0] = 1
			if n, _, err := c.ReadFrom(buf); n != test.size || err != nil {
				t.Fatalf("datagram %d of %d: %d bytes, %v", i, test.fit, n, err)
			}
		}
		_ = c.SetReadDeadline(time.Unix(1, 0))
		if _, _, err := c.ReadFrom(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d bytes: more than %d were kept", test.size, test.fit)
		}
		_ = c.SetReadDeadline(time.Time{})
		if dropped == 0 {
			t.Error("none were counted as dropped")
		}
	}
}

func TestQueueKeepsTheOrder(t *testing.T) {
	x, y := newEnd(t, newLocal(t, signature.Ed25519)), newEnd(t, newLocal(t, signature.Ed25519))
	c, err := y.ListenPacket(datagram.Raw, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	next, read := byte(0), byte(0)
	for _, step := range []struct{ in, out int }{{5, 3}, {7, 2}, {20, 20}, {3, 1}, {100, 109}} {
		for range step.in {
			_ = x.to(y, datagram.Sender{}, datagram.Raw, []byte{next})
			next++
		}
		for range step.out {
			var b [1]byte
			if _, _, err := c.ReadFrom(b[:]); err != nil || b[0] != read {
				t.Fatalf("got %d instead of %d, %v", b[0], read, err)
			}
			read++
		}
	}
}
