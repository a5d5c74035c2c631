package host_test

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"allium/internal/host"
)

// deaf is the address of a socket whose queue of connections is full, so that
// it does not answer.
func deaf(t *testing.T, p *host.Portable) netip.AddrPort {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	in := sa.(*syscall.SockaddrInet4)
	addr := netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port))
	for range 8 {
		var end atomic.Int32 // 1 opened, 2 given up
		s := p.DialTCP(netip.Addr{}, addr, &stream{
			opened: func(*host.Round) { end.Store(1) },
			closed: func(*host.Round, error) { end.CompareAndSwap(0, 2) },
		})
		limit := time.AfterFunc(200*time.Millisecond, s.Reset)
		eventually(func() bool { return end.Load() > 0 })
		if !limit.Stop() {
			return addr
		}
	}
	t.Skip("this system queues connections without end")
	return addr
}

func TestDialGivesUpAfterItsTime(t *testing.T) {
	p := newPortable(t, host.Config{ConnectTimeout: 300 * time.Millisecond})
	addr := deaf(t, p)
	var reason atomic.Value
	start := time.Now()
	p.DialTCP(netip.Addr{}, addr, &stream{closed: func(_ *host.Round, err error) { reason.Store(err) }})
	if !eventually(func() bool { return reason.Load() != nil }) {
		t.Fatal("it never gave up")
	}
	if err := reason.Load().(error); !errors.Is(err, host.ErrTimeout) {
		t.Errorf("the reason is %v", err)
	}
	if d := time.Since(start); d < 300*time.Millisecond || d > 5*time.Second {
		t.Errorf("it gave up after %v", d)
	}
}

func TestCloseEndsADial(t *testing.T) {
	p := host.New(host.Config{})
	addr := deaf(t, p)
	var closed atomic.Int32
	end := &stream{closed: func(_ *host.Round, err error) {
		if errors.Is(err, host.ErrClosed) {
			closed.Add(1)
		}
	}}
	p.DialTCP(netip.Addr{}, addr, end).Reset()
	p.DialTCP(netip.Addr{}, addr, end)
	if !eventually(func() bool { return closed.Load() == 1 }) {
		t.Error("Reset did not end the dial")
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if closed.Load() != 2 {
		t.Errorf("%d of 2 dials were told", closed.Load())
	}
}
