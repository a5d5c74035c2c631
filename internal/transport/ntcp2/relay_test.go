package ntcp2_test

import (
	"net/netip"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/transport/block"
	"allium/internal/transport/ntcp2"
)

// bare is a host that does nothing by itself: streams keep what is written
// until pump carries it over. It shows what sessions alone cost.
type bare struct {
	now     time.Time
	round   host.Round
	accept  func(*host.Round, host.Stream) host.StreamHandler
	from    netip.AddrPort // where connections come from
	streams []*bareStream
	work    []func(*host.Round)
}

type bareStream struct {
	remote netip.AddrPort
	out    []byte
	writes int
	peer   *bareStream
	h      host.StreamHandler
	queued func() int // what Queued gives, 0 when nil
}

type bareTimer struct{}

func (bareTimer) Stop() bool { return true }

func (s *bareStream) Write(b []byte) error {
	s.out = append(s.out, b...)
	s.writes++
	return nil
}
func (s *bareStream) Queued() int {
	if s.queued == nil {
		return 0
	}
	return s.queued()
}
func (s *bareStream) Local() netip.AddrPort  { return netip.AddrPort{} }
func (s *bareStream) Remote() netip.AddrPort { return s.remote }
func (s *bareStream) Close()                 {}
func (s *bareStream) Resume()                {}
func (s *bareStream) Reset()                 {}

func (b *bare) Now() time.Time                                        { return b.now }
func (b *bare) Addrs() []netip.Addr                                   { return nil }
func (b *bare) AfterFunc(time.Duration, func(*host.Round)) host.Timer { return bareTimer{} }
func (b *bare) Spawn(f func(*host.Round)) bool                        { b.work = append(b.work, f); return true }
func (b *bare) Serve(f func(*host.Round)) bool                        { return b.Spawn(f) }
func (b *bare) ListenUDP(netip.AddrPort, host.DatagramHandler) (host.Datagrams, error) {
	return nil, host.ErrClosed
}

func (b *bare) ListenTCP(_ netip.AddrPort, accept func(*host.Round, host.Stream) host.StreamHandler) (host.Listener, error) {
	b.accept = accept
	return nil, nil
}

func (b *bare) DialTCP(_ netip.Addr, to netip.AddrPort, h host.StreamHandler) host.Stream {
	here, there := &bareStream{remote: to, h: h}, &bareStream{remote: b.from}
	here.peer, there.peer = there, here
	b.streams = append(b.streams, here, there)
	return here
}

func (b *bare) Do(f func(r *host.Round)) {
	b.round.Begin(b.now)
	f(&b.round)
	b.round.End()
}

// settle carries bytes and does work until there is none.
func (b *bare) settle() {
	for _, s := range b.streams {
		if s.h == nil {
			b.Do(func(r *host.Round) { s.h = b.accept(r, s); s.peer.h.Opened(r) })
		}
	}
	for busy := true; busy; {
		busy = len(b.work) > 0
		for len(b.work) > 0 {
			f := b.work[0]
			b.work = b.work[1:]
			b.Do(f)
		}
		for _, s := range b.streams {
			busy = b.carry(s) || busy
		}
	}
}

// carry has the peer read all that was written.
func (b *bare) carry(s *bareStream) bool {
	if len(s.out) == 0 {
		return false
	}
	b.round.Begin(b.now)
	s.peer.h.Data(&b.round, s.out)
	b.round.End()
	s.out = s.out[:0]
	return true
}

// relayer sends on what it gets.
type relayer struct {
	sessions []*ntcp2.Session
	to       *ntcp2.Session // nil to swallow
	got      int
}

func (h *relayer) CheckPeer(time.Time, *data.RouterInfo, netip.AddrPort, bool) block.Reason {
	return block.Unspecified
}
func (h *relayer) Established(_ *host.Round, s *ntcp2.Session) { h.sessions = append(h.sessions, s) }
func (h *relayer) Message(r *host.Round, _ *ntcp2.Session, m i2np.Message) bandwidth.Class {
	h.got++
	if h.to != nil {
		h.to.Send(r, m, bandwidth.Transit)
	}
	return bandwidth.Transit
}
func (h *relayer) RouterInfo(*host.Round, *ntcp2.Session, *data.RouterInfo, bool)  {}
func (h *relayer) ClockSkew(*host.Round, data.Hash, netip.AddrPort, time.Duration) {}
func (h *relayer) Closed(*host.Round, *ntcp2.Session, error)                       {}
func (h *relayer) Refused(*host.Round, netip.AddrPort, error)                      {}

// chain is three routers: the first sends to the second, which relays to the
// third.
type chain struct {
	*bare
	first, second, third *relayer
	from                 *ntcp2.Session
	message              i2np.Message
}

func newChain(tb testing.TB) *chain {
	c := &chain{bare: &bare{now: now}, first: new(relayer), second: new(relayer), third: new(relayer)}
	a, b, d := newRouter(tb, aliceAddr, netID), newRouter(tb, bobAddr, netID), newRouter(tb, tapAddr, netID)
	middle := ntcp2.New(config(), c, b.Local, unlimited(c), c.second)
	dial := func(from *ntcp2.Endpoint, up *relayer, here netip.AddrPort, to *ntcp2.Endpoint, at *router) *ntcp2.Session {
		c.bare.from = here
		_, err := c.ListenTCP(at.addr, to.Accept)
		must(tb, err)
		c.Do(func(r *host.Round) {
			_, err := from.Dial(r, netip.Addr{}, at.addr, at.RouterInfo(now), bandwidth.Own)
			must(tb, err)
		})
		c.settle()
		return up.sessions[len(up.sessions)-1]
	}
	c.from = dial(ntcp2.New(config(), c, a.Local, unlimited(c), c.first), c.first, aliceAddr, middle, b)
	c.second.to = dial(middle, c.second, bobAddr, ntcp2.New(config(), c, d.Local, unlimited(c), c.third), d)
	c.message = i2np.Message{Type: i2np.TypeTunnelData, ID: 1, Expiration: now.Add(time.Minute), Body: make([]byte, i2np.TunnelDataSize)}
	return c
}

// pass sends so many messages in one round and has them relayed.
func (c *chain) pass(n int) {
	c.round.Begin(c.now)
	for range n {
		c.from.Send(&c.round, c.message, bandwidth.Own)
	}
	c.round.End()
	for _, s := range c.streams {
		c.carry(s)
	}
}

func TestRelayAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("with the race detector the compiler allocates more")
	}
	c := newChain(t)
	c.pass(40)
	for _, n := range []int{1, 8, 40} {
		if got := testing.AllocsPerRun(100, func() { c.pass(n) }); got != 0 {
			t.Errorf("%v allocations for %d messages sent, relayed and received", got, n)
		}
	}
	if c.third.got == 0 || c.third.got != c.second.got {
		t.Errorf("%d messages relayed, %d arrived", c.second.got, c.third.got)
	}
}

func TestMessagesOfOneRoundAreWrittenOnce(t *testing.T) {
	c := newChain(t)
	out := c.streams[0]
	writes, before := out.writes, c.from.Counters().WireOut
	c.pass(30) // 31 KB: two frames
	if out.writes != writes+1 {
		t.Errorf("%d writes", out.writes-writes)
	}
	over := c.from.Counters().WireOut - before - 30*uint64(3+9+i2np.TunnelDataSize)
	if over > 2*(2+16+3+128) {
		t.Errorf("%d bytes beside the messages", over)
	}
}

// Between a look at the full stream and the end of that round's work the
// stream may run empty, in another round. Nobody else will send what waits.
func TestStreamThatRunsEmptyMeanwhileIsNotForgotten(t *testing.T) {
	c := newChain(t)
	out, looked := c.streams[0], false
	out.queued = func() int {
		if looked {
			return 0
		}
		looked = true
		var other host.Round
		other.Begin(c.now)
		out.h.Writable(&other)
		other.End()
		return host.StreamQueue
	}
	c.pass(1)
	if c.second.got != 1 {
		t.Error("the message still waits")
	}
}

func TestFramesArePadded(t *testing.T) {
	c := newChain(t)
	sizes := map[uint64]bool{}
	for range 50 {
		before := c.from.Counters().WireOut
		c.pass(1)
		sizes[c.from.Counters().WireOut-before] = true
	}
	if len(sizes) < 10 {
		t.Errorf("50 frames of the same message have %d sizes", len(sizes))
	}
}

// BenchmarkRelay is one message through a router: opened from one session,
// copied into the other, sealed and written. What the first router does to
// send it and the third to read it is in the time too; BenchmarkEnds is that
// alone.
func BenchmarkRelay(b *testing.B) {
	for _, n := range []int{1, 8, 32} {
		b.Run(perFrame(n), func(b *testing.B) { benchmark(b, newChain(b), n) })
	}
}

// BenchmarkEnds is BenchmarkRelay without the router between: one sends, one
// reads.
func BenchmarkEnds(b *testing.B) {
	for _, n := range []int{1, 8, 32} {
		b.Run(perFrame(n), func(b *testing.B) {
			c := newChain(b)
			c.second.to = nil
			benchmark(b, c, n)
		})
	}
}

func perFrame(n int) string { return map[int]string{1: "alone", 8: "by8", 32: "by32"}[n] }

func benchmark(b *testing.B, c *chain, n int) {
	b.ReportAllocs()
	b.SetBytes(i2np.TunnelDataSize)
	for i := 0; i < b.N; i += n {
		c.pass(n)
	}
}

// BenchmarkHandshake is the work of both sides.
func BenchmarkHandshake(b *testing.B) {
	h := newHandshake(b)
	b.ReportAllocs()
	for b.Loop() {
		h.restart()
		h.run(b)
	}
	if !h.agreed() {
		b.Fatal(h.aliceErr, h.bobErr)
	}
}
