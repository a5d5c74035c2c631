package allium_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"allium"
)

// patience bounds every wait of these tests.
const patience = 90 * time.Second

// smallNetwork starts routers of a private network on loopback that know each
// other. They are closed with the test, which then sees that nothing is left.
func smallNetwork(t *testing.T, routers int, dirs ...string) []*allium.Router {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	var all []*allium.Router
	for i := range routers {
		cfg := allium.Config{Settings: privateSettings()}
		cfg.Settings.Floodfill = allium.FloodfillOff
		if i < 2 {
			cfg.Settings.Floodfill = allium.FloodfillOn
		}
		if i < len(dirs) {
			cfg.Dir = dirs[i]
		}
		all = append(all, start(t, cfg))
	}
	t.Cleanup(func() {
		var closing sync.WaitGroup
		for _, r := range all {
			closing.Go(func() {
				begin := time.Now()
				if err := r.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				t.Logf("closed in %v", time.Since(begin))
			})
		}
		closing.Wait()
		goleak.VerifyNone(t, leaks)
	})
	introduce(all)
	return all
}

func privateSettings() allium.Settings {
	s := allium.DefaultSettings()
	s.Network = 99
	s.Private = true
	s.MinVersion = ""
	s.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	s.Exploratory.Inbound.Length, s.Exploratory.Outbound.Length = 1, 1
	s.Tunnels.Inbound.Length, s.Tunnels.Outbound.Length = 1, 1
	s.Tunnels.Inbound.Quantity, s.Tunnels.Outbound.Quantity = 2, 2
	return s
}

func start(t *testing.T, cfg allium.Config) *allium.Router {
	t.Helper()
	r, err := allium.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func introduce(all []*allium.Router) {
	for _, r := range all {
		r.Import(func(yield func(string, []byte) bool) {
			for _, other := range all {
				if other != r && !yield("router.info", other.RouterInfo()) {
					return
				}
			}
		})
	}
}

func open(t *testing.T, r *allium.Router, cfg allium.SessionConfig) *allium.Session {
	t.Helper()
	s, err := r.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func listen(t *testing.T, s *allium.Session, address string) net.Listener {
	t.Helper()
	ln, err := s.Listen("i2p", address)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func patiently(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestNetHTTPRunsUnchanged(t *testing.T) {
	routers := smallNetwork(t, 5)
	site, visitor := open(t, routers[0], allium.SessionConfig{}), open(t, routers[4], allium.SessionConfig{Unpublished: true})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(w, req.Body)
	})}
	ln := listen(t, site, ":80")
	go func() { _ = server.Serve(ln) }()
	ctx := patiently(t)
	defer func() { _ = server.Shutdown(ctx) }() // which waits for its goroutines
	if err := site.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: visitor.DialContext, DisableKeepAlives: true}}
	body := bytes.Repeat([]byte("a body of some length. "), 20_000)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+site.Host()+"/", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || sha256.Sum256(got) != sha256.Sum256(body) {
		t.Fatalf("%d of %d bytes came back, %v", len(got), len(body), err)
	}
}

func TestDialFailsForReasonsACallerCanTest(t *testing.T) {
	routers := smallNetwork(t, 4)
	visitor := open(t, routers[3], allium.SessionConfig{Unpublished: true})
	site := open(t, routers[0], allium.SessionConfig{})
	ctx := patiently(t)
	if err := errors.Join(visitor.Ready(ctx), site.Ready(ctx)); err != nil {
		t.Fatal(err)
	}
	nobody := "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b32.i2p:80"
	for name, c := range map[string]struct {
		address string
		want    error
	}{
		"a name nobody knows":          {"nowhere.i2p:80", allium.ErrNameUnknown},
		"a clearnet name":              {"example.com:80", allium.ErrNameUnknown},
		"a destination nobody stored":  {nobody, allium.ErrNoLeaseSet},
		"a port nobody listens on":     {site.Host() + ":81", allium.ErrRefused},
		"a network that is not of I2P": {"", net.UnknownNetworkError("unix")},
	} {
		network := "i2p"
		if c.address == "" {
			network = "unix"
		}
		_, err := visitor.DialContext(ctx, network, c.address)
		if _, ok := errors.AsType[*net.OpError](err); !ok || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v in a *net.OpError", name, err, c.want)
		}
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := visitor.DialContext(gone, "i2p", nobody); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that is over: %v", err)
	}
}

func TestDeadlinesEndReadsAndAccepts(t *testing.T) {
	routers := smallNetwork(t, 4)
	site, visitor := open(t, routers[0], allium.SessionConfig{}), open(t, routers[3], allium.SessionConfig{})
	ln := listen(t, site, ":7")
	ctx := patiently(t)
	if err := site.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	conn, err := visitor.DialContext(ctx, "i2p", site.Host()+":7")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	_, err = conn.Read(make([]byte, 1))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read past its deadline: %v", err)
	}
	if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
		t.Errorf("%v is no time-out of package net", err)
	}
	accepted := make(chan error, 1)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				accepted <- err
				return
			}
			defer c.Close()
		}
	}()
	if err := site.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-accepted:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept of a closed session: %v", err)
		}
	case <-ctx.Done():
		t.Error("Accept goes on after its session was closed")
	}
}

func TestARouterAndItsDestinationsAreTheSameAfterARestart(t *testing.T) {
	dir := t.TempDir()
	cfg := allium.Config{Dir: dir, Settings: privateSettings()}
	first := start(t, cfg)
	hash, host := first.Hash(), open(t, first, allium.SessionConfig{KeyFile: "site.dat"}).Host()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.ReadFile(filepath.Join(dir, "router.info"))
	if err != nil || len(info) < 400 {
		t.Fatalf("router.info: %d bytes, %v", len(info), err)
	}
	for _, name := range []string{"allium.db", "site.dat", "router.info"} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v: not for its owner alone", name, st.Mode(), err)
		}
	}
	second := start(t, cfg)
	defer second.Close()
	if got := open(t, second, allium.SessionConfig{KeyFile: "site.dat"}).Host(); second.Hash() != hash || got != host {
		t.Errorf("router %s and site %s became %s and %s", hash, host, second.Hash(), got)
	}
	if _, err := allium.Start(t.Context(), cfg); err == nil {
		t.Error("a second router took the same directory")
	}
}

func TestCloseIsQuickWhateverIsUnderWay(t *testing.T) {
	routers := smallNetwork(t, 4)
	ctx := patiently(t)
	var waiting sync.WaitGroup
	for _, r := range routers {
		s := open(t, r, allium.SessionConfig{})
		ln := listen(t, s, ":1")
		waiting.Go(func() { _, _ = ln.Accept() })
		waiting.Go(func() {
			_, _ = s.DialContext(ctx, "i2p", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b32.i2p:1")
		})
	}
	for _, r := range routers {
		begin := time.Now()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		t.Logf("closed in %v", time.Since(begin))
	}
	waiting.Wait() // nobody is left behind
}

func TestDatagramsFindTheirWayThereAndBack(t *testing.T) {
	routers := smallNetwork(t, 4)
	a, b := open(t, routers[0], allium.SessionConfig{}), open(t, routers[3], allium.SessionConfig{})
	ctx := patiently(t)
	if err := errors.Join(a.Ready(ctx), b.Ready(ctx)); err != nil {
		t.Fatal(err)
	}
	to, err := b.Find(ctx, a.Host()+":53")
	if err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"i2p", "datagram2", "datagram3", "raw"} {
		server, err := a.ListenPacket(network, ":53")
		if err != nil {
			t.Fatal(err)
		}
		client, err := b.ListenPacket(network, ":1053")
		if err != nil {
			t.Fatal(err)
		}
		text := []byte("a question over " + network)
		if _, err := client.WriteTo(text, to); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		_ = server.SetReadDeadline(time.Now().Add(patience))
		n, from, err := server.ReadFrom(buf)
		if err != nil || string(buf[:n]) != string(text) {
			t.Fatalf("%s: %q from %v, %v", network, buf[:n], from, err)
		}
		if want := (allium.Addr{Hash: b.Addr().Hash, Port: 1053}); from != net.Addr(want) {
			t.Errorf("%s came from %v, not %v", network, from, want)
		}
		if _, err := server.WriteTo(bytes.ToUpper(text), from); err != nil {
			t.Fatal(err)
		}
		_ = client.SetReadDeadline(time.Now().Add(patience))
		if n, _, err = client.ReadFrom(buf); err != nil || string(buf[:n]) != string(bytes.ToUpper(text)) {
			t.Fatalf("%s: answer %q, %v", network, buf[:n], err)
		}
		_, _ = server.Close(), client.Close()
	}
	if _, err := b.ListenPacket("tcp", ":1"); err == nil {
		t.Error("packets over tcp")
	}
}
