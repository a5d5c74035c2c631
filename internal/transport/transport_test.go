package transport_test

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/sim"
	"allium/internal/transport"
	"allium/internal/transport/block"
	"allium/internal/transport/ntcp2"
	"allium/internal/transport/pace"
)

func TestMessagesGoBothWaysThroughOneSession(t *testing.T) {
	sim.Twice(t, 5, sim.Config{}, func(w *sim.World) {
		all := simNodes(t, w, 2)
		a, b := all[0], all[1]
		b.onMessage = func(r *host.Round, from data.Hash, m i2np.Message) {
			if from != a.hash {
				t.Errorf("from %v", from)
			}
			must(t, b.tr.Send(r, from, m, bandwidth.Own))
		}
		for id := range uint32(20) {
			must(t, a.send(b.hash, id))
			w.Run(20 * time.Millisecond) // the first ones wait
		}
		until(t, w, "the echoes", func() bool { return len(a.got) == 20 })
		if !slices.IsSorted(a.ids()) {
			t.Errorf("out of order: %v", a.ids())
		}
		if s := a.tr.Stats(); s.Sessions != 1 || s.Inbound != 0 || s.Dialled != 1 || s.Dialling != 0 {
			t.Errorf("%+v", s)
		}
		if s := b.tr.Stats(); s.Sessions != 1 || s.Inbound != 1 || s.Accepted != 1 || s.Dialled != 0 {
			t.Errorf("%+v", s)
		}
		if b.infos == 0 || len(a.connected) != 1 || len(b.connected) != 1 || b.tr.Peers()[0] != a.hash {
			t.Errorf("%d RouterInfos to B, connected %v %v", b.infos, a.connected, b.connected)
		}
		must(t, b.sendAs(a.hash, 99, 500, bandwidth.Transit))
		w.Run(time.Second)
		if n := b.spent.Total(bandwidth.Out, bandwidth.Transit); n < 512 || n > 700 {
			t.Errorf("%d bytes in transit counted", n)
		}
		for from, to := range map[*node]*node{a: b, b: a} {
			var sent, came uint64
			for c := range bandwidth.Classes {
				sent += from.spent.Total(bandwidth.Out, c)
				came += to.spent.Total(bandwidth.In, c)
			}
			if sent != came || sent < 10*1040 {
				t.Errorf("%d bytes were sent and %d came", sent, came)
			}
		}
	})
}

func TestSendTellsWhyNot(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	all := simNodes(t, w, 2)
	a, b := all[0], all[1]
	hidden := newKeys(t)
	a.known.put(hidden.info(w.Now()))
	a.ban(b.hash)
	for _, test := range []struct {
		to   data.Hash
		want error
	}{
		{a.hash, transport.ErrSelf},
		{data.Hash{1}, transport.ErrUnknownRouter},
		{hidden.local.Hash, transport.ErrNoAddress},
		{b.hash, transport.ErrBanned},
	} {
		if err := a.send(test.to, 1); err != test.want {
			t.Errorf("Send: %v, want %v", err, test.want)
		}
		if err := a.connect(test.to); err != test.want {
			t.Errorf("Connect: %v, want %v", err, test.want)
		}
	}
	a.ban(data.Hash{})
	if err := a.sendAs(b.hash, 1, i2np.MaxBody, bandwidth.Own); !errors.Is(err, ntcp2.ErrTooLong) {
		t.Error(err)
	}
	if s := a.tr.Stats(); s.Dialled+s.Failed != 0 || a.spent.Total(bandwidth.Out, bandwidth.Own) != 0 {
		t.Errorf("%+v", s)
	}
}

func TestBannedRouterIsNotTaken(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	all := simNodes(t, w, 2)
	a, b := all[0], all[1]
	b.ban(a.hash)
	must(t, a.send(b.hash, 1))
	until(t, w, "the end", func() bool { return len(a.failed) == 1 })
	var told *ntcp2.Termination
	if !errors.As(a.failed[0], &told) || told.Reason != block.Banned || !told.ByPeer {
		t.Error(a.failed[0])
	}
	if len(b.connected)+len(b.got) != 0 || b.tr.Stats().Sessions != 0 {
		t.Error("B has a session")
	}
}

// plain is a router of bare NTCP2 sessions, to see what a transport does to
// its peers.
type plain struct {
	*keys
	ep     *ntcp2.Endpoint
	open   []*ntcp2.Session
	closed []error
	// keep tells which of two sessions stays, for routers with other rules.
	keep func(r *host.Round, older, newer *ntcp2.Session)
	got  []uint32
}

func newPlain(tb testing.TB, h host.Host, at netip.AddrPort, db *known) *plain {
	tb.Helper()
	p := &plain{keys: newKeys(tb)}
	ri := p.info(h.Now(), p.at(3, at))
	db.put(ri)
	local := p.local
	local.RouterInfo = func(time.Time) *data.RouterInfo { return ri }
	p.ep = ntcp2.New(config().NTCP2, h, local, pace.New(h, bandwidth.NewLimiter(h.Now(), bandwidth.Limits{})), p)
	_, err := h.ListenTCP(at, p.ep.Accept)
	must(tb, err)
	return p
}

func (p *plain) CheckPeer(time.Time, *data.RouterInfo, netip.AddrPort, bool) block.Reason {
	return block.Unspecified
}
func (p *plain) Established(r *host.Round, s *ntcp2.Session) {
	p.open = append(p.open, s)
	if p.keep != nil && len(p.open) == 2 {
		p.keep(r, p.open[0], s)
	}
}
func (p *plain) Message(_ *host.Round, _ *ntcp2.Session, m i2np.Message) bandwidth.Class {
	p.got = append(p.got, m.ID)
	return bandwidth.Own
}
func (p *plain) RouterInfo(*host.Round, *ntcp2.Session, *data.RouterInfo, bool)  {}
func (p *plain) ClockSkew(*host.Round, data.Hash, netip.AddrPort, time.Duration) {}
func (p *plain) Closed(_ *host.Round, _ *ntcp2.Session, err error)               { p.closed = append(p.closed, err) }
func (p *plain) Refused(*host.Round, netip.AddrPort, error)                      {}

func TestCloseSaysGoodbye(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	all := simNodes(t, w, 2)
	a, b := all[0], all[1]
	h := w.Host("10.0.1.1")
	p := newPlain(t, h, netip.MustParseAddrPort("10.0.1.1:1"), a.known)
	must(t, a.send(p.local.Hash, 1))
	until(t, w, "a session", func() bool { return len(p.got) == 1 })
	must(t, a.send(p.local.Hash, 2))
	must(t, a.send(b.hash, 3)) // still being dialled
	a.close()
	w.Run(10 * time.Second)
	var told *ntcp2.Termination
	if len(p.closed) != 1 || !errors.As(p.closed[0], &told) || told.Reason != block.RouterShutdown || !told.ByPeer {
		t.Errorf("the peer was told %v", p.closed)
	}
	if !slices.Equal(p.got, []uint32{1, 2}) {
		t.Errorf("the peer got %v", p.got)
	}
	if len(a.failed) != 0 || len(b.connected) != 0 || a.tr.Stats().Sessions != 0 || a.tr.Stats().Dialling != 0 {
		t.Errorf("after Close: %v %v %+v", a.failed, b.connected, a.tr.Stats())
	}
	for _, to := range []data.Hash{p.local.Hash, b.hash} {
		if err := a.send(to, 4); !errors.Is(err, host.ErrClosed) {
			t.Errorf("Send after Close: %v", err)
		}
	}
	must(t, b.connect(a.hash))
	until(t, w, "a refusal", func() bool { return len(b.failed) == 1 })
	if !errors.Is(b.failed[0], host.ErrRefused) {
		t.Error(b.failed[0])
	}
}

// A transport listens before its router can sign a RouterInfo with the port.
func TestConnectionsAreRefusedUntilWeAreIntroduced(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	all := simNodes(t, w, 2)
	a, b := all[0], all[1]
	introduced := b.own
	for _, early := range []*data.RouterInfo{nil, b.keys.info(w.Now())} {
		b.own = early
		must(t, a.connect(b.hash))
		w.Run(20 * time.Second)
		if b.tr.Stats().Accepted != 0 || len(b.connected) != 0 {
			t.Fatal("B has taken a connection")
		}
	}
	b.own = introduced
	must(t, a.connect(b.hash))
	until(t, w, "a session", func() bool { return len(b.connected) == 1 })
}

func TestPeerThatComesBackIsSentToAgain(t *testing.T) {
	for seed := range uint64(8) {
		w := sim.New(t, seed, sim.Config{})
		all := simNodes(t, w, 2)
		a, b := all[0], all[1]
		join(t, w, a, b)
		w.Run(40 * time.Second)
		was := b.h.(*sim.Host)
		restart := func() {
			cfg := config()
			cfg.Listen = []netip.AddrPort{netip.AddrPortFrom(was.Addr(), 12345)}
			was = w.Restart(was)
			b = newNode(t, was, b.keys, b.known, cfg)
		}

		// Without a word: A learns of it when B dials, whatever the hashes.
		w.Kill(was)
		restart()
		must(t, b.send(a.hash, 1))
		until(t, w, "B's message", func() bool { return len(a.got) == 1 })
		must(t, a.send(b.hash, 2))
		w.Run(10 * time.Second)
		if !slices.Equal(b.ids(), []uint32{2}) || a.tr.Stats().Sessions != 1 || b.tr.Stats().Sessions != 1 {
			t.Fatalf("seed %d: B got %v, %+v %+v", seed, b.ids(), a.tr.Stats(), b.tr.Stats())
		}

		// With good-bye: what is sent afterwards fails, and then B is back.
		b.close()
		w.Run(time.Second)
		must(t, was.Close())
		must(t, a.send(b.hash, 3))
		until(t, w, "a failure", func() bool { return len(a.failed) == 1 })
		if err := a.send(b.hash, 4); err != transport.ErrUnreachable {
			t.Fatal(err)
		}
		w.Run(time.Second)
		restart() // with a newer RouterInfo
		must(t, a.send(b.hash, 5))
		until(t, w, "A's message", func() bool { return len(b.got) == 1 })
	}
}

// A session whose end has begun takes no more messages, and its end may take
// seconds.
func TestEndingSessionIsNotSentThrough(t *testing.T) {
	w := sim.New(t, 3, sim.Config{Window: 16 << 10})
	a := simNodes(t, w, 1)[0]
	h := w.Host("10.0.1.1")
	p := newPlain(t, h, at("10.0.1.1:1"), a.known)
	must(t, a.connect(p.local.Hash))
	until(t, w, "a session", func() bool { return len(p.open) == 1 })
	w.Run(20 * time.Second)
	// There is much to be sent before the connection is closed here, and the
	// other end of it comes some time after the Termination.
	a.h.(*sim.Host).Shape(sim.Link{Up: 40 << 10})
	h.Shape(sim.Link{Jitter: time.Second})
	for id := range uint32(100) {
		must(t, a.send(p.local.Hash, id))
	}
	h.Do(func(r *host.Round) { p.open[0].Close(r, block.IdleTimeout) })
	for id := uint32(100); id < 150; id++ {
		w.Run(20 * time.Millisecond)
		must(t, a.send(p.local.Hash, id))
	}
	until(t, w, "another session", func() bool { return len(p.open) == 2 })
	w.Run(5 * time.Second)
	if last := p.got[len(p.got)-1]; last != 149 || len(a.failed) != 0 {
		t.Errorf("%d messages, the last %d; failed: %v", len(p.got), last, a.failed)
	}
}

func TestEndsOfSessionsAreCountedByReason(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	all := simNodes(t, w, 3)
	a, b, c := all[0], all[1], all[2]
	join(t, w, a, b)
	w.Run(5 * time.Minute) // one of them finds it idle first
	join(t, w, a, c)
	c.close()
	w.Run(time.Second)
	ended := make(map[string]uint64)
	for _, n := range []*node{a, b} {
		for why, count := range n.tr.Stats().Ended {
			ended[why] += count
		}
	}
	want := map[string]uint64{"idle timeout": 1, "peer: idle timeout": 1, "peer: router shutdown": 1}
	if !maps.Equal(ended, want) {
		t.Errorf("%v, want %v", ended, want)
	}
	if got := c.tr.Stats().Ended["router shutdown"]; got != 1 {
		t.Errorf("of those shut down %d", got)
	}
}
