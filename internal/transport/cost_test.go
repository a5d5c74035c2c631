package transport_test

import (
	"sync/atomic"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/sim"
)

func TestSendThroughASessionAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("with the race detector the compiler allocates more")
	}
	w := sim.New(t, 1, sim.Config{})
	all := simNodes(t, w, 2)
	a, b := all[0], all[1]
	b.onMessage = func(*host.Round, data.Hash, i2np.Message) {}
	join(t, w, a, b)
	m := message(w.Now(), 1, i2np.TunnelDataSize)
	const each = 300
	for _, class := range []bandwidth.Class{bandwidth.Own, bandwidth.Transit} {
		fill := func(r *host.Round) {
			for range each + 10 {
				must(t, a.tr.Send(r, b.hash, m, class))
			}
		}
		a.h.Do(fill) // the queue grows to what it will be
		w.Run(10 * time.Second)
		a.h.Do(func(r *host.Round) {
			if got := testing.AllocsPerRun(each, func() { a.tr.Send(r, b.hash, m, class) }); got != 0 {
				t.Errorf("class %d: %v allocations", class, got)
			}
		})
		w.Run(10 * time.Second)
	}
}

// BenchmarkSend is what it costs to hand one message to an established
// session, which drops the oldest for it.
func BenchmarkSend(b *testing.B) {
	w := sim.New(b, 1, sim.Config{})
	db := newKnown()
	from, to := simNode(b, w, db, "10.0.0.1", nil), simNode(b, w, db, "10.0.0.2", nil)
	to.onMessage = func(*host.Round, data.Hash, i2np.Message) {}
	join(b, w, from, to)
	m := message(w.Now(), 1, i2np.TunnelDataSize)
	b.ReportAllocs()
	from.h.Do(func(r *host.Round) {
		for b.Loop() {
			from.tr.Send(r, to.hash, m, bandwidth.Transit)
		}
	})
}

// BenchmarkRelay is one message from socket to socket through a router: A
// sends rounds of messages to B over loopback, which sends each on to C. What
// A does to send and C to read it is in the time too, as are all system calls;
// BenchmarkDirect is that alone.
func BenchmarkRelay(b *testing.B) {
	for _, n := range []int{1, 8, 32} {
		b.Run(perRound(n), func(b *testing.B) { newRelay(b, true).run(b, n) })
	}
}

// BenchmarkDirect is BenchmarkRelay without the router between.
func BenchmarkDirect(b *testing.B) {
	for _, n := range []int{1, 8, 32} {
		b.Run(perRound(n), func(b *testing.B) { newRelay(b, false).run(b, n) })
	}
}

func perRound(n int) string { return map[int]string{1: "alone", 8: "by8", 32: "by32"}[n] }

// relay is the routers of BenchmarkRelay.
type relay struct {
	a, first *node
	got      atomic.Int64 // messages that have come to C
	wanted   atomic.Int64
	arrived  chan struct{} // told when got reaches wanted
}

func newRelay(b *testing.B, through bool) *relay {
	b.Helper()
	db := newKnown()
	x := &relay{a: newLoopback(b, db), arrived: make(chan struct{}, 1)}
	c := newLoopback(b, db)
	c.onMessage = func(*host.Round, data.Hash, i2np.Message) {
		if x.got.Add(1) == x.wanted.Load() {
			x.arrived <- struct{}{}
		}
	}
	x.first = c
	if through {
		x.first = newLoopback(b, db)
		x.first.onMessage = func(r *host.Round, _ data.Hash, m i2np.Message) {
			if err := x.first.tr.Send(r, c.hash, m, bandwidth.Transit); err != nil {
				b.Error(err)
			}
		}
	}
	x.send(1, 1) // connects everything
	return x
}

// send has so many messages sent, by as many in a round, and waits for them.
func (x *relay) send(count, perRound int) {
	x.wanted.Store(x.got.Load() + int64(count))
	for sent := 0; sent < count; {
		x.a.h.Do(func(r *host.Round) {
			m := i2np.Message{Type: i2np.TypeTunnelData, ID: 1, Expiration: r.Now.Add(time.Minute), Body: tunnelData}
			for range min(perRound, count-sent) {
				must(x.a.tb, x.a.tr.Send(r, x.first.hash, m, bandwidth.Own))
				sent++
			}
		})
	}
	<-x.arrived
}

var tunnelData = make([]byte, i2np.TunnelDataSize)

// run keeps at most window messages under way, so that none is dropped.
func (x *relay) run(b *testing.B, perRound int) {
	const window = 128
	x.send(window, perRound)
	b.SetBytes(i2np.TunnelDataSize)
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N; left > 0; left -= window {
		x.send(min(left, window), perRound)
	}
}
