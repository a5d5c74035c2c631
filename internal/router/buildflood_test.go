package router_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/router"
	"allium/internal/sim"
	"allium/internal/tunnel/build"
	"allium/internal/tunnel/pool"
	"allium/internal/tunnel/transit"
	"allium/internal/x25519"
)

// flood is neighbours that ask a router to carry tunnels, far more than it can.
type flood struct {
	victim     *node
	neighbours []*node
	requests   []i2np.Message
	sent       int
	over       bool
}

// floodEvery is how often perTick requests are sent, by all together.
const (
	floodEvery = time.Millisecond
	perTick    = 5
)

// newFlood connects neighbours to the victim and makes the requests they send.
// Half of those name a next hop that the victim has never heard of.
func newFlood(victim *node, neighbours int, hops []*node) *flood {
	f := &flood{victim: victim}
	w := victim.w
	for i := range neighbours {
		n := prepare(victim.t, w, fmt.Sprintf("10.%d.%d.1", neighbours, i))
		n.cfg.Exploratory = pool.Config{}
		f.neighbours = append(f.neighbours, n.start())
	}
	introduce(slices.Concat(f.neighbours, hops, []*node{victim})...)
	for _, n := range f.neighbours {
		if err := n.tell(victim.Hash(), n.message(i2np.TypeData, []byte{0, 0, 0, 0})); err != nil {
			victim.t.Fatal(err)
		}
	}
	key, _ := victim.RouterInfo(w.Now()).Identity().X25519()
	for i := range 400 {
		next := build.Hop{Hash: hops[i%len(hops)].Hash(), Key: x25519.Generate().Public}
		if i%2 == 0 {
			random.Fill(next.Hash[:])
		}
		_, records, err := build.Create(w.Now(), build.Path{
			Direction: build.Outbound, Hops: []build.Hop{{Hash: victim.Hash(), Key: key}, next},
			EndRouter: hops[0].Hash(), EndTunnel: 5,
		})
		if err != nil {
			victim.t.Fatal(err)
		}
		f.requests = append(f.requests, victim.message(i2np.TypeShortTunnelBuild, records))
	}
	return f
}

// tick sends some requests, and will again.
func (f *flood) tick(*host.Round) {
	if f.over {
		return
	}
	for range perTick {
		n := f.neighbours[f.sent%len(f.neighbours)]
		m := f.requests[f.sent%len(f.requests)]
		m.ID, m.Expiration = random.Nonzero32(), f.victim.w.Now().Add(time.Minute)
		n.h.Do(func(r *host.Round) { _ = n.Send(r, f.victim.Hash(), m, bandwidth.Own) })
		f.sent++
	}
	// And garlic, which takes a public-key operation, too.
	_ = f.neighbours[0].tell(f.victim.Hash(), f.victim.message(i2np.TypeGarlic, i2np.Garlic{Data: make([]byte, 300)}.Append(nil)))
	f.victim.h.AfterFunc(floodEvery, f.tick)
}

// buildTimes builds tunnels both ways so many times, one after the other, and
// gives how long it took, the shortest first.
func buildTimes(n *node, count int) (all []time.Duration) {
	for range count {
		began := n.w.Now()
		c := n.open(router.ContextConfig{Tunnels: hops(2)})
		all = append(all, n.w.Now().Sub(began))
		n.h.Do(c.Close)
		n.w.Run(100 * time.Millisecond)
	}
	slices.Sort(all)
	return all
}

// asQuick fails when builds took longer than without a flood: half of them, or
// all but one. Which routers are in a tunnel makes some difference already.
func asQuick(t *testing.T, times, quiet []time.Duration) {
	t.Helper()
	const more = 100 * time.Millisecond
	half, last := len(times)/2, len(times)-1
	if times[half] > quiet[half]*6/5+more || times[last-1] > quiet[last]*6/5+more {
		t.Errorf("builds take %v, without the flood %v", times, quiet)
	}
}

// served is how many requests a router has opened, each of which takes a
// public-key operation.
func served(s transit.Stats) (n uint64) {
	n = s.Accepted + s.Ignored[transit.Duplicate]
	for _, refused := range s.Refused {
		n += refused
	}
	return n
}

// Attack A3: 5,000 requests a second from 1, 10 and 100 neighbours take
// nothing from the tunnels a router builds for itself, although its one worker
// could not answer them all.
func TestFloodOfRequestsLeavesOwnBuildsAlone(t *testing.T) {
	for _, neighbours := range []int{1, 10, 100} {
		t.Run(fmt.Sprint(neighbours), func(t *testing.T) { floodFrom(t, neighbours) })
	}
}

func floodFrom(t *testing.T, neighbours int) {
	const builds = 14
	w := sim.New(t, 21, sim.Config{Workers: 1, WorkTime: 2 * time.Millisecond})
	var honest []*node
	for i := range 8 {
		honest = append(honest, start(t, w, fmt.Sprintf("10.0.%d.1", i+2), i < 2))
	}
	victim := prepare(t, w, "10.0.1.1")
	victim.cfg.Transport.MaxSessions = 200
	victim.cfg.Share = 20e6 // so that bandwidth is no reason to slow anybody
	victim.start()
	f := newFlood(victim, neighbours, honest)
	w.Run(20 * time.Second)
	buildTimes(victim, builds) // now all have sessions with each other
	quiet := buildTimes(victim, builds)

	f.tick(nil)
	w.Run(2 * time.Second)
	before, began := victim.status(), w.Now()
	times := buildTimes(victim, builds)
	after, passed := victim.status(), w.Now().Sub(began)
	f.over = true
	asQuick(t, times, quiet)
	if asked := after.Transit.Requests - before.Transit.Requests; asked < uint64(4500*passed.Seconds()) {
		t.Errorf("only %d requests came in %v", asked, passed)
	}
	opened := served(after.Transit) - served(before.Transit)
	if limit := uint64(passed.Seconds() * float64(victim.cfg.Transit.RequestRate)); opened > limit+50 || opened == 0 {
		t.Errorf("%d requests were opened in %v", opened, passed)
	}
}
