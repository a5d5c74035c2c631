package ntcp2_test

import (
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/transport/block"
	"allium/internal/transport/ntcp2"
)

// newLoopback makes a node on a real host and a port of its own.
func newLoopback(t *testing.T) *node {
	t.Helper()
	h := host.New(host.Config{})
	t.Cleanup(func() {
		must(t, h.Close())
		if h.Panics() > 0 {
			t.Error("a handler panicked")
		}
	})
	n := &node{tb: t, host: h}
	ready := make(chan struct{})
	l, err := h.ListenTCP(netip.MustParseAddrPort("127.0.0.1:0"), func(r *host.Round, s host.Stream) host.StreamHandler {
		<-ready
		return n.ep.Accept(r, s)
	})
	must(t, err)
	n.self = newRouter(t, l.Addr(), netID)
	n.ep = ntcp2.New(config(), h, n.self.Local, unlimited(h), n)
	close(ready)
	return n
}

// eventually waits for something that other goroutines bring about.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !cond(); runtime.Gosched() {
		if time.Now().After(limit) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestSessionsUnderRealConcurrency(t *testing.T) {
	a, b := newLoopback(t), newLoopback(t)
	const senders, each = 4, 400
	var sending sync.WaitGroup
	flood := func(n *node, s *ntcp2.Session) {
		for sender := range senders {
			sending.Go(func() {
				for i := range each {
					id := uint32(sender*each + i)
					for errors.Is(n.send(s, id, 30*int(id%70), bandwidth.Own), host.ErrFull) {
						runtime.Gosched()
					}
				}
			})
		}
	}
	s := a.dial(b)
	eventually(t, "a session", func() bool { return b.count(func() int { return len(b.sessions) }) == 1 })
	flood(a, s)
	flood(b, b.sessions[0])
	sending.Wait()
	for _, n := range []*node{a, b} {
		eventually(t, "all messages", func() bool { return n.count(func() int { return len(n.messages) }) == senders*each })
		last := [senders]uint32{}
		for _, id := range n.received() {
			if id%each != 0 && id <= last[id/each] {
				t.Fatal("messages of one sender out of order")
			}
			last[id/each] = id
		}
	}
	// Both ends close at once.
	var closing sync.WaitGroup
	closing.Go(func() { a.close(a.sessions[0], block.RouterShutdown) })
	closing.Go(func() { b.close(b.sessions[0], block.RouterShutdown) })
	closing.Wait()
	for _, n := range []*node{a, b} {
		eventually(t, "the end", func() bool { return n.count(func() int { return len(n.closed) }) == 1 })
		if _, _, ok := terminated(n.closed[0]); !ok {
			t.Error(n.closed[0])
		}
	}
}

func TestManyHandshakesAtOnce(t *testing.T) {
	b := newLoopback(t)
	b.onMessage = func(r *host.Round, s *ntcp2.Session, m i2np.Message) { s.Send(r, m, bandwidth.Own) }
	const all = 7 // one less than may be half open from one address
	var dialers []*node
	for range all {
		a := newLoopback(t)
		dialers = append(dialers, a)
		must(t, a.send(a.dial(b), 1, 1000, bandwidth.Own))
	}
	for _, a := range dialers {
		eventually(t, "an echo", func() bool { return a.count(func() int { return len(a.messages) }) == 1 })
	}
	if s := b.ep.Stats(); s.Inbound != all || s.HalfOpen != 0 {
		t.Errorf("%+v", s)
	}
	for _, a := range dialers {
		must(t, a.host.(*host.Portable).Close())
	}
	eventually(t, "the ends", func() bool { return b.count(func() int { return len(b.closed) }) == all })
}
