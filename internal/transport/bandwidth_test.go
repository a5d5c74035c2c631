package transport_test

import (
	"cmp"
	"fmt"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/sim"
)

// load is a router with limits in the middle of others: it is sent and sends
// more than it may.
type load struct {
	w     *sim.World
	hub   *node
	peers []*node
	down  bandwidth.Direction
	// offered is bytes a second of messages, by class.
	offered bandwidth.Bytes
	due     bandwidth.Bytes
	next    int
	over    bool
}

// kinds are the types of messages that the hub takes for one class.
var kinds = [bandwidth.Classes]i2np.Type{bandwidth.Own: i2np.TypeGarlic, bandwidth.Transit: i2np.TypeTunnelData}

// classOf is the class that belongs to the type.
func classOf(m i2np.Message) bandwidth.Class {
	if m.Type == kinds[bandwidth.Own] {
		return bandwidth.Own
	}
	return bandwidth.Transit
}

// newLoad connects a hub to peers. Every second of them is for our own.
func newLoad(t *testing.T, w *sim.World, limits bandwidth.Limits) *load {
	t.Helper()
	db := newKnown()
	cfg := config()
	h := w.Host("10.0.0.1")
	cfg.Listen = append(cfg.Listen, at("10.0.0.1:12345"))
	l := &load{w: w, hub: newLimited(t, h, newKeys(t), db, cfg, limits)}
	l.hub.onMessage = func(*host.Round, data.Hash, i2np.Message) {}
	l.hub.classOf = classOf
	for i := range 6 {
		n := simNode(t, w, db, fmt.Sprintf("10.0.1.%d", i+1), nil)
		n.onMessage = func(*host.Round, data.Hash, i2np.Message) {}
		l.peers = append(l.peers, n)
		join(t, w, l.hub, n)
	}
	return l
}

// tick sends what is due, through peers in turn: our own through every second,
// transit through the others.
func (l *load) tick(*host.Round) {
	const every = 5 * time.Millisecond
	if l.over {
		return
	}
	for _, c := range []bandwidth.Class{bandwidth.Transit, bandwidth.Own} {
		l.due[c] += int(float64(l.offered[c]) * every.Seconds())
		for ; l.due[c] > 0; l.due[c] -= 1040 {
			l.next++
			peer := l.peers[l.next%3*2]
			if c == bandwidth.Own {
				peer = l.peers[l.next%3*2+1]
			}
			m := message(l.w.Now(), uint32(l.next), i2np.TunnelDataSize)
			m.Type = kinds[c]
			if l.down == bandwidth.Out {
				l.hub.h.Do(func(r *host.Round) { _ = l.hub.tr.Send(r, peer.hash, m, c) })
			} else {
				peer.h.Do(func(r *host.Round) { _ = peer.tr.Send(r, l.hub.hash, m, c) })
			}
		}
	}
	l.hub.h.AfterFunc(every, l.tick)
}

// passed is the bytes on the wire so far, by class, and all as the other ends
// count them.
func (l *load) passed() (by bandwidth.Bytes, all int) {
	for c := range bandwidth.Classes {
		by[c] = int(l.hub.spent.Total(l.down, c))
		for _, n := range l.peers {
			if l.down == bandwidth.Out {
				all += int(n.spent.Total(bandwidth.In, c))
			}
		}
	}
	if l.down == bandwidth.In {
		all = by.Sum() // what was sent is partly under way
	}
	return by, all
}

// tenSeconds runs for 25 seconds and gives the least and the most bytes a
// second in any ten seconds on end, by class and of all.
func (l *load) tenSeconds() (least, most bandwidth.Bytes, total [2]int) {
	const step, steps = 250 * time.Millisecond, 40
	type sample struct {
		by  bandwidth.Bytes
		all int
	}
	var samples []sample
	l.tick(nil)
	l.w.Run(8 * time.Second)
	for i := range 100 {
		by, all := l.passed()
		samples = append(samples, sample{by, all})
		l.w.Run(step)
		if i < steps {
			continue
		}
		from := samples[i-steps]
		sum := (all - from.all) / 10
		if i == steps {
			total = [2]int{sum, sum}
		}
		total = [2]int{min(total[0], sum), max(total[1], sum)}
		for c := range by {
			n := (by[c] - from.by[c]) / 10
			if i == steps {
				least[c] = n
			}
			least[c], most[c] = min(least[c], n), max(most[c], n)
		}
	}
	l.over = true
	return least, most, total
}

// Our own traffic and transit both want more than they may, for half a minute
// of virtual time: each limit is kept within three percent over any ten
// seconds, and no session ends.
func TestLimitsOfBandwidthAreKept(t *testing.T) {
	if raceDetector {
		t.Skip("a simulation has no races, and takes long to look for them")
	}
	for name, test := range map[string]struct {
		limits               bandwidth.Line
		own, transit         int // offered
		wantOwn, wantTransit int
	}{
		"total, own takes all":     {bandwidth.Line{Total: 200_000}, 400_000, 400_000, 200_000, 0},
		"total, own takes half":    {bandwidth.Line{Total: 200_000}, 97_000, 600_000, 100_000, 100_000},
		"own and total":            {bandwidth.Line{Own: 80_000, Total: 200_000}, 300_000, 600_000, 80_000, 120_000},
		"transit alone":            {bandwidth.Line{Transit: 100_000}, 145_000, 300_000, 150_000, 100_000},
		"all three":                {bandwidth.Line{Own: 600_000, Transit: 300_000, Total: 1_000_000}, 900_000, 900_000, 600_000, 300_000},
		"ten times the line":       {bandwidth.Line{Total: 300_000}, 97_000, 3_000_000, 100_000, 200_000},
		"a small line, twice over": {bandwidth.Line{Own: 15_000, Total: 40_000}, 40_000, 80_000, 15_000, 25_000},
	} {
		for d, direction := range map[bandwidth.Direction]string{bandwidth.In: "in", bandwidth.Out: "out"} {
			t.Run(name+" "+direction, func(t *testing.T) {
				limits := bandwidth.Limits{In: test.limits}
				if d == bandwidth.Out {
					limits = bandwidth.Limits{Out: test.limits}
				}
				l := newLoad(t, sim.New(t, 1, sim.Config{}), limits)
				l.down = d
				l.offered = bandwidth.Bytes{bandwidth.Own: test.own, bandwidth.Transit: test.transit}
				least, most, total := l.tenSeconds()
				check := func(what string, least, most, want int, limit, rest int64) {
					t.Helper()
					// What is not limited itself varies as the others do.
					if margin := int(cmp.Or(limit*3/100, rest/25)); least < want-margin || most > want+margin {
						t.Errorf("%s: %d to %d, not %d", what, least, most, want)
					}
				}
				limit := test.limits.Total
				if limit > 0 && test.wantOwn+test.wantTransit == int(limit) {
					check("all", total[0], total[1], int(limit), limit, 0)
				}
				check("own", least[bandwidth.Own], most[bandwidth.Own], test.wantOwn, test.limits.Own, cmp.Or(limit, 200_000))
				check("transit", least[bandwidth.Transit], most[bandwidth.Transit], test.wantTransit, test.limits.Transit, limit)
				if s := l.hub.tr.Stats(); s.Sessions != 6 || len(l.hub.failed) != 0 {
					t.Errorf("sessions have ended: %+v", s)
				}
			})
		}
	}
}

// The same over real sockets. How much passes in a time depends on the
// machine, but not that it is no more than the limits allow in that time by its
// own clock; each read and write is looked at.
func TestLimitsOfBandwidthAreKeptOnRealSockets(t *testing.T) {
	const limit, slack = 2_000_000, 2_000_000*200/1000 + 64<<10 // what may be saved up, and a frame
	db := newKnown()
	peer := newLoopback(t, db)
	hub := newLoopbackLimited(t, db, bandwidth.Limits{
		In:  bandwidth.Line{Own: limit / 2, Total: limit},
		Out: bandwidth.Line{Own: limit / 2, Total: limit},
	})
	nothing := func(*host.Round, data.Hash, i2np.Message) {}
	peer.onMessage, hub.onMessage, hub.classOf = nothing, nothing, classOf
	must(t, peer.connect(hub.hash))
	eventually(t, "a session", func() bool { return hub.tr.Connected(peer.hash) && peer.tr.Connected(hub.hash) })
	began := hub.h.Now()
	counted := func(d bandwidth.Direction, all bool) int {
		by := hub.spent.Total(d, bandwidth.Own)
		if all {
			by += hub.spent.Total(d, bandwidth.Control) + hub.spent.Total(d, bandwidth.Transit)
		}
		return int(by)
	}
	id := uint32(0)
	for end := began.Add(3 * time.Second); hub.h.Now().Before(end); {
		for from, to := range map[*node]*node{hub: peer, peer: hub} {
			for _, c := range []bandwidth.Class{bandwidth.Own, bandwidth.Transit} {
				from.h.Do(func(r *host.Round) {
					for range 10 {
						id++
						m := message(r.Now, id, i2np.TunnelDataSize)
						m.Type = kinds[c]
						_ = from.tr.Send(r, to.hash, m, c)
					}
				})
			}
		}
		for _, d := range []bandwidth.Direction{bandwidth.In, bandwidth.Out} {
			own, all := counted(d, false), counted(d, true)
			passed := hub.h.Now().Sub(began).Seconds()
			if own > int(passed*limit/2)+slack || all > int(passed*limit)+slack {
				t.Fatalf("direction %d: %d of our own and %d in all after %.3f s", d, own, all, passed)
			}
		}
		time.Sleep(time.Millisecond)
	}
	for _, d := range []bandwidth.Direction{bandwidth.In, bandwidth.Out} {
		t.Logf("direction %d: %d of our own and %d in all in 3 s", d, counted(d, false), counted(d, true))
		if all := counted(d, true); all < limit/4 {
			t.Errorf("direction %d: only %d bytes passed", d, all)
		}
	}
	if len(hub.failures()) != 0 || !hub.tr.Connected(peer.hash) {
		t.Errorf("the session has ended: %v", hub.failures())
	}
}
