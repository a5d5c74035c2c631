package hosttest

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"allium/internal/host"
)

// mailbox is a datagram handler that keeps what it gets.
type mailbox struct {
	mu    sync.Mutex
	from  []netip.AddrPort
	bytes [][]byte
	ended int
}

func (m *mailbox) Datagram(r *host.Round, from netip.AddrPort, b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.from = append(m.from, from)
	m.bytes = append(m.bytes, slices.Clone(b))
	clear(b)
	r.Later(host.Encrypt, m)
}

func (m *mailbox) EndRound(*host.Round) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended++
}

func (m *mailbox) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ended
}

func datagramsArrive(t *testing.T, p *Pair) {
	boxA, boxB := &mailbox{}, &mailbox{}
	a, err := p.A.ListenUDP(netip.AddrPortFrom(p.AddrA, 0), boxA)
	if err != nil {
		t.Fatal(err)
	}
	b, err := p.B.ListenUDP(netip.AddrPortFrom(p.AddrB, 0), boxB)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.B.ListenUDP(b.Addr(), boxB); err == nil {
		t.Error("the port could be taken twice")
	}
	want := pattern(1400)
	for _, packet := range [][]byte{want, {}, want[:1]} {
		n := boxB.count()
		if err := a.Send(b.Addr(), packet); err != nil {
			t.Fatal(err)
		}
		p.wait(t, "the packet was there", func() bool { return boxB.count() > n })
		if got := boxB.bytes[n]; !slices.Equal(got, packet) || boxB.from[n] != a.Addr() {
			t.Errorf("sent %d bytes from %v, got %d from %v", len(packet), a.Addr(), len(got), boxB.from[n])
		}
	}
	if err := b.Send(boxB.from[0], want); err != nil {
		t.Fatal(err)
	}
	p.wait(t, "the answer was there", func() bool { return boxA.count() == 1 })
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := a.Send(b.Addr(), want); !errors.Is(err, host.ErrClosed) {
		t.Errorf("sending on a closed socket: %v", err)
	}
	b.Close()
}

func wrongFamily(t *testing.T, p *Pair) {
	a, err := p.A.ListenUDP(netip.AddrPortFrom(p.AddrA, 0), &mailbox{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	to := netip.MustParseAddrPort("[2001:db8::1]:9")
	if p.AddrA.Is6() {
		to = netip.MustParseAddrPort("192.0.2.1:9")
	}
	if err := a.Send(to, []byte("x")); !errors.Is(err, host.ErrUnreachable) {
		t.Errorf("the error is %v", err)
	}
}

// ender calls a function at the end of a round.
type ender func(r *host.Round)

func (e ender) EndRound(r *host.Round) { e(r) }

func doEndsRound(t *testing.T, p *Pair) {
	var order []string
	before := p.A.Now()
	p.A.Do(func(r *host.Round) {
		if r.Now.Before(before) || r.Now.After(before.Add(time.Minute)) {
			t.Errorf("the round is at %v, the call was at %v", r.Now, before)
		}
		r.Later(host.Seal, ender(func(*host.Round) { order = append(order, "end") }))
		order = append(order, "work")
	})
	order = append(order, "return")
	if want := []string{"work", "end", "return"}; !slices.Equal(order, want) {
		t.Errorf("the order was %v", order)
	}
}

func afterFunc(t *testing.T, p *Pair) {
	var fired, ended atomic.Int32
	var early atomic.Bool
	start := p.A.Now()
	timer := p.A.AfterFunc(soon, func(r *host.Round) {
		early.Store(r.Now.Sub(start) < soon)
		r.Later(host.Encrypt, ender(func(*host.Round) { ended.Add(1) }))
		fired.Add(1)
	})
	p.wait(t, "the timer fired and its round ended", func() bool { return ended.Load() > 0 })
	if timer.Stop() {
		t.Error("Stop after the call says it was still to come")
	}
	p.Settle()
	if fired.Load() != 1 || early.Load() {
		t.Errorf("fired %d times, early: %v", fired.Load(), early.Load())
	}
}

func stoppedTimer(t *testing.T, p *Pair) {
	var fired atomic.Bool
	timer := p.A.AfterFunc(soon, func(*host.Round) { fired.Store(true) })
	if !timer.Stop() {
		t.Error("Stop says the call was not to come")
	}
	if timer.Stop() {
		t.Error("the second Stop says so again")
	}
	p.Settle()
	if fired.Load() {
		t.Error("it fired")
	}
}

func spawnBounded(t *testing.T, p *Pair) {
	gate := make(chan struct{})
	var ran atomic.Int32
	accepted := int32(0)
	for range p.Spawns {
		if p.A.Spawn(func(*host.Round) {
			<-gate
			ran.Add(1)
		}) {
			accepted++
		}
	}
	close(gate)
	if accepted == 0 || int(accepted) == p.Spawns {
		t.Errorf("%d of %d calls were accepted", accepted, p.Spawns)
	}
	p.wait(t, "the accepted work was done", func() bool { return ran.Load() == accepted })
	p.Settle()
	if ran.Load() != accepted {
		t.Errorf("%d were accepted, %d ran", accepted, ran.Load())
	}
	done := make(chan struct{}, 1)
	p.wait(t, "there was room again", func() bool { return p.A.Spawn(func(*host.Round) { done <- struct{}{} }) })
	p.wait(t, "it ran", func() bool { return len(done) == 1 })
}

// serveGoesLast fills the queue of Serve, and sees that Spawn takes work all
// the same and does it before all that waits there.
func serveGoesLast(t *testing.T, p *Pair) {
	gate := make(chan struct{})
	var mu sync.Mutex
	var before, ran int // work for others, before our own and in all
	own := false
	accepted := 0
	for range p.Spawns {
		if p.A.Serve(func(*host.Round) {
			<-gate
			mu.Lock()
			defer mu.Unlock()
			ran++
			if !own {
				before++
			}
		}) {
			accepted++
		}
	}
	if accepted == 0 || accepted == p.Spawns {
		t.Errorf("%d of %d calls were accepted", accepted, p.Spawns)
	}
	if !p.A.Spawn(func(*host.Round) {
		mu.Lock()
		defer mu.Unlock()
		own = true
	}) {
		t.Error("our own work was not accepted")
	}
	close(gate)
	p.wait(t, "all was done", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return own && ran == accepted
	})
	if before > 2 { // the workers had begun them
		t.Errorf("%d of %d went before our own", before, accepted)
	}
}

// batches counts what a round keeps.
type batches struct {
	mu   sync.Mutex
	made int
	log  *[]string
}

type batch struct {
	n   int
	log *[]string
}

func (b *batches) NewBatch() host.Ender {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.made++
	return &batch{log: b.log}
}

func (b *batch) EndRound(*host.Round) {
	*b.log = append(*b.log, "batch")
	b.n = 0
}

// phasesInOrder puts work off in the wrong order, and more while it ends.
func phasesInOrder(t *testing.T, p *Pair) {
	var log []string
	note := func(s string) ender { return func(*host.Round) { log = append(log, s) } }
	owner := &batches{log: &log}
	p.A.Do(func(r *host.Round) {
		r.Later(host.Seal, ender(func(r *host.Round) {
			log = append(log, "seal 1")
			r.Later(host.Encrypt, note("encrypt late"))
			r.Gather(host.Encrypt, owner)
		}))
		r.Later(host.Seal, note("seal 2"))
		first := r.Gather(host.Encrypt, owner)
		if r.Gather(host.Encrypt, owner) != first {
			t.Error("the batch of a round changed")
		}
		r.Later(host.Encrypt, ender(func(r *host.Round) {
			log = append(log, "encrypt 1")
			r.Later(host.Encrypt, note("encrypt 2"))
			r.Later(host.Seal, note("seal 3"))
		}))
	})
	want := []string{"batch", "encrypt 1", "encrypt 2", "seal 1", "seal 2", "seal 3", "encrypt late", "batch"}
	if !slices.Equal(log, want) {
		t.Errorf("the order was %q, want %q", log, want)
	}
	if owner.made != 1 {
		t.Errorf("%d batches were made for one round", owner.made)
	}
}

// everyCallHasRound checks that each call of a handler was in a round that
// ended.
func everyCallHasRound(t *testing.T, p *Pair) {
	a, b, _ := p.connect(t)
	a.stream.Write([]byte("hello"))
	p.wait(t, "the bytes were there", func() bool { return b.received() == 5 })
	a.stream.Close()
	p.wait(t, "the ends of the rounds", func() (yes bool) {
		b.with(func() { yes = len(b.closed) == 1 && b.ended == b.reads+len(b.closed) })
		return yes
	})
	p.wait(t, "the ends of the rounds", func() (yes bool) {
		a.with(func() { yes = a.ended == 2 })
		return yes
	})
}
