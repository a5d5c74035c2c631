package sim_test

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"allium/internal/host"
	"allium/internal/host/hosttest"
	"allium/internal/sim"
)

func TestSimKeepsTheContract(t *testing.T) {
	rough := sim.Link{Up: 2 << 20, Down: 1 << 20, Jitter: 10 * time.Millisecond, Loss: 0.02}
	for name, cfg := range map[string]sim.Config{
		"Smooth": {Backlog: 20},
		"Rough":  {Backlog: 20, Link: rough, Window: 32 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			hosttest.Run(t, func(t *testing.T) *hosttest.Pair {
				cfg := cfg
				if strings.HasSuffix(t.Name(), "DatagramsArrive") { // it counts on every packet
					cfg.Link.Loss = 0
				}
				w := sim.New(t, 7, cfg)
				a, b := w.Host("198.51.100.1", "2001:db8::1"), w.Host("198.51.100.2", "2001:db8::2")
				return &hosttest.Pair{
					A: a, B: b,
					AddrA: a.Addr(), AddrB: b.Addr(),
					Wait:   func(cond func() bool) bool { return w.RunUntil(cond, time.Minute) },
					Settle: func() { w.Run(time.Second) },
					Inline: true,
					Spawns: 100,
				}
			})
		})
	}
}

// handler is a stream handler that keeps what it was told.
type handler struct {
	stream host.Stream
	opened time.Time
	data   []byte
	reads  []int
	last   time.Time // of the last Data
	closed time.Time
	reason error
	onData func(r *host.Round, b []byte)
}

func (c *handler) Opened(r *host.Round) { c.opened = r.Now }

func (c *handler) Data(r *host.Round, b []byte) {
	c.data = append(c.data, b...)
	c.reads = append(c.reads, len(b))
	c.last = r.Now
	if c.onData != nil {
		c.onData(r, b)
	}
}

func (c *handler) Writable(*host.Round) {}

func (c *handler) Closed(r *host.Round, err error) { c.closed, c.reason = r.Now, err }

// server accepts on port 1000 of h and keeps the handlers.
type server struct{ accepted []*handler }

func listen(t testing.TB, h *sim.Host) *server {
	t.Helper()
	s := &server{}
	_, err := h.ListenTCP(netip.AddrPortFrom(h.Addr(), 1000), func(_ *host.Round, stream host.Stream) host.StreamHandler {
		c := &handler{stream: stream}
		s.accepted = append(s.accepted, c)
		return c
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func dial(h *sim.Host, to netip.Addr) *handler {
	c := &handler{}
	c.stream = h.DialTCP(netip.Addr{}, netip.AddrPortFrom(to, 1000), c)
	return c
}

// connect makes a connection and returns both ends, the dialler's first.
func connect(t testing.TB, w *sim.World, a, b *sim.Host) (near, far *handler) {
	t.Helper()
	s := listen(t, b)
	near = dial(a, b.Addr())
	if !w.RunUntil(func() bool { return len(s.accepted) == 1 }, time.Minute) {
		t.Fatal("no connection")
	}
	return near, s.accepted[0]
}

// box is a UDP socket that keeps what it gets.
type box struct {
	host.Datagrams
	from  []netip.AddrPort
	bytes [][]byte
	times []time.Time
}

func (b *box) Datagram(r *host.Round, from netip.AddrPort, p []byte) {
	b.from = append(b.from, from)
	b.bytes = append(b.bytes, append([]byte(nil), p...))
	b.times = append(b.times, r.Now)
}

func socket(t testing.TB, h *sim.Host, port uint16) *box {
	t.Helper()
	b := &box{}
	d, err := h.ListenUDP(netip.AddrPortFrom(h.Addr(), port), b)
	if err != nil {
		t.Fatal(err)
	}
	b.Datagrams = d
	return b
}

// gossip is a small network in which everybody talks, at random and by the
// clock, over streams and datagrams.
func gossip(w *sim.World, hosts int, d time.Duration) {
	var peers []*sim.Host
	for i := range hosts {
		peers = append(peers, w.Host(fmt.Sprintf("10.0.%d.%d", i/200, i%200+1)))
	}
	for _, h := range peers {
		accept := func(_ *host.Round, s host.Stream) host.StreamHandler {
			return &handler{stream: s, onData: func(_ *host.Round, b []byte) { s.Write(b[:len(b)/2]) }}
		}
		if _, err := h.ListenTCP(netip.AddrPortFrom(h.Addr(), 1000), accept); err != nil {
			panic(err)
		}
		b := &box{}
		b.Datagrams, _ = h.ListenUDP(netip.AddrPortFrom(h.Addr(), 1000), b)
		var tick func(r *host.Round)
		tick = func(*host.Round) {
			var random [64]byte
			rand.Read(random[:])
			n := binary.LittleEndian.Uint64(random[:])
			peer := peers[n%uint64(len(peers))]
			b.Send(netip.AddrPortFrom(peer.Addr(), 1000), random[:n>>32%64])
			if n>>16%4 == 0 {
				s := dial(h, peer.Addr())
				s.stream.Write(random[:])
				h.AfterFunc(time.Duration(n%1e9), func(*host.Round) { s.stream.Close() })
			}
			h.Spawn(func(*host.Round) {})
			h.AfterFunc(time.Duration(n%1e9), tick)
		}
		h.AfterFunc(0, tick)
	}
	w.Run(d / 2)
	w.Kill(peers[1])
	w.Partition(peers[2], peers[3])
	w.Run(d / 2)
}

var roughly = sim.Config{Link: sim.Link{
	Up: 100 << 10, Down: 200 << 10, Jitter: 20 * time.Millisecond, Loss: 0.05, Reorder: 0.1, Duplicate: 0.05,
}}

func TestSameSeedGivesTheSameRun(t *testing.T) {
	hashes := make(map[uint64]bool)
	for seed := range uint64(3) {
		sim.Twice(t, seed, roughly, func(w *sim.World) {
			gossip(w, 20, 30*time.Second)
			hashes[w.Hash()] = true
			if w.Events() < 1000 {
				t.Errorf("only %d events", w.Events())
			}
		})
	}
	if len(hashes) != 3 {
		t.Errorf("3 seeds gave %d different runs", len(hashes))
	}
}

// failing is a test that notes its failure.
type failing struct {
	testing.TB
	errors []string
}

func (f *failing) Errorf(format string, args ...any) {
	f.errors = append(f.errors, fmt.Sprintf(format, args...))
}

func TestTwiceNamesTheFirstDifference(t *testing.T) {
	f := &failing{TB: t}
	runs := 0
	sim.Twice(f, 1, sim.Config{}, func(w *sim.World) {
		runs++
		a, b := w.Host("198.51.100.1"), w.Host("198.51.100.2")
		from, to := socket(t, a, 1000), socket(t, b, 1000)
		for i := range 10 {
			payload := []byte{byte(i)}
			if i == 5 {
				payload[0] += byte(runs)
			}
			from.Send(to.Addr(), payload)
			w.Run(time.Second)
		}
	})
	if len(f.errors) != 1 || !strings.Contains(f.errors[0], "event 6:") || !strings.Contains(f.errors[0], "datagram") {
		t.Errorf("it said %q", f.errors)
	}
}

func TestLentBytesAreSpoiltAfterTheRound(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	a, b := w.Host("198.51.100.1"), w.Host("198.51.100.2")
	near, far := connect(t, w, a, b)
	var kept []byte
	far.onData = func(r *host.Round, b []byte) { kept = b }
	near.stream.Write([]byte("mine"))
	w.RunUntil(func() bool { return len(far.data) == 4 }, time.Minute)
	if string(kept) == "mine" || string(far.data) != "mine" {
		t.Errorf("kept %q", kept)
	}
}

func TestTimersFireInOrder(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	h := w.Host("198.51.100.1")
	h.Skew(time.Hour)
	type call struct {
		at time.Time
		i  int
	}
	var want, got int
	var last call
	var timers []host.Timer
	for i := range 20_000 {
		d := time.Duration(w.Rand().IntN(1000)) * time.Millisecond
		at := h.Now().Add(d)
		timers = append(timers, h.AfterFunc(d, func(r *host.Round) {
			got++
			if !r.Now.Equal(at) || at.Before(last.at) || at.Equal(last.at) && i < last.i {
				t.Errorf("timer %d of %v came at %v after timer %d of %v", i, at, r.Now, last.i, last.at)
			}
			last = call{at, i}
		}))
	}
	for _, timer := range timers {
		if w.Rand().IntN(4) == 0 {
			want++
		} else if !timer.Stop() {
			t.Fatal("Stop says the call was not to come")
		}
	}
	w.Run(time.Second)
	if got != want {
		t.Errorf("%d of %d timers fired", got, want)
	}
}

func TestWorkTakesItsTime(t *testing.T) {
	w := sim.New(t, 1, sim.Config{Workers: 2, WorkTime: time.Millisecond})
	h := w.Host("198.51.100.1")
	var order []int
	for i := range 6 {
		h.Spawn(func(*host.Round) { order = append(order, i) })
	}
	w.Run(2 * time.Millisecond)
	if fmt.Sprint(order) != "[0 1 2 3]" {
		t.Errorf("after two turns of two workers: %v", order)
	}
}

func BenchmarkThousandHosts(b *testing.B) {
	start, events := time.Now(), uint64(0)
	for b.Loop() {
		w := sim.New(b, 1, sim.Config{})
		var hosts []*sim.Host
		for i := range 1000 {
			hosts = append(hosts, w.Host(fmt.Sprintf("10.0.%d.%d", i/200, i%200+1)))
		}
		message := make([]byte, 1024)
		for i, h := range hosts {
			_, err := h.ListenTCP(netip.AddrPortFrom(h.Addr(), 1000), func(*host.Round, host.Stream) host.StreamHandler {
				return idle{}
			})
			if err != nil {
				b.Fatal(err)
			}
			socket, _ := h.ListenUDP(netip.AddrPortFrom(h.Addr(), 1000), idle{})
			var streams []host.Stream
			for j := range 10 {
				peer := hosts[(i+j*37+1)%len(hosts)]
				streams = append(streams, h.DialTCP(netip.Addr{}, netip.AddrPortFrom(peer.Addr(), 1000), idle{}))
			}
			var tick func(r *host.Round)
			tick = func(*host.Round) {
				for _, s := range streams {
					s.Write(message)
				}
				for j := range 10 {
					socket.Send(netip.AddrPortFrom(hosts[(i+j*41+1)%len(hosts)].Addr(), 1000), message)
				}
				h.AfterFunc(time.Second, tick)
			}
			h.AfterFunc(time.Second+time.Duration(i)*time.Millisecond, tick)
		}
		w.Run(time.Minute)
		events += w.Events()
	}
	b.ReportMetric(float64(events)/time.Since(start).Seconds(), "events/s")
}

// idle is a handler that does nothing.
type idle struct{}

func (idle) Opened(*host.Round)                           {}
func (idle) Data(*host.Round, []byte)                     {}
func (idle) Writable(*host.Round)                         {}
func (idle) Closed(*host.Round, error)                    {}
func (idle) Datagram(*host.Round, netip.AddrPort, []byte) {}
