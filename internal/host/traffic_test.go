package host_test

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"allium/internal/host"
)

// echo is a pair of streams; what one end is sent it returns.
type echo struct {
	near host.Stream
	came chan int // the bytes that came back, read by read
}

func newEcho(tb testing.TB, p *host.Portable) *echo {
	l, err := p.ListenTCP(loopback, func(_ *host.Round, s host.Stream) host.StreamHandler {
		return &stream{data: func(_ *host.Round, b []byte) { s.Write(b) }}
	})
	if err != nil {
		tb.Fatal(err)
	}
	e := &echo{came: make(chan int, 16)}
	e.near = p.DialTCP(netip.Addr{}, l.Addr(), &stream{
		opened: func(*host.Round) { e.came <- 0 },
		data:   func(_ *host.Round, b []byte) { e.came <- len(b) },
	})
	<-e.came
	return e
}

func (e *echo) roundTrip(b []byte) {
	e.near.Write(b)
	for n := len(b); n > 0; {
		n -= <-e.came
	}
}

func TestStreamRoundsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	p := newPortable(t, host.Config{})
	e := newEcho(t, p)
	b := make([]byte, 1024)
	if n := testing.AllocsPerRun(500, func() { e.roundTrip(b) }); n >= 1 {
		t.Errorf("%v allocations for two writes and two reads", n)
	}
}

func TestDatagramRoundsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	p := newPortable(t, host.Config{})
	came := make(chan struct{}, 1)
	d, err := p.ListenUDP(loopback, datagram(func(*host.Round, netip.AddrPort, []byte) { came <- struct{}{} }))
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1024)
	send := func() {
		if d.Send(d.Addr(), b) == nil {
			<-came
		}
	}
	if n := testing.AllocsPerRun(500, send); n >= 1 {
		t.Errorf("%v allocations for a packet sent and received", n)
	}
}

func TestQueuedWritesAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools forget")
	}
	p := newPortable(t, host.Config{})
	gate := make(chan struct{})
	l, err := p.ListenTCP(loopback, func(*host.Round, host.Stream) host.StreamHandler {
		return &stream{data: func(*host.Round, []byte) { <-gate }}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer close(gate)
	var opened atomic.Bool
	s := p.DialTCP(netip.Addr{}, l.Addr(), &stream{opened: func(*host.Round) { opened.Store(true) }})
	if !eventually(opened.Load) {
		t.Fatal("no connection")
	}
	for s.Queued() < host.StreamQueue/2 {
		if s.Write(make([]byte, 8<<10)) != nil {
			t.Fatal("the queue filled too early")
		}
	}
	b := make([]byte, 64)
	if n := testing.AllocsPerRun(500, func() { s.Write(b) }); n >= 1 {
		t.Errorf("%v allocations for a write that waits", n)
	}
}

func TestClockFollowsTheNetworkTime(t *testing.T) {
	p := newPortable(t, host.Config{})
	p.Adjust(-time.Hour)
	if d := time.Since(p.Now()); d < 59*time.Minute || d > 61*time.Minute {
		t.Errorf("the clock is %v behind, want an hour", d)
	}
	p.Do(func(r *host.Round) {
		if d := time.Since(r.Now); d < 59*time.Minute {
			t.Errorf("the round is %v behind, want an hour", d)
		}
	})
	p.Adjust(0)
	if d := time.Since(p.Now()); d > time.Minute {
		t.Errorf("the clock is %v behind", d)
	}
}

func BenchmarkStreamRoundTrip(b *testing.B) {
	p := host.New(host.Config{})
	defer p.Close()
	e := newEcho(b, p)
	block := make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		e.roundTrip(block)
	}
}

func BenchmarkStreamWrite(b *testing.B) {
	p := host.New(host.Config{})
	defer p.Close()
	var total atomic.Int64
	l, err := p.ListenTCP(loopback, func(*host.Round, host.Stream) host.StreamHandler {
		return &stream{data: func(_ *host.Round, b []byte) { total.Add(int64(len(b))) }}
	})
	if err != nil {
		b.Fatal(err)
	}
	room := make(chan struct{}, 1)
	s := p.DialTCP(netip.Addr{}, l.Addr(), &stream{
		opened:   func(*host.Round) { room <- struct{}{} },
		writable: func(*host.Round) { room <- struct{}{} },
	})
	<-room
	block := make([]byte, 16<<10)
	b.SetBytes(int64(len(block)))
	b.ReportAllocs()
	for b.Loop() {
		for s.Write(block) != nil {
			<-room
		}
	}
}

func BenchmarkDatagram(b *testing.B) {
	p := host.New(host.Config{})
	defer p.Close()
	d, err := p.ListenUDP(loopback, datagram(func(*host.Round, netip.AddrPort, []byte) {}))
	if err != nil {
		b.Fatal(err)
	}
	block := make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		d.Send(d.Addr(), block)
	}
}
