package ntcp2_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/sim"
	"allium/internal/transport/block"
	"allium/internal/transport/ntcp2"
)

func TestSessionCarriesMessagesBothWays(t *testing.T) {
	good, bad := sim.Config{}, sim.Config{Link: sim.Link{Loss: 0.02, Jitter: 30 * time.Millisecond, Up: 2 << 20}}
	for seed, cfg := range []sim.Config{good, good, bad, bad} {
		sim.Twice(t, uint64(seed), cfg, func(w *sim.World) { exchange(t, w) })
	}
}

// exchange has two routers send each other messages from nothing to the
// largest, so that frames lie within reads, across them, and fill several.
func exchange(t *testing.T, w *sim.World) {
	p := newPair(t, w, config())
	p.connect(t)
	if p.fromA.Peer() != p.b.self.Hash || p.toB.Peer() != p.a.self.Hash || p.fromA.Inbound() || !p.toB.Inbound() {
		t.Error("the ends do not know each other")
	}
	sizes := []int{4, 100, 1028, 1028, 16000, 16372, 16373, 40000, ntcp2.MaxFrame - 12}
	const rounds = 20
	for i := range rounds {
		for j, size := range sizes {
			id := uint32(1 + i*len(sizes) + j)
			must(t, p.a.send(p.fromA, id, size, bandwidth.Own))
			must(t, p.b.send(p.toB, id, size, bandwidth.Own))
		}
		w.Run(time.Second)
	}
	w.Run(30 * time.Second)
	for _, n := range []*node{p.a, p.b} {
		if got := n.received(); len(got) != rounds*len(sizes) || !slices.IsSorted(got) {
			t.Errorf("%d messages of %d came, in order: %v", len(got), rounds*len(sizes), slices.IsSorted(got))
		}
	}
	c := p.fromA.Counters()
	if c.Sent[bandwidth.Own].Messages != rounds*uint64(len(sizes)) || c.In != c.Sent[bandwidth.Own] || c.Dropped+c.Expired+c.Waiting != 0 || c.WireOut < c.Sent[bandwidth.Own].Bytes {
		t.Errorf("%+v", c)
	}
}

func TestMessageLongerThanAFrameIsRefused(t *testing.T) {
	p := newPair(t, sim.New(t, 1, sim.Config{}), config())
	p.connect(t)
	if err := p.a.send(p.fromA, 1, ntcp2.MaxFrame-11, bandwidth.Own); !errors.Is(err, ntcp2.ErrTooLong) {
		t.Error(err)
	}
}

func TestMessagesGoInTheOrderOfTheirClasses(t *testing.T) {
	p := newPair(t, sim.New(t, 1, sim.Config{}), config())
	s := p.a.dial(p.b)
	// Before the session is established all of them wait.
	for id := range uint32(10) {
		must(t, p.a.send(s, 200+id, 1000, bandwidth.Transit))
		must(t, p.a.send(s, 100+id, 1000, bandwidth.Control))
		must(t, p.a.send(s, 1+id, 1000, bandwidth.Own))
	}
	p.until(t, "30 messages", func() bool { return len(p.b.messages) == 30 })
	if !slices.IsSorted(p.b.messages) {
		t.Errorf("came as %v", p.b.messages)
	}
}

func TestFullQueueDropsOldestTransit(t *testing.T) {
	cfg := config()
	cfg.QueueSize = 64 << 10
	p := newPair(t, sim.New(t, 1, sim.Config{}), cfg)
	s := p.a.dial(p.b)
	must(t, p.a.send(s, 1, 1000, bandwidth.Own))
	for id := range uint32(100) {
		must(t, p.a.send(s, 100+id, 1012, bandwidth.Transit)) // 1 KiB each
	}
	must(t, p.a.send(s, 2, 1000, bandwidth.Own))
	if got := s.Counters().Dropped; got != 38 {
		t.Errorf("%d dropped", got)
	}
	p.until(t, "the rest", func() bool { return len(p.b.messages) == 64 })
	want := []uint32{1, 2}
	for id := range uint32(62) {
		want = append(want, 138+id)
	}
	if !slices.Equal(p.b.messages, want) {
		t.Errorf("came as %v", p.b.messages)
	}

	// What others wait for makes room for our own, and our own for nothing. A
	// quarter is left to transit.
	s = p.b.dial(p.a)
	for _, c := range []bandwidth.Class{bandwidth.Control, bandwidth.Own} {
		for id := range uint32(48) {
			must(t, p.b.send(s, id, 1012, c))
		}
		if err := p.b.send(s, 99, 1012, bandwidth.Control); !errors.Is(err, host.ErrFull) {
			t.Errorf("after class %v: %v", c, err)
		}
	}
	if err := p.b.send(s, 99, 1012, bandwidth.Own); !errors.Is(err, host.ErrFull) {
		t.Error(err)
	}
	for id := range uint32(100) {
		must(t, p.b.send(s, 200+id, 1012, bandwidth.Transit))
	}
	if c := s.Counters(); c.Waiting != 64<<10 {
		t.Errorf("%d bytes wait", c.Waiting)
	}
}

func TestMessagesThatWaitTooLongAreDropped(t *testing.T) {
	w := sim.New(t, 1, sim.Config{MinLatency: 800 * time.Millisecond, MaxLatency: 800 * time.Millisecond})
	cfg := config()
	cfg.QueueAge = time.Second // the handshake takes four seconds
	p := newPair(t, w, cfg)
	s := p.a.dial(p.b)
	must(t, p.a.send(s, 1, 100, bandwidth.Transit))
	must(t, p.a.send(s, 2, 100, bandwidth.Own))
	p.a.host.Do(func(r *host.Round) {
		late := message(3, 100, r.Now)
		late.Expiration = r.Now.Add(-i2np.MaxLate - time.Second)
		must(t, s.Send(r, late, bandwidth.Own))
	})
	p.until(t, "a message", func() bool { return len(p.b.messages) > 0 })
	w.Run(time.Second)
	if c := s.Counters(); !slices.Equal(p.b.messages, []uint32{2}) || c.Dropped != 1 || c.Expired != 1 {
		t.Errorf("came as %v, %+v", p.b.messages, c)
	}
}

func TestSlowStreamKeepsMessagesUntilWritable(t *testing.T) {
	p := newPair(t, sim.New(t, 1, sim.Config{Window: 64 << 10}), config())
	p.hostB.Shape(sim.Link{Down: 200 << 10})
	p.connect(t)
	const all = 900
	sent := uint32(0)
	for range 300 {
		for range 3 {
			must(t, p.a.send(p.fromA, sent, 1024, bandwidth.Own))
			sent++
		}
		p.w.Run(10 * time.Millisecond)
	}
	p.until(t, "all messages", func() bool { return len(p.b.messages) == all })
	if !slices.IsSorted(p.b.messages) {
		t.Error("out of order")
	}
}

func TestStalledPeerIsGivenUp(t *testing.T) {
	cfg := config()
	cfg.StallTimeout = 5 * time.Second
	p := newPair(t, sim.New(t, 1, sim.Config{StreamTimeout: time.Hour}), cfg)
	p.connect(t)
	p.hostB.Shape(sim.Link{Down: 1000})
	for id := range uint32(700) {
		must(t, p.a.send(p.fromA, id, 1024, bandwidth.Transit))
		p.w.Run(time.Millisecond)
	}
	p.until(t, "the end", func() bool { return len(p.a.closed) == 1 })
	if !errors.Is(p.a.closed[0], ntcp2.ErrStalled) {
		t.Error(p.a.closed[0])
	}
	if err := p.a.send(p.fromA, 1, 10, bandwidth.Own); !errors.Is(err, host.ErrClosed) {
		t.Errorf("sending afterwards: %v", err)
	}
}

func TestIdleSessionIsClosed(t *testing.T) {
	p := newPair(t, sim.New(t, 1, sim.Config{}), config())
	p.connect(t)
	for range 3 { // traffic keeps it open
		p.w.Run(100 * time.Second)
		must(t, p.a.send(p.fromA, 1, 10, bandwidth.Own))
	}
	p.w.Run(90 * time.Second)
	if len(p.a.closed)+len(p.b.closed) > 0 {
		t.Fatalf("closed too early: %v %v", p.a.closed, p.b.closed)
	}
	p.w.Run(70 * time.Second)
	if len(p.a.closed) != 1 || len(p.b.closed) != 1 {
		t.Fatalf("still open: %v %v", p.a.closed, p.b.closed)
	}
	for _, err := range []error{p.a.closed[0], p.b.closed[0]} {
		if reason, _, ok := terminated(err); !ok || reason != block.IdleTimeout {
			t.Error(err)
		}
	}
}

func TestRouterInfoIsSentAgain(t *testing.T) {
	p := newPair(t, sim.New(t, 1, sim.Config{}), config())
	p.connect(t)
	for range 60 {
		p.w.Run(time.Minute)
		must(t, p.a.send(p.fromA, 1, 10, bandwidth.Own))
	}
	// Both tell theirs after 25 to 50 minutes, when they have new ones.
	if p.a.infos < 1 || p.a.infos > 2 || p.b.infos < 1 || p.b.infos > 2 {
		t.Errorf("in an hour %d RouterInfos to Alice, %d to Bob", p.a.infos, p.b.infos)
	}
	// Bob tells the time at the start too.
	if len(p.a.skews) != 2+p.a.infos || len(p.b.skews) != 1+p.b.infos {
		t.Errorf("time told to Alice %d times, to Bob %d times", len(p.a.skews)-1, len(p.b.skews)-1)
	}
	if got := p.fromA.RouterInfo(); !got.Published().After(sim.Start.Add(20 * time.Minute)) {
		t.Errorf("Alice keeps the RouterInfo of %v", got.Published())
	}
}

func TestTerminationTellsTheReason(t *testing.T) {
	p := newPair(t, sim.New(t, 1, sim.Config{}), config())
	p.connect(t)
	must(t, p.a.send(p.fromA, 7, 1000, bandwidth.Own))
	p.a.close(p.fromA, block.RouterShutdown)
	p.until(t, "the end", func() bool { return len(p.a.closed) == 1 && len(p.b.closed) == 1 })
	if reason, byPeer, _ := terminated(p.b.closed[0]); reason != block.RouterShutdown || !byPeer {
		t.Error(p.b.closed[0])
	}
	if reason, byPeer, _ := terminated(p.a.closed[0]); reason != block.RouterShutdown || byPeer {
		t.Error(p.a.closed[0])
	}
	if len(p.b.messages) != 1 {
		t.Error("what waited was not sent before")
	}
}

func TestCheckPeerDecides(t *testing.T) {
	p := newPair(t, sim.New(t, 1, sim.Config{}), config())
	refuse := func(*data.RouterInfo, bool) block.Reason { return block.Banned }
	p.b.check = refuse
	p.a.dial(p.b)
	p.until(t, "Alice's end", func() bool { return len(p.a.closed) == 1 && len(p.b.refused) == 1 })
	if reason, byPeer, _ := terminated(p.a.closed[0]); reason != block.Banned || !byPeer {
		t.Error(p.a.closed[0])
	}
	if len(p.b.sessions)+len(p.b.closed) > 0 || p.b.ep.Stats().HalfOpen != 0 {
		t.Error("Bob has a session")
	}
	// Alice leaves without having said who she is.
	p.b.check, p.a.check = nil, refuse
	p.a.dial(p.b)
	p.until(t, "the end", func() bool { return len(p.a.closed) == 2 && len(p.b.refused) == 2 })
	if reason, byPeer, _ := terminated(p.a.closed[1]); reason != block.Banned || byPeer || len(p.a.sessions) != 1 {
		t.Error(p.a.closed[1])
	}
}

func TestClockSkewIsToldAndRefused(t *testing.T) {
	for _, skew := range []time.Duration{-65 * time.Second, 65 * time.Second, 50 * time.Second} {
		p := newPair(t, sim.New(t, 1, sim.Config{}), config())
		p.b.self.RouterInfo(p.hostA.Now()) // not from the future
		p.hostB.Skew(skew)
		p.a.dial(p.b)
		p.w.Run(30 * time.Second)
		if len(p.a.skews) == 0 || len(p.b.skews) == 0 || (p.a.skews[0]-skew).Abs() > time.Second || (p.b.skews[0]+skew).Abs() > time.Second {
			t.Fatalf("%v: Alice heard of %v, Bob of %v", skew, p.a.skews, p.b.skews)
		}
		if skew.Abs() < time.Minute {
			if len(p.a.sessions) != 1 || len(p.b.sessions) != 1 {
				t.Errorf("%v: no session", skew)
			}
			continue
		}
		if len(p.a.closed) != 1 || !errors.Is(p.a.closed[0], ntcp2.ErrClockSkew) {
			t.Errorf("%v: Alice: %v", skew, p.a.closed)
		}
		if len(p.b.refused) != 1 || !errors.Is(p.b.refused[0], ntcp2.ErrClockSkew) || p.b.ep.Stats().Skewed != 1 {
			t.Errorf("%v: Bob: %v", skew, p.b.refused)
		}
	}
}

func TestFailedDialIsTold(t *testing.T) {
	p := newPair(t, sim.New(t, 1, sim.Config{}), config())
	elsewhere := newRouter(t, netip.MustParseAddrPort("198.51.100.2:4"), netID)
	p.a.host.Do(func(r *host.Round) {
		_, err := p.a.ep.Dial(r, netip.Addr{}, elsewhere.addr, elsewhere.RouterInfo(r.Now), bandwidth.Own)
		must(t, err)
		if _, err := p.a.ep.Dial(r, netip.Addr{}, bobAddr, elsewhere.RouterInfo(r.Now), bandwidth.Own); !errors.Is(err, ntcp2.ErrNoAddress) {
			t.Error(err)
		}
	})
	p.until(t, "the end", func() bool { return len(p.a.closed) == 1 })
	if !errors.Is(p.a.closed[0], host.ErrRefused) {
		t.Error(p.a.closed[0])
	}
	// Given up before it stands, and while its handshake is under way.
	for range 2 {
		s := p.a.dial(p.b)
		p.a.close(s, block.RouterShutdown)
		p.w.Run(time.Second)
	}
	for wait := range 30 {
		s := p.a.dial(p.b)
		p.w.Run(time.Duration(wait) * 10 * time.Millisecond)
		p.a.close(s, block.RouterShutdown)
	}
	p.w.Run(time.Minute)
	if len(p.a.closed) != 33 || len(p.b.closed)+len(p.b.refused) > 32 || p.b.ep.Stats().HalfOpen != 0 {
		t.Errorf("%d sessions of Alice have ended, %d of Bob", len(p.a.closed), len(p.b.closed)+len(p.b.refused))
	}
	if len(p.b.sessions) != len(p.b.closed) {
		t.Errorf("Bob had %d sessions, %d have ended", len(p.b.sessions), len(p.b.closed))
	}
}

func TestLostPeerEndsTheSession(t *testing.T) {
	p := newPair(t, sim.New(t, 1, sim.Config{}), config())
	p.connect(t)
	p.w.Kill(p.hostB)
	must(t, p.a.send(p.fromA, 1, 100, bandwidth.Own))
	p.until(t, "the end", func() bool { return len(p.a.closed) == 1 })
	if p.a.closed[0] == nil {
		t.Error("no reason")
	}
}

func TestOddBlocksAreToleratedOrNot(t *testing.T) {
	later := func(d time.Duration) []byte { return block.AppendDateTime(nil, sim.Start.Add(d)) }
	stranger := newRouter(t, aliceAddr, netID).RouterInfo(sim.Start).Bytes()
	for _, c := range []struct {
		name      string
		blocks    []byte
		malformed uint64
		reason    block.Reason // of the end, or Unspecified for none
		byPeer    bool         // who ends it, as Bob sees it
	}{
		{"unknown type", []byte{230, 0, 2, 1, 2}, 0, 0, false},
		{"options", block.AppendOptions(nil, block.Options{}), 0, 0, false},
		{"padding in front", block.AppendPadding(nil, 3), 1, 0, false},
		{"short I2NP", []byte{3, 0, 4, 1, 2, 3, 4}, 1, 0, false},
		{"short DateTime", []byte{0, 0, 1, 1}, 1, 0, false},
		{"short RouterInfo", []byte{2, 0, 0}, 1, 0, false},
		{"RouterInfo of somebody else", block.AppendRouterInfo(nil, stranger, true), 0, 0, false},
		{"RouterInfo of nobody", block.AppendRouterInfo(nil, stranger[:100], true), 0, 0, false},
		{"short Termination", []byte{4, 0, 1, 0}, 1, 0, false},
		{"good time", later(-30 * time.Second), 0, 0, false},
		{"bad time", later(5 * time.Minute), 0, block.ClockSkew, false},
		{"Termination", block.AppendTermination(nil, block.TypeTerminationNTCP2, block.Termination{Reason: block.FrameTimeout}), 0, block.FrameTimeout, true},
	} {
		p := newPair(t, sim.New(t, 1, sim.Config{}), config())
		p.connect(t)
		p.w.Run(time.Second)
		p.a.host.Do(func(r *host.Round) { p.fromA.Inject(r, c.blocks) })
		p.w.Run(time.Second)
		if got := p.toB.Counters().Malformed; got != c.malformed {
			t.Errorf("%s: %d malformed blocks", c.name, got)
		}
		if p.b.infos != 0 {
			t.Errorf("%s: took a RouterInfo", c.name)
		}
		if c.reason == block.Unspecified {
			must(t, p.a.send(p.fromA, 1, 10, bandwidth.Own))
			p.w.Run(time.Second)
			if len(p.b.messages) != 1 {
				t.Errorf("%s: the session is gone: %v", c.name, p.b.closed)
			}
			continue
		}
		if len(p.b.closed) != 1 || len(p.a.closed) != 1 {
			t.Errorf("%s: the session goes on", c.name)
		} else if reason, byPeer, _ := terminated(p.b.closed[0]); reason != c.reason || byPeer != c.byPeer {
			t.Errorf("%s: %v", c.name, p.b.closed[0])
		}
	}
}
