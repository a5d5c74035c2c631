// Package sim is a network of routers in one goroutine on virtual time, for
// tests. Each [Host] is a [host.Host] as good as the real one, so the routers
// on it are the very code that runs in production; between them lie latency,
// loss, slow links, partitions and address translators.
//
// Everything that happens is an event on one heap, and every event that
// reaches a router is one round. Events of the same instant keep the order in
// which they were scheduled, all chance comes from one seeded generator, and
// crypto/rand is seeded too: the same seed gives the same run, which
// [World.Hash] proves and [Twice] checks. A world and all that is in it belong
// to one goroutine.
//
//	w := sim.New(t, 1, sim.Config{})
//	a, b := w.Host("198.51.100.1"), w.Host("198.51.100.2")
//	... routers on a and b ...
//	if !w.RunUntil(func() bool { return ready }, time.Minute) { ... }
package sim

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/cryptotest"
	"time"
)

// Start is the virtual time at which every world begins.
var Start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// Config describes a world. The zero value of each field is its default.
type Config struct {
	// MinLatency and MaxLatency bound the one-way delay between two places,
	// which is drawn once for each pair (5 ms and 80 ms).
	MinLatency, MaxLatency time.Duration
	// Link is what new hosts are connected by (no limits, no loss).
	Link Link
	// Whole keeps what one Write sent together as far as it can. Otherwise
	// streams are cut and joined at random places.
	Whole bool
	// Window is how many bytes of a stream may be under way (256 KiB).
	Window int
	// ConnectTimeout bounds DialTCP (10 s), StreamTimeout how long sent bytes
	// may fail to arrive (20 s).
	ConnectTimeout, StreamTimeout time.Duration
	// Workers is how many each host has, Backlog how many calls of Spawn may
	// wait for one and how many of Serve (2 and 256), WorkTime how long one
	// call takes (200 us).
	Workers, Backlog int
	WorkTime         time.Duration
	// LogSize is how many of the last events a failed test prints (200).
	LogSize int
}

func (c *Config) fill() {
	c.MinLatency = or(c.MinLatency, 5*time.Millisecond)
	c.MaxLatency = max(or(c.MaxLatency, 80*time.Millisecond), c.MinLatency)
	c.Window = or(c.Window, 256<<10)
	c.ConnectTimeout = or(c.ConnectTimeout, 10*time.Second)
	c.StreamTimeout = or(c.StreamTimeout, 20*time.Second)
	c.Workers = or(c.Workers, 2)
	c.Backlog = or(c.Backlog, 256)
	c.WorkTime = or(c.WorkTime, 200*time.Microsecond)
	c.LogSize = or(c.LogSize, 200)
}

func or[T comparable](v, standard T) T {
	var zero T
	if v == zero {
		return standard
	}
	return v
}

// World is everything: the clock, the network and the hosts.
type World struct {
	tb       testing.TB
	seed     uint64
	cfg      Config
	rand     *rand.Rand
	events   queue
	running  bool
	trace    trace
	internet realm
	places   uint64
	machines []*machine
	cuts     map[cut]bool
	packets  []*packet // to use again
}

// New makes an empty world. The test that fails prints the seed and the last
// events. With a *testing.T crypto/rand is seeded as well, so the test must
// not be parallel.
func New(tb testing.TB, seed uint64, cfg Config) *World {
	tb.Helper()
	if t, ok := tb.(*testing.T); ok {
		cryptotest.SetGlobalRandom(t, seed)
	}
	cfg.fill()
	w := &World{
		tb:   tb,
		seed: seed,
		cfg:  cfg,
		rand: rand.New(rand.NewPCG(seed, 0x616c6c69756d)),
		cuts: make(map[cut]bool),
	}
	w.internet.nodes = make(map[netip.Addr]node)
	w.trace.last = make([]record, cfg.LogSize)
	tb.Cleanup(func() {
		if tb.Failed() {
			w.report()
		}
	})
	return w
}

// Seed is the seed the world was made with.
func (w *World) Seed() uint64 { return w.seed }

// Rand is the world's source of chance, for tests that need some.
func (w *World) Rand() *rand.Rand { return w.rand }

// Now is the virtual time.
func (w *World) Now() time.Time { return Start.Add(time.Duration(w.events.now)) }

// Events is how many events have happened.
func (w *World) Events() uint64 { return w.trace.count }

// Hash stands for everything that has happened: two runs with the same hash
// went the same way.
func (w *World) Hash() uint64 { return w.trace.hash }

// Run lets time go on for d.
func (w *World) Run(d time.Duration) {
	w.RunUntil(func() bool { return false }, d)
}

// RunUntil lets time go on until cond holds, which it asks after every event,
// or for at most limit. It reports whether cond holds.
func (w *World) RunUntil(cond func() bool, limit time.Duration) bool {
	if w.running {
		panic("sim: Run inside an event")
	}
	w.running = true
	defer func() { w.running = false }()
	end := w.events.now + int64(limit)
	for !cond() {
		do := w.events.next(end)
		if do == nil {
			w.events.now = end
			return cond()
		}
		do.fire(w)
	}
	return true
}

// Twice runs a scenario in two worlds of the same seed and fails the test
// when they do not go the same way, naming the first event that differs.
func Twice(tb testing.TB, seed uint64, cfg Config, scenario func(w *World)) {
	tb.Helper()
	first := New(tb, seed, cfg)
	first.trace.recorded = new([]uint32)
	scenario(first)
	if tb.Failed() {
		return
	}
	second := New(tb, seed, cfg)
	second.trace.expected = *first.trace.recorded
	scenario(second)
	switch {
	case second.trace.differs != "":
		tb.Errorf("sim: seed %d: the second run differs from the first at %s", seed, second.trace.differs)
	case first.Hash() != second.Hash():
		tb.Errorf("sim: seed %d: %d events in the first run, %d in the second", seed, first.Events(), second.Events())
	}
}

// report prints the seed and the last events.
func (w *World) report() {
	w.tb.Logf("sim: seed %d, %v after the start, %d events, hash %016x; the last of them:\n%s",
		w.seed, time.Duration(w.events.now), w.trace.count, w.trace.hash, w.trace.String())
}
