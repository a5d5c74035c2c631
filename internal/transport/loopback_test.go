package transport_test

import (
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/host"
)

// newLoopback starts a router on a real host and a port of its own.
func newLoopback(tb testing.TB, db *known) *node {
	tb.Helper()
	return newLoopbackLimited(tb, db, bandwidth.Limits{})
}

// newLoopbackLimited is newLoopback with limits of bandwidth.
func newLoopbackLimited(tb testing.TB, db *known, limits bandwidth.Limits) *node {
	tb.Helper()
	h := host.New(host.Config{})
	tb.Cleanup(func() {
		must(tb, h.Close())
		if h.Panics() > 0 {
			tb.Error("a handler panicked")
		}
	})
	cfg := config()
	cfg.Listen = []netip.AddrPort{at("127.0.0.1:0")}
	return newLimited(tb, h, newKeys(tb), db, cfg, limits)
}

// eventually waits for something that other goroutines bring about.
func eventually(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	for limit := time.Now().Add(30 * time.Second); !cond(); runtime.Gosched() {
		if time.Now().After(limit) {
			tb.Fatalf("waited in vain for %s", what)
		}
	}
}

// sendAll sends until the message is taken.
func (n *node) sendAll(to *node, id uint32) {
	for {
		err := n.sendAs(to.hash, id, int(id%2000), bandwidth.Own)
		if err == nil {
			return
		}
		if !errors.Is(err, host.ErrFull) {
			n.tb.Error(err)
			return
		}
		runtime.Gosched()
	}
}

func TestManyGoroutinesSendToEachOther(t *testing.T) {
	const routers, senders, each = 3, 2, 200
	db := newKnown()
	var all []*node
	for range routers {
		all = append(all, newLoopback(t, db))
	}
	var sending sync.WaitGroup
	begin := make(chan struct{})
	for _, from := range all {
		for _, to := range all {
			if from == to {
				continue
			}
			for sender := range senders {
				sending.Go(func() {
					<-begin
					for i := range each {
						from.sendAll(to, uint32(sender*each+i))
					}
				})
			}
		}
	}
	close(begin)
	sending.Wait()
	for _, n := range all {
		eventually(t, "all messages", func() bool { return len(n.ids()) == (routers-1)*senders*each })
		if failed := n.failures(); len(failed) != 0 {
			t.Error(failed)
		}
		n.tr.ClockSkew()
	}
	for _, n := range all { // once those that lost have been closed
		eventually(t, "one session for each pair", func() bool { return n.tr.Stats().Sessions == routers-1 })
	}
	var closing sync.WaitGroup
	for _, n := range all {
		closing.Go(n.close)
	}
	closing.Wait()
	for _, n := range all {
		eventually(t, "the ends", func() bool { return n.tr.Stats().Sessions == 0 })
	}
}

func TestCloseWhileDialling(t *testing.T) {
	db := newKnown()
	a, b := newLoopback(t, db), newLoopback(t, db)
	var calls sync.WaitGroup
	calls.Go(func() {
		for id := range uint32(50) {
			if err := a.send(b.hash, id); err != nil && !errors.Is(err, host.ErrClosed) {
				t.Error(err)
			}
		}
	})
	calls.Go(a.close)
	calls.Wait()
	eventually(t, "the end of all", func() bool {
		return a.tr.Stats().Sessions == 0 && a.tr.Stats().Dialling == 0 && b.tr.Stats().Sessions == 0
	})
	if err := a.send(b.hash, 1); !errors.Is(err, host.ErrClosed) {
		t.Error(err)
	}
}
