package testnet_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"allium/internal/testnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

func TestNetworksThatCannotWorkAreRefused(t *testing.T) {
	for _, c := range []struct {
		routers, hops int
		few           bool
	}{
		{1, 0, true}, {4, 3, true}, {0, 0, true}, {-1, 2, true},
		{10, -1, false}, {10, 8, false}, {testnet.MaxRouters + 1, 3, false},
	} {
		_, err := testnet.Start(t.Context(), testnet.Config{Routers: c.routers, Hops: c.hops, Proxy: anyPort})
		if err == nil || errors.Is(err, testnet.ErrTooFew) != c.few {
			t.Errorf("%d routers, %d hops: %v", c.routers, c.hops, err)
		}
	}
}

func TestStartFailsWhole(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := testnet.Config{Routers: 2, Proxy: taken.Addr().(*net.TCPAddr).AddrPort()}
	if _, err := testnet.Start(t.Context(), cfg); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("port in use: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := testnet.Start(ctx, testnet.Config{Routers: 2, Proxy: anyPort}); !errors.Is(err, context.Canceled) {
		t.Errorf("started for nobody: %v", err)
	}
}

// TestSixRoutersServeAPageAndAMegabyte forms a network, measures it, and sees
// that nothing is left of it. That the body's hash is right is checked by
// Measure.
func TestSixRoutersServeAPageAndAMegabyte(t *testing.T) {
	var told []string
	n, err := testnet.Start(t.Context(), testnet.Config{
		Routers: 6, Hops: 2, Proxy: anyPort,
		Progress: func(line string) { told = append(told, line) },
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := n.Measure(t.Context(), 1e6)
	if err != nil {
		t.Error(err)
	}
	if f.ReadyS <= 0 || f.FirstPageS < f.ReadyS || f.P50ms <= 0 || f.MBperS <= 0 || f.BuildSuccess <= 0 || f.BuildSuccess > 1 {
		t.Errorf("figures %+v", f)
	}
	b := n.Builds()
	if b.Built < 6*2 {
		t.Errorf("builds %+v", b)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(n.ProxyURL()), DisableKeepAlives: true}}
	for address, want := range map[string]int{
		"http://" + n.SiteHost() + "/":                       http.StatusOK,
		"http://" + n.SiteHost() + "/nothing":                http.StatusNotFound,
		"http://" + n.SiteHost() + "/bytes/x":                http.StatusBadRequest,
		"http://" + n.SiteHost() + "/bytes/9999999999999999": http.StatusBadRequest,
		"http://unknown.i2p/":                                http.StatusBadGateway,
	} {
		resp, err := client.Get(address)
		if err != nil {
			t.Error(err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %s", address, resp.Status)
		}
	}
	begin := time.Now()
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("%+v, closed in %v\n%s", f, time.Since(begin), strings.Join(told, "\n"))
	for _, want := range []string{"6 routers started", "ready", "first page", "1000000 bytes", "hash equal"} {
		if !strings.Contains(strings.Join(told, "\n"), want) {
			t.Errorf("nobody was told %q", want)
		}
	}
}

func TestCloseEndsWaiting(t *testing.T) {
	n, err := testnet.Start(t.Context(), testnet.Config{Routers: 5, Hops: 3, Proxy: anyPort})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Ready(ctx) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Ready: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

// TestTheSmallestNetworkServes has two routers that connect directly.
func TestTheSmallestNetworkServes(t *testing.T) {
	n, err := testnet.Start(t.Context(), testnet.Config{Routers: 2, Hops: 0, Proxy: anyPort})
	if err != nil {
		t.Fatal(err)
	}
	if f, err := n.Measure(t.Context(), 0); err != nil || f.MBperS != 0 {
		t.Errorf("%+v %v", f, err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}
