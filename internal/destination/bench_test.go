package destination_test

import (
	"testing"
	"time"

	"allium/internal/destination"
	"allium/internal/host"
	"allium/internal/sim"
)

// quiet is a Destination that only counts.
type quiet struct {
	*destination.Destination
	ready bool
	got   int
}

// Message implements destination.Handler.
func (q *quiet) Message(*host.Round, destination.Sender, destination.Message) { q.got++ }

// Ready implements destination.Handler.
func (q *quiet) Ready(_ *host.Round, ready bool) { q.ready = ready }

// near is two Destinations of one router, with tunnels that have no hops, and a
// session: what is left is what a message costs between application and
// tunnel.
func near(t testing.TB, compress bool) (n *network, a, b *quiet) {
	t.Helper()
	n = newNetwork(t, sim.New(t, 50, sim.Config{}), 2, 1)
	open := func() *quiet {
		q, x := new(quiet), n.nodes[1]
		x.h.Do(func(r *host.Round) {
			cfg := destination.Config{Tunnels: tunnels(0, 1), Compress: compress}
			q.Destination = destination.Open(r, x.Router, cfg, newKeys(t), q, x.h.Logger(8))
		})
		return q
	}
	a, b = open(), open()
	if !n.w.RunUntil(func() bool { return a.ready && b.ready }, time.Minute) {
		t.Fatal("not ready")
	}
	for range 20 { // both have seen an existing session, and confirmed LeaseSets
		n.one(a, b, []byte("hello"))
		n.one(b, a, []byte("hello"))
		n.w.Run(time.Second)
	}
	if a.got < 15 || b.got < 15 {
		t.Fatalf("got %d and %d", a.got, b.got)
	}
	return n, a, b
}

// one sends a message in a round of its own.
func (n *network) one(from, to *quiet, payload []byte) {
	n.nodes[1].h.Do(func(r *host.Round) {
		_ = from.Send(r, to.Hash(), destination.Message{Protocol: 6, FromPort: 1, ToPort: 2, Payload: payload})
	})
}

func benchmark(b *testing.B, compress bool, payload []byte) {
	n, x, y := near(b, compress)
	before := y.got
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n.one(x, y, payload)
		if i%50 == 49 { // the other side acknowledges, ratchets and goes on
			b.StopTimer()
			n.one(y, x, payload)
			n.w.Run(100 * time.Millisecond)
			b.StartTimer()
		}
	}
	if got := y.got - before; got < b.N*99/100 {
		b.Fatalf("%d of %d came", got, b.N)
	}
}

// Of each iteration about half is sending and half receiving, with what the
// router does between: one message to itself.
func BenchmarkMessage(b *testing.B)           { benchmark(b, false, noise(1730)) }
func BenchmarkMessageCompressed(b *testing.B) { benchmark(b, true, text(1730)) }

func BenchmarkCodecCompress(b *testing.B) {
	c, m := destination.NewCodec(true), destination.Message{Payload: text(1730)}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = c.Append(buf[:0], m)
	}
}

func TestMessageAllocatesLittle(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	n, a, b := near(t, false)
	payload := noise(1730)
	per := testing.AllocsPerRun(200, func() { n.one(a, b, payload) })
	// Four are the ciphers', the rest of the way from a router to itself; there
	// is none in this package.
	if per > 16 {
		t.Errorf("%v allocations", per)
	}
}
