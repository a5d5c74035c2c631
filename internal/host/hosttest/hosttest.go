// Package hosttest is what every engine must do: the tests of the contract
// that package host writes down. Each engine runs them with [Run].
package hosttest

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"allium/internal/host"
)

// Pair is two machines of the engine under test that reach each other; they
// may be one and the same.
type Pair struct {
	A, B         host.Host
	AddrA, AddrB netip.Addr
	// Wait lets the engine go on until cond holds, and reports false when it
	// has not for a good while.
	Wait func(cond func() bool) bool
	// Settle lets the engine go on for a moment, for tests that nothing
	// happens.
	Settle func()
	// Inline tells that handlers are called by Wait and Settle alone, so that
	// one that blocks blocks everything.
	Inline bool
	// Spawns is more calls of Spawn than may wait at once. There is one worker
	// for them, or with Inline there may be two, so that their order is certain.
	Spawns int
}

// Run runs every test on a pair of its own.
func Run(t *testing.T, newPair func(t *testing.T) *Pair) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, p *Pair)
	}{
		{"StreamOpens", streamOpens},
		{"BytesArriveInOrder", bytesArriveInOrder},
		{"WritesBeforeOpenedAreSent", writesBeforeOpened},
		{"FullQueueRefusesAndTellsWhenEmpty", fullQueue},
		{"CloseSendsWhatIsQueued", closeFlushes},
		{"CloseEndsWrites", closeEndsWrites},
		{"CloseDropsWhatArrives", closeDropsArrivals},
		{"CloseWhileThePeerSends", closeWhilePeerSends},
		{"CloseDuringDial", closeDuringDial},
		{"CloseInAccept", closeInAccept},
		{"CallsOfAStreamNeverOverlap", neverOverlap},
		{"MeteredStreamIsReadAsFarAsItMay", metered},
		{"HeldStreamEnds", heldEnds},
		{"ResetTellsThePeer", resetTells},
		{"RefusedByHandler", refusedByHandler},
		{"RefusedWhenNobodyListens", refusedByNobody},
		{"ListenerCloseKeepsStreams", listenerClose},
		{"AddressesMatch", addressesMatch},
		{"DatagramsArrive", datagramsArrive},
		{"DatagramsOfTheOtherFamilyAreRefused", wrongFamily},
		{"DoEndsItsRound", doEndsRound},
		{"AfterFuncFiresOnceInARound", afterFunc},
		{"StoppedTimerDoesNotFire", stoppedTimer},
		{"SpawnIsBounded", spawnBounded},
		{"WorkForOthersKeepsNothingFromOurOwn", serveGoesLast},
		{"PhasesKeepTheirOrder", phasesInOrder},
		{"EveryCallHasARound", everyCallHasRound},
		{"AddressesOfTheMachineAreKnown", knowsAddresses},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newPair(t)) })
	}
}

// wait fails the test when cond does not come true.
func (p *Pair) wait(t *testing.T, what string, cond func() bool) {
	t.Helper()
	if !p.Wait(cond) {
		t.Fatalf("waited in vain until %s", what)
	}
}

// recorder is a handler that keeps what it was told.
type recorder struct {
	mu       sync.Mutex
	stream   host.Stream
	calls    int  // counted without the lock, for the race detector
	busy     bool // inside a call
	overlaps int
	opened   int
	data     []byte
	reads    int
	writable int
	closed   []error
	late     int // calls after Closed
	blank    int // rounds without a time
	ended    int // EndRound calls
	onOpened func()
	onData   func(b []byte)

	onWritable func()
}

func (c *recorder) enter(r *host.Round) {
	c.calls++
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy {
		c.overlaps++
	}
	c.busy = true
	if len(c.closed) > 0 {
		c.late++
	}
	if r.Now.IsZero() {
		c.blank++
	}
	r.Later(host.Seal, c)
}

func (c *recorder) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
}

// EndRound implements host.Ender.
func (c *recorder) EndRound(*host.Round) { c.with(func() { c.ended++ }) }

// Opened implements host.StreamHandler.
func (c *recorder) Opened(r *host.Round) {
	c.enter(r)
	defer c.leave()
	c.with(func() { c.opened++ })
	if c.onOpened != nil {
		c.onOpened()
	}
}

// Data implements host.StreamHandler.
func (c *recorder) Data(r *host.Round, b []byte) {
	c.enter(r)
	defer c.leave()
	c.with(func() {
		c.data = append(c.data, b...)
		c.reads++
	})
	if c.onData != nil {
		c.onData(b)
	}
	clear(b) // the bytes are ours to work on
}

// Writable implements host.StreamHandler.
func (c *recorder) Writable(r *host.Round) {
	c.enter(r)
	defer c.leave()
	c.with(func() { c.writable++ })
	if c.onWritable != nil {
		c.onWritable()
	}
}

// Closed implements host.StreamHandler.
func (c *recorder) Closed(r *host.Round, err error) {
	c.enter(r)
	defer c.leave()
	c.with(func() { c.closed = append(c.closed, err) })
}

func (c *recorder) with(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *recorder) isOpen() (yes bool) {
	c.with(func() { yes = c.opened > 0 })
	return yes
}

func (c *recorder) isClosed() (yes bool) {
	c.with(func() { yes = len(c.closed) > 0 })
	return yes
}

func (c *recorder) received() (n int) {
	c.with(func() { n = len(c.data) })
	return n
}

// reason is what Closed was told.
func (c *recorder) reason() (err error) {
	c.with(func() {
		if len(c.closed) > 0 {
			err = c.closed[0]
		}
	})
	return err
}

// sound checks what holds for every handler.
func (c *recorder) sound(t *testing.T) {
	t.Helper()
	c.with(func() {
		if c.overlaps > 0 || c.late > 0 || c.blank > 0 || len(c.closed) > 1 {
			t.Errorf("%d calls overlapped, %d came after Closed, %d rounds had no time, %d calls of Closed",
				c.overlaps, c.late, c.blank, len(c.closed))
		}
	})
}

// server accepts streams and keeps their recorders.
type server struct {
	mu       sync.Mutex
	accepted []*recorder
	listener host.Listener
	refuse   bool
	onAccept func(c *recorder)
}

func (p *Pair) listen(t *testing.T) *server {
	t.Helper()
	s := &server{}
	l, err := p.B.ListenTCP(netip.AddrPortFrom(p.AddrB, 0), func(r *host.Round, stream host.Stream) host.StreamHandler {
		if s.refuse {
			return nil
		}
		c := &recorder{stream: stream}
		if s.onAccept != nil {
			s.onAccept(c)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.accepted = append(s.accepted, c)
		return c
	})
	if err != nil {
		t.Fatal(err)
	}
	s.listener = l
	t.Cleanup(func() { l.Close() })
	return s
}

// first is the handler of the first stream accepted, nil before.
func (s *server) first() *recorder {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.accepted) == 0 {
		return nil
	}
	return s.accepted[0]
}

// dial begins a connection from A.
func (p *Pair) dial(to netip.AddrPort) *recorder {
	c := &recorder{}
	c.with(func() { c.stream = p.A.DialTCP(netip.Addr{}, to, c) })
	return c
}

// connect makes a connection and returns both ends, the dialler's first.
func (p *Pair) connect(t *testing.T) (*recorder, *recorder, *server) {
	t.Helper()
	s := p.listen(t)
	c := p.dial(s.listener.Addr())
	p.wait(t, "the connection stood", func() bool { return c.isOpen() && s.first() != nil })
	t.Cleanup(func() {
		c.sound(t)
		s.first().sound(t)
	})
	return c, s.first(), s
}

// pattern is n bytes that tell where they belong.
func pattern(n int) []byte {
	b := make([]byte, 0, n+8)
	for i := 0; len(b) < n; i++ {
		b = fmt.Appendf(b, "%d,", i)
	}
	return b[:n]
}

// soon is a time span that passes quickly on any engine.
const soon = 10 * time.Millisecond
