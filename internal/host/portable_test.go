package host_test

import (
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"allium/internal/host"
	"allium/internal/host/hosttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// eventually waits until cond holds.
func eventually(cond func() bool) bool {
	for end := time.Now().Add(patience); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// newPortable makes an engine that the test's end closes.
func newPortable(t *testing.T, cfg host.Config) *host.Portable {
	p := host.New(cfg)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func portablePair(t *testing.T, p *host.Portable, addr string) *hosttest.Pair {
	return &hosttest.Pair{
		A: p, B: p,
		AddrA: netip.MustParseAddr(addr), AddrB: netip.MustParseAddr(addr),
		Wait:   eventually,
		Settle: func() { time.Sleep(30 * time.Millisecond) },
		Spawns: 100,
	}
}

func TestPortableKeepsTheContract(t *testing.T) {
	hosttest.Run(t, func(t *testing.T) *hosttest.Pair {
		return portablePair(t, newPortable(t, host.Config{Workers: 1, Backlog: 20}), "127.0.0.1")
	})
}

func TestPortableKeepsTheContractOverIPv6(t *testing.T) {
	p := newPortable(t, host.Config{})
	l, err := p.ListenTCP(netip.MustParseAddrPort("[::1]:0"), nil)
	if err != nil {
		t.Skip("no IPv6 here")
	}
	l.Close()
	hosttest.Run(t, func(t *testing.T) *hosttest.Pair {
		return portablePair(t, newPortable(t, host.Config{Workers: 1, Backlog: 20}), "::1")
	})
}

func TestPlainSocketsKeepTheContract(t *testing.T) {
	hosttest.Run(t, func(t *testing.T) *hosttest.Pair {
		p := newPortable(t, host.Config{Workers: 1, Backlog: 20})
		host.UsePlainSockets(p)
		return portablePair(t, p, "127.0.0.1")
	})
}
