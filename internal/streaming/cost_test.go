package streaming_test

import (
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/streaming"
)

// desk is a host without a clock of its own: time goes on by the calls of the
// test, and timers never fire.
type desk struct {
	host.Host
	now   time.Time
	round host.Round
}

type hash = data.Hash

type noTimer struct{}

func (noTimer) Stop() bool { return true }

func (d *desk) AfterFunc(time.Duration, func(*host.Round)) host.Timer { return noTimer{} }

func (d *desk) Do(f func(r *host.Round)) {
	d.round.Begin(d.now)
	f(&d.round)
	d.round.End()
}

// belt carries packets from one end to the other in memory of its own.
type belt struct {
	packets [][]byte
	n       int
}

func (b *belt) put(p []byte) {
	if b.n == len(b.packets) {
		b.packets = append(b.packets, make([]byte, 0, 4096))
	}
	b.packets[b.n] = append(b.packets[b.n][:0], p...)
	b.n++
}

// bench is two ends with nothing but their own cost between them.
type bench struct {
	d        *desk
	a, b     *streaming.Streams
	to, back belt
	from     streaming.Sender
	reply    streaming.Sender
	in, out  *streaming.Stream
}

func newBench(t testing.TB) *bench {
	x := &bench{d: &desk{now: time.Unix(1e9, 0)}}
	la, lb := newLocal(t), newLocal(t)
	x.from = streaming.Sender{Bound: true, Hash: la.Destination.Hash()}
	x.reply = streaming.Sender{Bound: true, Hash: lb.Destination.Hash()}
	x.a = streaming.New(config(), x.d, la, x.network(&x.to))
	x.b = streaming.New(config(), x.d, lb, x.network(&x.back))
	nothing := func(*host.Round) {}
	if _, err := x.b.Accept(0, func(r *host.Round, s *streaming.Stream) func(*host.Round) {
		x.out = s
		return nothing
	}); err != nil {
		t.Fatal(err)
	}
	x.d.Do(func(r *host.Round) {
		var err error
		if x.in, err = x.a.Open(r, lb.Destination.Hash(), 80, nothing); err != nil {
			t.Fatal(err)
		}
	})
	x.turn()
	x.turn()
	if x.out == nil {
		t.Fatal("nothing was accepted")
	}
	return x
}

func (x *bench) network(b *belt) streaming.Network {
	return func(_ *host.Round, _ hash, _, _ uint16, p []byte) error {
		b.put(p)
		return nil
	}
}

// turn carries everything over once, each way in a round.
func (x *bench) turn() {
	x.d.now = x.d.now.Add(time.Millisecond)
	x.d.Do(func(r *host.Round) {
		for _, p := range x.to.packets[:x.to.n] {
			_ = x.b.Receive(r, x.from, 0, 80, p)
		}
		x.to.n = 0
	})
	x.d.Do(func(r *host.Round) {
		for _, p := range x.back.packets[:x.back.n] {
			_ = x.a.Receive(r, x.reply, 80, 0, p)
		}
		x.back.n = 0
	})
}

// segments sends n segments and reads them.
func (x *bench) segments(n int, b []byte) (read int) {
	x.d.Do(func(r *host.Round) {
		for range n {
			_, _ = x.in.Write(r, b[:1812])
		}
	})
	x.turn()
	x.d.Do(func(r *host.Round) { read, _ = x.out.Read(r, b) })
	x.turn()
	return read
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	x := newBench(t)
	b := make([]byte, 4*1812)
	for range 200 {
		x.segments(4, b)
	}
	if n := testing.AllocsPerRun(1000, func() {
		if x.segments(4, b) != len(b) {
			t.Fatal("bytes are missing")
		}
	}); n > 0 {
		t.Errorf("4 segments and their acknowledgement allocate %v times", n)
	}
}

func BenchmarkSegment(b *testing.B) {
	x := newBench(b)
	buf := make([]byte, 4*1812)
	b.SetBytes(1812)
	b.ReportAllocs()
	for i := 0; i < b.N; i += 4 {
		x.segments(4, buf)
	}
}

// BenchmarkStream opens a stream, sends a byte each way and closes it: two
// signatures are made and verified for each end.
func BenchmarkStream(b *testing.B) {
	x := newBench(b)
	b.ReportAllocs()
	for b.Loop() {
		x.d.Do(func(r *host.Round) {
			x.in, _ = x.a.Open(r, x.reply.Hash, 80, func(*host.Round) {})
			_, _ = x.in.Write(r, []byte("q"))
			x.in.CloseWrite(r)
		})
		x.turn()
		x.d.Do(x.out.Close)
		x.turn()
		x.turn()
		x.d.Do(x.in.Reset) // nothing else ends it without timers
		x.d.Do(x.out.Reset)
	}
	if n := x.a.Len() + x.b.Len(); n > 2 {
		b.Fatalf("%d streams are left", n)
	}
}
