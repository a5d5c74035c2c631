package host_test

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"allium/internal/host"
)

// TestCloseEndsEverything closes an engine with one of each at work, and then
// the one at the other end of its streams.
func TestCloseEndsEverything(t *testing.T) {
	defer goleak.VerifyNone(t)
	p, far := host.New(host.Config{}), host.New(host.Config{})
	var accepted, told, wrong, farTold, fired atomic.Int32
	gate := make(chan struct{})
	farEnd := &stream{
		data:   func(*host.Round, []byte) { <-gate },
		closed: func(*host.Round, error) { farTold.Add(1) },
	}
	l, err := far.ListenTCP(loopback, func(*host.Round, host.Stream) host.StreamHandler {
		accepted.Add(1)
		return farEnd
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := p.ListenUDP(loopback, datagram(func(*host.Round, netip.AddrPort, []byte) {}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = p.ListenTCP(loopback, nil); err != nil {
		t.Fatal(err)
	}
	near := &stream{closed: func(_ *host.Round, err error) {
		told.Add(1)
		if !errors.Is(err, host.ErrClosed) {
			wrong.Add(1)
		}
	}}
	idle, full := p.DialTCP(netip.Addr{}, l.Addr(), near), p.DialTCP(netip.Addr{}, l.Addr(), near)
	if !eventually(func() bool { return accepted.Load() == 2 }) {
		t.Fatal("no connection")
	}
	for full.Write(make([]byte, 64<<10)) == nil {
	}
	p.AfterFunc(50*time.Millisecond, func(*host.Round) { fired.Add(1) })
	p.Spawn(func(*host.Round) { <-gate })
	time.AfterFunc(20*time.Millisecond, func() { close(gate) })

	start := time.Now()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("Close took %v", d)
	}
	if told.Load() != 2 || wrong.Load() != 0 {
		t.Errorf("%d of 2 handlers got Closed, %d for another reason", told.Load(), wrong.Load())
	}
	if p.AfterFunc(0, func(*host.Round) { fired.Add(1) }).Stop() || p.Spawn(func(*host.Round) { fired.Add(1) }) {
		t.Error("it takes work after Close")
	}
	if _, err := p.ListenTCP(loopback, nil); !errors.Is(err, host.ErrClosed) {
		t.Errorf("ListenTCP after Close: %v", err)
	}
	if _, err := p.ListenUDP(loopback, nil); !errors.Is(err, host.ErrClosed) {
		t.Errorf("ListenUDP after Close: %v", err)
	}
	for _, s := range []host.Stream{idle, full, p.DialTCP(netip.Addr{}, l.Addr(), near)} {
		if err := s.Write([]byte("x")); !errors.Is(err, host.ErrClosed) {
			t.Errorf("Write after Close: %v", err)
		}
		s.Close()
		s.Reset()
	}
	if err := d.Send(d.Addr(), []byte("x")); !errors.Is(err, host.ErrClosed) {
		t.Errorf("Send after Close: %v", err)
	}
	for _, p := range []*host.Portable{p, far} {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if farTold.Load() != 2 {
		t.Errorf("%d of 2 handlers at the other end got Closed", farTold.Load())
	}
	time.Sleep(60 * time.Millisecond) // past the time of the timer
	if fired.Load() != 0 || told.Load() != 2 {
		t.Errorf("%d calls came after Close", fired.Load())
	}
}

func TestCloseDoesNotWaitForeverForAHandler(t *testing.T) {
	if testing.Short() {
		t.Skip("takes two seconds")
	}
	t.Parallel()
	p := host.New(host.Config{})
	gate := make(chan struct{})
	var busy atomic.Bool
	p.Spawn(func(*host.Round) { busy.Store(true); <-gate })
	if !eventually(busy.Load) {
		t.Fatal("the work did not start")
	}
	if err := p.Close(); !errors.Is(err, host.ErrTimeout) {
		t.Errorf("Close returned %v", err)
	}
	close(gate)
	if err := p.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
}

// TestCloseOfAStreamGivesUpOnAPeerThatDoesNotRead bounds the flush.
func TestCloseOfAStreamGivesUpOnAPeerThatDoesNotRead(t *testing.T) {
	if testing.Short() {
		t.Skip("takes five seconds")
	}
	t.Parallel()
	p := newPortable(t, host.Config{})
	gate := make(chan struct{})
	defer close(gate)
	l, err := p.ListenTCP(loopback, func(*host.Round, host.Stream) host.StreamHandler {
		return &stream{data: func(*host.Round, []byte) { <-gate }}
	})
	if err != nil {
		t.Fatal(err)
	}
	var opened, closed atomic.Bool
	s := p.DialTCP(netip.Addr{}, l.Addr(), &stream{
		opened: func(*host.Round) { opened.Store(true) },
		closed: func(*host.Round, error) { closed.Store(true) },
	})
	if !eventually(opened.Load) {
		t.Fatal("no connection")
	}
	for s.Write(make([]byte, 64<<10)) == nil {
	}
	s.Close()
	if !eventually(closed.Load) {
		t.Error("it never closed")
	}
}
