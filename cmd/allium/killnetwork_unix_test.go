//go:build unix

package main

import (
	"bytes"
	"context"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"allium"
)

// killSettings are those of a router of the network.
func killSettings() allium.Settings {
	s := allium.DefaultSettings()
	s.Network, s.Private, s.MinVersion = killNetwork, true, ""
	s.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	s.Exploratory.Inbound.Length, s.Exploratory.Outbound.Length = 1, 1
	s.Tunnels.Inbound.Length, s.Tunnels.Outbound.Length = 1, 1
	return s
}

// killNet is a network of routers that live, and of others that come and go.
type killNet struct {
	mu      sync.Mutex
	routers []*allium.Router
	victims [][]byte // the RouterInfos of those that are killed
	// host is a site in it.
	host string
}

func newKillNetwork(t *testing.T) *killNet {
	t.Helper()
	n := &killNet{}
	ctx, stop := context.WithCancel(context.Background())
	var coming sync.WaitGroup
	t.Cleanup(func() {
		stop()
		coming.Wait()
		for _, r := range n.routers {
			r.Close()
		}
	})
	for i := range 4 {
		s := killSettings()
		s.Floodfill = allium.FloodfillOff
		if i < 2 {
			s.Floodfill = allium.FloodfillOn
		}
		n.routers = append(n.routers, n.start(t, s))
	}
	for _, r := range n.routers {
		r.Import(n.infos)
	}
	site, err := n.routers[3].Open(t.Context(), allium.SessionConfig{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := site.Listen("i2p", ":80")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(page)}
	coming.Go(func() { _ = server.Serve(ln) })
	t.Cleanup(func() { server.Close() })
	n.host = site.Host()
	coming.Go(func() { n.change(ctx, t) })
	return n
}

func (n *killNet) start(t *testing.T, s allium.Settings) *allium.Router {
	t.Helper()
	r, err := allium.Start(t.Context(), allium.Config{Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// infos are the RouterInfos of those that live.
func (n *killNet) infos(yield func(string, []byte) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.routers {
		if !yield("router.info", r.RouterInfo()) {
			return
		}
	}
	for _, info := range n.victims {
		if !yield("router.info", info) {
			return
		}
	}
}

// meet has everybody know a RouterInfo.
func (n *killNet) meet(info []byte) {
	for _, r := range n.routers {
		r.Import(func(yield func(string, []byte) bool) { yield("router.info", info) })
	}
}

// change has new routers come and go. They publish themselves, so the victims
// hear of them as floodfills do, and carry no tunnels, so nobody misses them.
func (n *killNet) change(ctx context.Context, t *testing.T) {
	var alive sync.WaitGroup
	defer alive.Wait()
	for ctx.Err() == nil {
		s := killSettings()
		s.Floodfill, s.Transit.Accept = allium.FloodfillOff, false
		r, err := allium.Start(ctx, allium.Config{Settings: s})
		if err != nil {
			if ctx.Err() == nil {
				t.Error(err)
			}
			return
		}
		r.Import(n.infos)
		n.meet(r.RouterInfo())
		alive.Go(func() {
			pause(ctx, 5*time.Second)
			r.Close()
		})
		pause(ctx, 700*time.Millisecond)
	}
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func page(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write(bytes.Repeat([]byte("a page of some length. "), 3000))
}
