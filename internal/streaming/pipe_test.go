package streaming_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/setting"
	"allium/internal/signature"
	"allium/internal/sim"
	"allium/internal/streaming"
)

// path is what lies between two Destinations.
type path struct {
	delay     time.Duration // one way
	jitter    time.Duration // on top, for each packet on its own
	loss, dup float64
	// tap sees each packet that is sent and tells whether it may go on.
	tap func(from *end, payload []byte) bool
	// unbound hides who sent a packet.
	unbound bool
}

// end is the streams of one Destination.
type end struct {
	*streaming.Streams
	h     host.Host
	local streaming.Local
	hash  data.Hash
	sent  int // packets
	errs  []error
	peers map[data.Hash]*end
}

func config() streaming.Config {
	var c streaming.Config
	setting.Defaults(&c)
	return c
}

func newLocal(t testing.TB) streaming.Local {
	t.Helper()
	key, err := signature.Generate(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	d, err := data.NewDestination(key)
	if err != nil {
		t.Fatal(err)
	}
	return streaming.Local{Destination: d, Key: key}
}

// newEnd makes an end that reaches peers over p.
func newEnd(h host.Host, cfg streaming.Config, local streaming.Local, random func() float64, p *path) *end {
	e := &end{h: h, local: local, hash: local.Destination.Hash(), peers: make(map[data.Hash]*end)}
	e.Streams = streaming.New(cfg, h, local, func(r *host.Round, to data.Hash, fromPort, toPort uint16, payload []byte) error {
		e.sent++
		peer := e.peers[to]
		if peer == nil || p.tap != nil && !p.tap(e, payload) || random() < p.loss {
			return nil
		}
		copies := 1
		if random() < p.dup {
			copies = 2
		}
		for range copies {
			peer.arrive(e, p.delay+time.Duration(random()*float64(p.jitter)), !p.unbound, fromPort, toPort, bytes.Clone(payload))
		}
		return nil
	})
	return e
}

// arrive has a packet of from received after delay.
func (e *end) arrive(from *end, delay time.Duration, bound bool, fromPort, toPort uint16, payload []byte) {
	e.h.AfterFunc(delay, func(r *host.Round) {
		sender := streaming.Sender{Bound: bound, Hash: from.hash}
		if !bound {
			sender = streaming.Sender{}
		}
		if err := e.Receive(r, sender, fromPort, toPort, payload); err != nil {
			e.errs = append(e.errs, err)
		}
	})
}

func connect(ends ...*end) {
	for _, a := range ends {
		for _, b := range ends {
			a.peers[b.hash] = b
		}
	}
}

// newPair makes two ends in a simulated world.
func newPair(t testing.TB, seed uint64, cfg streaming.Config, p *path) (w *sim.World, a, b *end) {
	t.Helper()
	w = sim.New(t, seed, sim.Config{})
	a = newEnd(w.Host("192.0.2.1"), cfg, newLocal(t), w.Rand().Float64, p)
	b = newEnd(w.Host("192.0.2.2"), cfg, newLocal(t), w.Rand().Float64, p)
	connect(a, b)
	return w, a, b
}

// user is a program at one end of a stream: it sends what it was given and
// keeps what it gets.
type user struct {
	s       *streaming.Stream
	out     []byte
	finish  bool // close our side after out
	got     []byte
	count   int // bytes read
	discard bool
	paused  bool
	err     error
	calls   int
}

func (u *user) notify(r *host.Round) {
	u.calls++
	if u.s == nil {
		return
	}
	for len(u.out) > 0 {
		n, err := u.s.Write(r, u.out)
		if n == 0 || err != nil {
			break
		}
		u.out = u.out[n:]
	}
	if len(u.out) == 0 && u.finish {
		u.finish = false
		u.s.CloseWrite(r)
	}
	var b [32 << 10]byte
	for !u.paused {
		n, err := u.s.Read(r, b[:])
		u.count += n
		if !u.discard {
			u.got = append(u.got, b[:n]...)
		}
		if err != nil {
			u.err = err
		}
		if n == 0 || err != nil {
			return
		}
	}
}

// open has u open a stream to port 80 of b.
func (u *user) open(t testing.TB, a, b *end) {
	t.Helper()
	a.h.Do(func(r *host.Round) {
		var err error
		if u.s, err = a.Open(r, b.hash, 80, u.notify); err != nil {
			t.Fatal(err)
		}
		u.notify(r)
	})
}

// serve has each stream to port 80 of b served by what next returns.
func (e *end) serve(t testing.TB, next func() *user) {
	t.Helper()
	_, err := e.Accept(80, func(r *host.Round, s *streaming.Stream) func(r *host.Round) {
		u := next()
		if u == nil {
			return nil
		}
		u.s = s
		return u.notify
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (e *end) serveOne(t testing.TB, u *user) { e.serve(t, func() *user { return u }) }

func pattern(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// world is a pair whose second end the path's tap knows.
type world struct {
	*sim.World
	a *end
}

func newWorldPair(t testing.TB, p *path, b **end) world {
	t.Helper()
	w, x, y := newPair(t, 5, config(), p)
	*b = y
	return world{w, x}
}
