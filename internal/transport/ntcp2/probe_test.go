package ntcp2_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/host"
	"allium/internal/random"
	"allium/internal/sim"
	"allium/internal/transport/block"
	"allium/internal/transport/ntcp2"
)

// prober connects to Bob without being a router.
type prober struct {
	stream host.Stream
	got    []byte
	closed error
	when   time.Time
}

func (p *prober) Opened(*host.Round)              {}
func (p *prober) Data(_ *host.Round, b []byte)    { p.got = append(p.got, b...) }
func (p *prober) Writable(*host.Round)            {}
func (p *prober) Closed(r *host.Round, err error) { p.closed, p.when = err, r.Now }

// probe sends the parts, a second apart, and waits for the end.
func probe(t *testing.T, w *sim.World, from *sim.Host, parts ...[]byte) *prober {
	t.Helper()
	p := new(prober)
	p.stream = from.DialTCP(netip.Addr{}, bobAddr, p)
	for _, part := range parts {
		if len(part) > 0 {
			must(t, p.stream.Write(part))
		}
		w.Run(time.Second)
	}
	if !w.RunUntil(func() bool { return p.closed != nil }, time.Minute) {
		t.Fatal("the prober is still connected")
	}
	return p
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	random.Fill(b)
	return b
}

func TestProbesGetNoAnswer(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	p := newPair(t, w, config())
	recorded := record(t, p)
	half, whole := recorded[:50], recorded
	tampered := bytes.Clone(whole)
	tampered[40] ^= 1
	later := newHandshake(t)
	later.bob = p.b.self
	later.nowA, later.nowB = w.Now(), w.Now()
	later.alice.NetID = 2
	later.begin()
	network, err := later.a.Step(w.Now(), nil)
	must(t, err)

	type script struct {
		name  string
		parts [][]byte
	}
	probes := []script{
		{"nothing", [][]byte{nil}},
		{"one byte", [][]byte{{0}}},
		{"half a request", [][]byte{half}},
		{"replayed", [][]byte{whole}},
		{"replayed slowly", [][]byte{half, whole[50:]}},
		{"tampered", [][]byte{tampered}},
		{"other network", [][]byte{network}},
		{"zero", [][]byte{make([]byte, 200)}},
		{"TLS", [][]byte{append([]byte{22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3}, randomBytes(506)...)}},
		{"HTTP", [][]byte{[]byte("GET / HTTP/1.1\r\nHost: 198.51.100.2\r\n\r\n")}},
	}
	for _, n := range []int{31, 32, 63, 64, 65, 300, 1000, 5000} {
		probes = append(probes, script{fmt.Sprintf("%d random bytes", n), [][]byte{randomBytes(n)}})
	}
	for i, c := range probes {
		name, start := c.name, w.Now()
		got := probe(t, w, w.Host(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}).String()), c.parts...)
		if len(got.got) > 0 {
			t.Errorf("%s: answered with %d bytes", name, len(got.got))
		}
		if !errors.Is(got.closed, host.ErrReset) {
			t.Errorf("%s: ended with %v", name, got.closed)
		}
		if took := got.when.Sub(start); took > 17*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
	sent := len(probes)
	if len(p.b.refused) != sent || len(p.b.sessions) != 1 {
		t.Errorf("Bob refused %d of %d and has %d sessions", len(p.b.refused), sent, len(p.b.sessions))
	}
	stats := p.b.ep.Stats()
	if stats.HalfOpen != 0 || stats.Replays != 2 || stats.WrongNetwork != 1 || stats.Probes+stats.TimedOut != uint64(sent)-3 {
		t.Errorf("%+v", stats)
	}
}

// record gives the message 1 of a session that came to be.
func record(t *testing.T, p *pair) (request []byte) {
	t.Helper()
	tp := newTap(t, p)
	tp.down.change = func(int, []byte) {
		if request == nil {
			request = bytes.Clone(tp.up.seen)
		}
	}
	tp.connect(t)
	return request
}

// A prober that sends the same garbage again and again learns nothing from
// how much of it is read.
func TestWrongRequestsAreReadOnForRandomLengths(t *testing.T) {
	w := sim.New(t, 1, sim.Config{Whole: true})
	newPair(t, w, config())
	from := w.Host("203.0.113.1")
	read := map[int]bool{}
	for range 20 {
		p := new(prober)
		p.stream = from.DialTCP(netip.Addr{}, bobAddr, p)
		must(t, p.stream.Write(randomBytes(64)))
		n := 0
		for p.closed == nil && n < 400 {
			w.Run(200 * time.Millisecond)
			if p.stream.Write(make([]byte, 10)) == nil {
				n += 10
			}
		}
		w.Run(time.Minute)
		read[n] = true
	}
	if len(read) < 10 {
		t.Errorf("only %d different lengths", len(read))
	}
}

func TestHalfHandshakeGetsNoMore(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	p := newPair(t, w, config())
	h := newHandshake(t)
	h.bob = p.b.self
	h.nowA = w.Now()
	// Garbage for message 3 after a good message 1.
	for _, third := range [][]byte{nil, randomBytes(100), randomBytes(7000)} {
		h.begin()
		request, err := h.a.Step(w.Now(), nil)
		must(t, err)
		got := probe(t, w, w.Host(netip.AddrFrom4([4]byte{203, 0, 113, byte(len(third))}).String()), request, third)
		if n := len(got.got); n <= ntcp2.FixedSize || n > ntcp2.FixedSize+32 {
			t.Errorf("%d bytes", n)
		}
		if !errors.Is(got.closed, host.ErrReset) {
			t.Error(got.closed)
		}
	}
	// Nothing may follow message 1 at once.
	h.begin()
	request, err := h.a.Step(w.Now(), nil)
	must(t, err)
	if got := probe(t, w, w.Host("203.0.113.200"), append(request, 1)); len(got.got) > 0 {
		t.Errorf("a byte too much is answered with %d", len(got.got))
	}
}

func TestHalfOpenSessionsAreLimited(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	cfg := config()
	cfg.HalfOpen, cfg.HalfOpenPerIP = 8, 3
	p := newPair(t, w, cfg)
	crowd := func(from *sim.Host, n int) (refused int) {
		probers := make([]*prober, n)
		for i := range probers {
			probers[i] = new(prober)
			probers[i].stream = from.DialTCP(netip.Addr{}, bobAddr, probers[i])
		}
		w.Run(time.Second)
		for _, p := range probers {
			if p.closed != nil {
				refused++
			}
		}
		return refused
	}
	for i, want := range []int{2, 2, 3} {
		from := w.Host(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}).String())
		if got := crowd(from, 5); got != want {
			t.Errorf("host %d: %d refused, want %d", i, got, want)
		}
	}
	if s := p.b.ep.Stats(); s.HalfOpen != 8 || s.Crowded != 7 {
		t.Errorf("%+v", s)
	}
	w.Run(20 * time.Second)
	p.connect(t)
}

var tapAddr = netip.MustParseAddrPort("198.51.100.3:3")

// tap is a wire between a dialling router and Bob that can be cut open. The
// router publishes no host, so that Bob takes it from anywhere.
type tap struct {
	p        *pair
	alice    *node
	up, down *half
}

// half is one direction of a tap.
type half struct {
	to     host.Stream
	seen   []byte
	change func(at int, b []byte) // at is how many bytes came before
}

func (h *half) Opened(*host.Round)   {}
func (h *half) Writable(*host.Round) {}
func (h *half) Data(_ *host.Round, b []byte) {
	if h.change != nil {
		h.change(len(h.seen), b)
	}
	h.seen = append(h.seen, b...)
	h.to.Write(b)
}
func (h *half) Closed(*host.Round, error) { h.to.Close() }

// newTap makes a third router that reaches Bob by way of a tap only.
func newTap(t *testing.T, p *pair) *tap {
	t.Helper()
	middle := p.w.Host("198.51.100.3")
	tp := &tap{p: p, up: new(half), down: new(half)}
	_, err := middle.ListenTCP(tapAddr, func(r *host.Round, s host.Stream) host.StreamHandler {
		tp.down.to = s
		tp.up.to = middle.DialTCP(netip.Addr{}, bobAddr, tp.down)
		return tp.up
	})
	must(t, err)
	tp.alice = newNode(t, p.w.Host("198.51.100.4"), netip.AddrPort{}, config())
	return tp
}

// connect makes a session through the tap.
func (tp *tap) connect(t *testing.T) (s *ntcp2.Session) {
	t.Helper()
	tp.alice.host.Do(func(r *host.Round) {
		var err error
		s, err = tp.alice.ep.Dial(r, netip.Addr{}, tapAddr, tp.p.b.self.at(r.Now, tapAddr), bandwidth.Own)
		must(t, err)
	})
	tp.p.until(t, "a session", func() bool { return len(tp.alice.sessions) == 1 && len(tp.p.b.sessions) == 1 })
	return s
}

func TestDamagedFrameEndsTheSession(t *testing.T) {
	p := newPair(t, sim.New(t, 1, sim.Config{}), config())
	tp := newTap(t, p)
	s := tp.connect(t)
	p.w.Run(time.Second)
	damaged := false
	tp.up.change = func(_ int, b []byte) {
		if !damaged {
			b[len(b)/2] ^= 1
			damaged = true
		}
	}
	must(t, tp.alice.send(s, 1, 1000, bandwidth.Own))
	p.until(t, "the end", func() bool { return len(p.b.closed) == 1 && len(tp.alice.closed) == 1 })
	if reason, byPeer, _ := terminated(tp.alice.closed[0]); reason != block.AEADFailure || !byPeer {
		t.Error(tp.alice.closed[0])
	}
	if !errors.Is(p.b.closed[0], ntcp2.ErrFrame) || len(p.b.messages) != 0 {
		t.Errorf("%v, %d messages", p.b.closed[0], len(p.b.messages))
	}
}

func TestOverloadEndsHandshakesAndNothingElse(t *testing.T) {
	w := sim.New(t, 1, sim.Config{Workers: 1, Backlog: 2, WorkTime: 2 * time.Second})
	p := newPair(t, w, config())
	p.connect(t)
	// More strangers than workers, and one who does not wait for an answer.
	for i := range 8 {
		from := w.Host(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}).String())
		stranger := from.DialTCP(netip.Addr{}, bobAddr, new(prober))
		must(t, stranger.Write(randomBytes(64)))
	}
	flooder := new(prober)
	flooder.stream = w.Host("203.0.113.100").DialTCP(netip.Addr{}, bobAddr, flooder)
	w.Run(10 * time.Second)
	must(t, flooder.stream.Write(randomBytes(64)))
	w.Run(time.Second)
	must(t, flooder.stream.Write(randomBytes(20000)))
	w.Run(time.Minute)

	busy, flood := 0, 0
	for _, err := range p.b.refused {
		switch {
		case errors.Is(err, ntcp2.ErrBusy):
			busy++
		case errors.Is(err, ntcp2.ErrHandshake):
			flood++
		}
	}
	if len(p.b.refused) != 9 || busy < 4 || flood != 1 || p.b.ep.Stats().HalfOpen != 0 {
		t.Errorf("%d busy, %d flooding of %v", busy, flood, p.b.refused)
	}
	must(t, p.a.send(p.fromA, 1, 100, bandwidth.Own))
	w.Run(time.Second)
	if len(p.b.messages) != 1 {
		t.Error("the session of others has suffered")
	}
}
