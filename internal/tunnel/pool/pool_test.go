package pool_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/sim"
	"allium/internal/tunnel"
	"allium/internal/tunnel/build"
	"allium/internal/tunnel/pool"
)

// newWorld is a network of n hops on virtual time.
func newWorld(t *testing.T, seed uint64, n int) (*sim.World, *network) {
	t.Helper()
	w := sim.New(t, seed, sim.Config{})
	return w, newNetwork(t, w.Host("198.51.100.1"), n)
}

// fill waits until the pools have all their tunnels.
func fill(t *testing.T, w *sim.World, members ...*member) {
	t.Helper()
	for _, m := range members {
		if !w.RunUntil(m.full, time.Minute) {
			t.Fatalf("%s is not full after a minute: %+v", m.state().Name, m.state())
		}
	}
}

// At every moment of half an hour, three generations of tunnels, there are
// some that work, and mostly as many as wanted; what is sent through them
// arrives.
func TestTunnelsChangeWithoutAGap(t *testing.T) {
	w, net := newWorld(t, 1, 40)
	own := net.open("own", config(2, 2), nil)
	client := net.open("client", config(3, 3), own)
	fill(t, w, own, client)
	if started := w.Now().Sub(sim.Start); started > 5*time.Second {
		t.Errorf("the first tunnels took %v", started)
	}
	var sent []uint32
	seconds, short := 30*60, 0
	for range seconds {
		w.Run(time.Second)
		for _, m := range []*member{own, client} {
			s := m.state()
			if s.Inbound.Good == 0 || s.Outbound.Good == 0 {
				t.Fatalf("%v: %s has no tunnels", w.Now().Sub(sim.Start), s.Name)
			}
			if !m.full() {
				short++
			}
			if n := len(s.Inbound.Tunnels) + len(s.Outbound.Tunnels); n > 3*(s.Inbound.Wanted+s.Outbound.Wanted) {
				t.Errorf("%s has %d tunnels", s.Name, n)
			}
		}
		sent = append(sent, client.sendAround(client))
	}
	w.Run(time.Second)
	lost := 0
	for _, id := range sent {
		if !client.has(id) {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d messages lost", lost, len(sent))
	}
	if short > 2*seconds/50 {
		t.Errorf("short of tunnels for %d of %d seconds", short, 2*seconds)
	}
	s := client.state()
	if s.Tests.Passed < 100 || s.Tests.Failed > 0 || s.Inbound.Failed+s.Outbound.Failed > 0 || s.Inbound.RTT == 0 {
		t.Errorf("in a perfect network: %+v", s)
	}
	if s.Inbound.Built < 9 || s.Inbound.Built > 16 {
		t.Errorf("%d tunnels built for 3 at a time", s.Inbound.Built)
	}
	client.Close()
	own.Close()
	if n := net.table.Len(); n != 0 {
		t.Errorf("%d tunnel IDs are left", n)
	}
}

func TestRunsOfTheSameSeedAreTheSame(t *testing.T) {
	sim.Twice(t, 5, sim.Config{}, func(w *sim.World) {
		net := newNetwork(t, w.Host("198.51.100.1"), 20)
		own := net.open("own", config(2, 2), nil)
		client := net.open("client", config(3, 2), own)
		fill(t, w, own, client)
		out, _ := client.Outbound(w.Now())
		net.with(out.Endpoint(), func(p *hop) { p.dead = true })
		net.with(out.Hops()[0], func(p *hop) { p.answer = build.Refuse })
		w.Run(4 * time.Minute)
	})
}

func TestFirstBuildsUseTunnelsWithoutHops(t *testing.T) {
	w, net := newWorld(t, 2, 20)
	own := net.open("own", config(2, 2), nil)
	out, ok1 := own.Outbound(w.Now())
	in, ok2 := own.Inbound(w.Now())
	if !ok1 || !ok2 || len(out.Hops()) != 0 || len(in.Hops()) != 0 || out.Endpoint() != net.self {
		t.Fatal("no tunnels without hops at the start")
	}
	id := own.sendAround(own)
	if !w.RunUntil(func() bool { return own.has(id) }, time.Second) {
		t.Error("a message through them did not arrive")
	}
	fill(t, w, own)
	for range 20 {
		out, _ := own.Outbound(w.Now())
		in, _ := own.Inbound(w.Now())
		if len(out.Hops()) != 2 || len(in.Hops()) != 2 {
			t.Fatal("they are used longer than necessary")
		}
	}
	if len(own.Inbounds(w.Now())) != 2 || len(own.Outbounds(w.Now())) != 2 {
		t.Error("they are listed beside real ones")
	}
}

// The endpoint of a Destination's tunnel would learn from that whose it is.
func TestNoHopOfADestinationAnswersToUs(t *testing.T) {
	w, net := newWorld(t, 3, 20)
	net.all(func(p *hop) { p.answer = build.Refuse })
	own := net.open("own", config(2, 2), nil)
	client := net.open("client", config(2, 2), own)
	w.Run(time.Minute)
	if s := client.state(); s.Outbound.Failed+s.Inbound.Failed+s.Inbound.Building+s.Outbound.Building > 0 {
		t.Errorf("it builds without tunnels for the answers: %+v", s)
	}
	if _, ok := client.Outbound(w.Now()); ok {
		t.Error("it has an outbound tunnel without hops")
	}
	if _, ok := client.Inbound(w.Now()); ok {
		t.Error("it has an inbound tunnel without hops")
	}
	net.all(func(p *hop) { p.answer = build.Accept })
	fill(t, w, own)
	_, before := net.seen()
	fill(t, w, client)
	w.Run(15 * time.Minute)
	if _, after := net.seen(); after != before {
		t.Errorf("%d endpoints were to answer to us", after-before)
	}
}

func TestDeadHopIsFoundAndReplaced(t *testing.T) {
	for i, which := range []string{"outbound", "inbound"} {
		w, net := newWorld(t, uint64(40+i), 40)
		own := net.open("own", config(2, 2), nil)
		client := net.open("client", config(3, 3), own)
		fill(t, w, own, client)
		w.Run(20 * time.Second)
		out, _ := client.Outbound(w.Now())
		victim := out.Hops()[1]
		if which == "inbound" {
			in, _ := client.Inbound(w.Now())
			victim = in.Hops()[1]
		}
		net.with(victim, func(p *hop) { p.dead = true })
		using := func() (n int) {
			s := client.state()
			for _, tunnel := range slices.Concat(s.Inbound.Tunnels, s.Outbound.Tunnels) {
				if slices.Contains(tunnel.Hops, victim.String()) {
					n++
				}
			}
			return n
		}
		gone := func() bool { return using() == 0 && client.full() }
		died, used := w.Now(), using()
		if !w.RunUntil(gone, 2*time.Minute) {
			t.Fatalf("%s: it is still there: %+v", which, client.state())
		}
		t.Logf("%s: replaced after %v", which, w.Now().Sub(died))
		s := client.state()
		if n := s.Inbound.Dropped + s.Outbound.Dropped; n > used+1 {
			t.Errorf("%s: %d tunnels were dropped, %d had the dead hop", which, n, used)
		}
		for range 20 {
			id := client.sendAround(client)
			if !w.RunUntil(func() bool { return client.has(id) }, 2*time.Second) {
				t.Fatalf("%s: a message did not arrive", which)
			}
		}
	}
}

func TestTunnelWhoseFirstHopIsGoneIsReplacedSoon(t *testing.T) {
	w, net := newWorld(t, 6, 40)
	own := net.open("own", config(2, 3), nil)
	fill(t, w, own)
	w.Run(10 * time.Second)
	out, victim := own.Outbounds(w.Now())[0], data.Hash{}
	for _, o := range own.Outbounds(w.Now()) {
		// One that no answer to the next build comes through.
		if !slices.ContainsFunc(own.Inbounds(w.Now()), func(in *pool.Inbound) bool { return slices.Contains(in.Hops(), o.Hops()[0]) }) {
			out, victim = o, o.Hops()[0]
		}
	}
	net.with(victim, func(p *hop) { p.unreachable, p.dead = true, true })
	net.h.Do(func(r *host.Round) { net.fail(r, victim) })
	if out.Working() {
		t.Error("it is not in doubt")
	}
	if !w.RunUntil(func() bool { return !out.Usable(w.Now()) && own.full() }, 5*time.Second) {
		t.Fatalf("not replaced: %+v", own.state())
	}
	var err error
	net.h.Do(func(r *host.Round) { err = out.Send(r, tunnel.Delivery{}, i2np.Message{Type: i2np.TypeData}) })
	if !errors.Is(err, pool.ErrEnded) {
		t.Errorf("Send through it: %v", err)
	}
}

// One message that did not come through does not cost a tunnel.
func TestTunnelThatWorksAgainStays(t *testing.T) {
	w, net := newWorld(t, 7, 20)
	own := net.open("own", config(2, 2), nil)
	fill(t, w, own)
	w.Run(10 * time.Second)
	out, _ := own.Outbound(w.Now())
	net.h.Do(func(r *host.Round) { net.fail(r, out.Hops()[0]) })
	w.Run(15 * time.Second)
	if !out.Working() || !out.Usable(w.Now()) {
		t.Error("it was given up")
	}
	if n := own.state().Outbound.Dropped; n != 0 {
		t.Errorf("%d tunnels were dropped", n)
	}
}

func TestRefusalsSlowBuildsDown(t *testing.T) {
	w, net := newWorld(t, 8, 40)
	net.all(func(p *hop) { p.answer = build.Refuse })
	own := net.open("own", config(1, 3), nil)
	w.Run(time.Minute)
	minute, _ := net.seen()
	if minute < 10 {
		t.Errorf("only %d builds in the first minute", minute)
	}
	w.Run(10 * time.Minute)
	asked, _ := net.seen()
	// Two directions, each at most 3 builds every 5 s at least.
	if n := asked - minute; n < 2*60 || n > 2*3*120 {
		t.Errorf("%d builds in ten minutes", n)
	}
	s := own.state()
	if n := s.Outbound.Causes["refused by hop 1 with code 30"]; n == 0 || n != s.Outbound.Failed {
		t.Errorf("causes: %v", s.Outbound.Causes)
	}
	net.all(func(p *hop) { p.answer = build.Accept })
	if !w.RunUntil(own.full, 15*time.Second) {
		t.Error("it does not recover")
	}
}

func TestSilenceIsACause(t *testing.T) {
	w, net := newWorld(t, 9, 20)
	net.all(func(p *hop) { p.dead = true })
	own := net.open("own", config(2, 2), nil)
	w.Run(2 * time.Minute)
	s := own.state()
	if s.Outbound.Causes[pool.CauseNoAnswer] == 0 || s.Inbound.Causes[pool.CauseNoAnswer] == 0 {
		t.Errorf("causes: %v and %v", s.Outbound.Causes, s.Inbound.Causes)
	}
	if n := net.builder.Building(); n > 2*pool.MaxBuilding {
		t.Errorf("%d builds under way", n)
	}
	// What nobody waits for any more is given back: IDs last a minute.
	if n := net.table.Len(); n > 60 {
		t.Errorf("%d tunnel IDs in use", n)
	}
	own.Close()
	if n := net.table.Len(); n != 0 || net.builder.Building() != 0 {
		t.Errorf("%d tunnel IDs and %d builds are left", n, net.builder.Building())
	}
}

// Where builds fail in a row fewer of them are under way at a time, and again
// as many as before when one succeeds.
func TestFewBuildsAtATimeWhereTheyFail(t *testing.T) {
	w, net := newWorld(t, 22, 40)
	net.all(func(p *hop) { p.dead = true })
	own := net.open("own", config(1, 8), nil)
	w.Run(time.Second)
	if n := net.builder.Building(); n != 2*pool.MaxBuilding {
		t.Errorf("%d builds at first", n)
	}
	w.Run(2 * time.Minute)
	most := 0
	for range 60 {
		w.Run(time.Second)
		most = max(most, net.builder.Building())
	}
	if most > 4 || most < 2 {
		t.Errorf("%d builds at a time after two minutes in vain", most)
	}
	net.all(func(p *hop) { p.dead = false })
	if !w.RunUntil(own.full, 40*time.Second) {
		t.Errorf("not full: %+v", own.state())
	}
}

func TestUnreachableFirstHopEndsTheBuildAtOnce(t *testing.T) {
	w, net := newWorld(t, 10, 20)
	net.all(func(p *hop) { p.unreachable = true })
	own := net.open("own", config(2, 2), nil)
	w.Run(time.Second)
	s := own.state()
	if s.Outbound.Causes[pool.CauseUnreachable] < 2 || s.Inbound.Causes[pool.CauseUnreachable] < 2 {
		t.Errorf("causes: %v and %v", s.Outbound.Causes, s.Inbound.Causes)
	}
}

func TestTooFewPeersMakeShortTunnelsOnlyOfTheRouter(t *testing.T) {
	w, net := newWorld(t, 11, 2)
	own := net.open("own", config(3, 2), nil)
	fill(t, w, own)
	if out, _ := own.Outbound(w.Now()); len(out.Hops()) != 2 {
		t.Errorf("%d hops of 2 routers", len(out.Hops()))
	}
	client := net.open("client", config(3, 2), own)
	w.Run(time.Minute)
	s := client.state()
	if n := s.Outbound.Causes[pool.CauseNoPeers]; n < 30 || n > 500 || n != s.Outbound.Held || s.Outbound.Failed != 0 {
		t.Errorf("causes: %v", s.Outbound.Causes)
	}
}

func TestLateAnswersAreTakenWhereTheyAreOfUse(t *testing.T) {
	w, net := newWorld(t, 12, 20)
	net.all(func(p *hop) { p.delay = 12 * time.Second })
	own := net.open("own", config(1, 2), nil)
	if !w.RunUntil(own.full, 30*time.Second) {
		t.Fatalf("late tunnels are not used: %+v", own.state())
	}
	s := own.state()
	if s.Outbound.Late == 0 || s.Outbound.Built != 0 || s.Outbound.Failed == 0 {
		t.Errorf("%+v", s.Outbound)
	}
	w.Run(2 * time.Minute)
	if s := own.state(); len(s.Outbound.Tunnels) > 2+pool.MaxBuilding || len(s.Inbound.Tunnels) > 2+pool.MaxBuilding {
		t.Errorf("%d and %d tunnels, 2 wanted", len(s.Outbound.Tunnels), len(s.Inbound.Tunnels))
	}
}

func TestLateAnswersAreNotTakenWhereOthersHaveMadeUp(t *testing.T) {
	w, net := newWorld(t, 12, 20)
	net.all(func(p *hop) { p.delay = 15 * time.Second })
	own := net.open("own", config(1, 2), nil)
	w.Run(5 * time.Second)
	net.all(func(p *hop) { p.delay = 0 })
	if !w.RunUntil(own.full, 9*time.Second) {
		t.Fatalf("not full: %+v", own.state())
	}
	w.Run(20 * time.Second)
	s := own.state()
	if s.Outbound.Late != 2 || s.Inbound.Late != 2 || len(s.Outbound.Tunnels) != 2 || len(s.Inbound.Tunnels) != 2 {
		t.Errorf("%+v", s)
	}
	if n := net.table.Len(); n != 1+2 {
		t.Errorf("%d tunnel IDs", n)
	}
}

// An inbound build has failed as well when the tunnel its request goes through
// cannot be entered.
func TestRequestThroughAnUnreachableRouterEndsAtOnce(t *testing.T) {
	w, net := newWorld(t, 18, 20)
	own := net.open("own", config(1, 1), nil)
	fill(t, w, own)
	out, _ := own.Outbound(w.Now())
	client := net.open("client", config(1, 1), own)
	w.Run(10 * time.Millisecond)
	net.h.Do(func(r *host.Round) { net.fail(r, out.Hops()[0]) })
	if n := client.state().Inbound.Causes[pool.CauseUnreachable]; n != 1 {
		t.Errorf("%d builds have ended", n)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	w, net := newWorld(t, 13, 20)
	own := net.open("own", config(2, 2), nil)
	fill(t, w, own)
	client := net.open("client", config(3, 3), own)
	w.Run(30 * time.Millisecond) // requests are on their way
	if net.builder.Building() < 3 {
		t.Fatal("nothing is being built")
	}
	before := own.state()
	client.Close()
	client.Close()
	if n := net.table.Len(); n != 1+before.Inbound.Good {
		t.Errorf("%d tunnel IDs, not %d", n, 1+before.Inbound.Good)
	}
	w.Run(2 * time.Minute) // the answers come
	if s := client.state(); len(s.Inbound.Tunnels)+len(s.Outbound.Tunnels) > 0 || s.Inbound.Built > 0 {
		t.Errorf("tunnels after Close: %+v", s)
	}
	out, _ := own.Outbound(w.Now())
	in, _ := own.Inbound(w.Now())
	id := own.sendAround(own)
	own.Close()
	w.Run(time.Minute)
	if own.has(id) {
		t.Error("a message was delivered after Close")
	}
	if _, ok := own.Outbound(w.Now()); ok || out.Usable(w.Now()) || net.table.Len() != 0 || net.builder.Building() != 0 {
		t.Errorf("something is left; %d tunnel IDs", net.table.Len())
	}
	if _, ok := own.Inbound(w.Now()); ok || len(own.Inbounds(w.Now())) > 0 {
		t.Error("an inbound tunnel is left")
	}
	net.h.Do(func(r *host.Round) { // what arrives all the same is of no effect
		in.TunnelData(r, in.Hops()[1], make(i2np.TunnelData, i2np.TunnelDataSize))
		if err := out.Send(r, tunnel.Delivery{}, i2np.Message{}); !errors.Is(err, pool.ErrEnded) {
			t.Errorf("Send: %v", err)
		}
	})
}

// A Destination that hides nothing has its router for a gateway.
func TestPoolsWithoutHops(t *testing.T) {
	w, net := newWorld(t, 14, 20)
	own := net.open("own", config(2, 2), nil)
	open := net.open("open", config(0, 3), own)
	half := net.open("half", pool.Config{
		Inbound:  pool.Direction{Length: 0, Quantity: 2},
		Outbound: pool.Direction{Length: 2, Quantity: 2},
	}, own)
	fill(t, w, own, half)
	leases := open.Inbounds(w.Now())
	if len(leases) != 1 || len(open.Outbounds(w.Now())) != 1 {
		t.Fatalf("%d leases", len(leases))
	}
	if gateway, id := leases[0].Gateway(); gateway != net.self || id == 0 || !leases[0].Expires().After(w.Now().Add(9*time.Minute)) {
		t.Error("the lease is not of use")
	}
	if !w.RunUntil(func() bool { return open.changes == 1 && half.changes == 1 }, 2*time.Second) {
		t.Errorf("told %d and %d times of the lease", open.changes, half.changes)
	}
	for _, to := range []*member{open, half} {
		id := half.sendAround(to)
		if !w.RunUntil(func() bool { return to.has(id) }, time.Second) {
			t.Error("a message did not arrive")
		}
	}
	var err error
	net.h.Do(func(r *host.Round) {
		out, _ := open.Outbound(r.Now)
		err = out.Send(r, tunnel.Delivery{Kind: tunnel.ToTunnel, Router: net.self, Tunnel: 1}, i2np.Message{Body: make([]byte, tunnel.MaxI2NPSize)})
	})
	if !errors.Is(err, tunnel.ErrSize) {
		t.Errorf("a message too large: %v", err)
	}
	w.Run(2 * time.Minute)
	if s := half.state(); s.Tests.Passed == 0 || s.Tests.Failed > 0 || s.Outbound.RTT == 0 {
		t.Errorf("its tunnels are not tested: %+v", s)
	}
	victim := half.Outbounds(w.Now())[0]
	net.with(victim.Hops()[1], func(p *hop) { p.dead = true })
	if !w.RunUntil(func() bool { return !victim.Usable(w.Now()) }, 2*time.Minute) {
		t.Error("a dead one stays")
	}
}

// Whoever knows the answer to a build of one pool must not learn from it that
// the tunnels of another lead to the same router.
func TestAnswersThroughTheTunnelOfAnotherPoolAreNone(t *testing.T) {
	w, net := newWorld(t, 15, 20)
	own := net.open("own", config(1, 1), nil)
	other := net.open("other", config(1, 1), own)
	fill(t, w, own, other)
	net.all(func(p *hop) { p.delay = 5 * time.Second })
	// The only router the next pool may ask is one that answers elsewhere.
	spy := net.hops[7]
	selector := newSelector(t, pool.PathConfig{Peers: []data.Hash{spy.hash}}, net.self, net, net.profiles, net)
	client := &member{net: net, replies: own.replies, got: make(map[uint32]bool)}
	ctx := pool.Context{Name: "client", Replies: own.replies, Deliver: client.deliver}
	var stolen []i2np.Message
	net.h.Do(func(r *host.Round) { client.Pool = net.builder.Open(r, config(1, 1), ctx, selector, own.Pool) })
	net.with(spy.hash, func(p *hop) { p.stolen = &stolen })
	w.Run(2 * time.Second)
	if len(stolen) == 0 {
		t.Fatal("nothing was asked")
	}
	net.h.Do(func(r *host.Round) {
		if other.Reply(r, stolen[0]) {
			t.Error("taken from the tunnel of another")
		}
		if !own.Reply(r, stolen[0]) {
			t.Error("not taken from the tunnel it was to come through")
		}
		if own.Reply(r, stolen[0]) || net.builder.Reply(r, stolen[0]) {
			t.Error("taken twice")
		}
	})
	if s := client.state(); s.Outbound.Built != 1 {
		t.Errorf("%+v", s.Outbound)
	}
}

// All tunnels of a pool may have the same router at their far ends, and that
// may be one that keeps the answer to itself.
func TestAnswersComeBackPastTheLastHop(t *testing.T) {
	w, net := newWorld(t, 17, 20)
	net.all(func(p *hop) { p.keeps = true })
	own := net.open("own", config(1, 3), nil)
	fill(t, w, own)
	selector := newSelector(t, pool.PathConfig{Peers: []data.Hash{net.hops[7].hash}}, net.self, net, net.profiles, net)
	client := &member{net: net, replies: garlic.NewReplies(), got: make(map[uint32]bool)}
	ctx := pool.Context{Name: "client", Replies: client.replies, Deliver: client.deliver}
	net.h.Do(func(r *host.Round) { client.Pool = net.builder.Open(r, config(1, 3), ctx, selector, own.Pool) })
	fill(t, w, client)
	w.Run(15 * time.Minute) // they are replaced
	if s := client.state(); s.Outbound.Failed > 0 || s.Inbound.Failed > 0 {
		t.Errorf("%+v %+v", s.Inbound, s.Outbound)
	}
}

func TestSpoiltAnswersAreACause(t *testing.T) {
	w, net := newWorld(t, 16, 20)
	net.all(func(p *hop) { p.spoils = true })
	own := net.open("own", config(1, 2), nil)
	w.Run(10 * time.Second)
	s := own.state()
	if s.Inbound.Causes[pool.CauseTampered] == 0 || s.Outbound.Causes[pool.CauseTampered] == 0 || s.Inbound.Built > 0 {
		t.Errorf("%+v", s)
	}
	if n := net.table.Len(); n > 1+s.Inbound.Building {
		t.Errorf("%d tunnel IDs", n)
	}
}

// On the real engine rounds run side by side.
func TestPoolsOnTheRealEngine(t *testing.T) {
	defer goleak.VerifyNone(t)
	h := host.New(host.Config{})
	defer h.Close()
	net := newNetwork(t, h, 12)
	own := net.open("own", config(2, 2), nil)
	client := net.open("client", config(3, 2), own)
	deadline := time.Now().Add(20 * time.Second)
	for !own.full() || !client.full() {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", client.state())
		}
		time.Sleep(5 * time.Millisecond)
	}
	done := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 8 {
				id := client.sendAround(own)
				for !own.has(id) && time.Now().Before(deadline) {
					time.Sleep(time.Millisecond)
				}
			}
		}()
	}
	for range 4 {
		<-done
	}
	if time.Now().After(deadline) {
		t.Error("messages were lost")
	}
	victim := client.Outbounds(h.Now())[0].Hops()[0]
	h.Do(func(r *host.Round) { net.fail(r, victim) })
	client.Close()
	own.Close()
	if n := net.table.Len(); n != 0 {
		t.Errorf("%d tunnel IDs are left", n)
	}
}
