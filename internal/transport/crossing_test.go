package transport_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/host"
	"allium/internal/sim"
	"allium/internal/transport/block"
	"allium/internal/transport/ntcp2"
)

// crowd has nodes send to each other from chosen moments on and checks that
// nothing is lost and one session is left of each pair.
func crowd(t *testing.T, w *sim.World, all []*node, spread time.Duration) (crossed int) {
	const each = 60
	begin := make(map[[2]int]time.Time)
	for i := range all {
		for j := range all {
			begin[[2]int{i, j}] = w.Now().Add(time.Duration(w.Rand().Int64N(int64(spread))))
		}
	}
	sent := make(map[[2]int]uint32)
	for step := 0; step < each+int(spread/(5*time.Millisecond)); step++ {
		for i, from := range all {
			for j, to := range all {
				pair := [2]int{i, j}
				if i == j || w.Now().Before(begin[pair]) || sent[pair] == each {
					continue
				}
				must(t, from.send(to.hash, sent[pair]))
				sent[pair]++
			}
		}
		w.Run(5 * time.Millisecond)
	}
	w.Run(20 * time.Second)
	dialled, sessions, inbound := 0, 0, 0
	for _, n := range all {
		count := make(map[received]int)
		for _, g := range n.got {
			count[g]++
		}
		if len(n.got) != each*(len(all)-1) || len(count) != len(n.got) {
			t.Errorf("seed %d: %d messages came, %d different ones, want %d", w.Seed(), len(n.got), len(count), each*(len(all)-1))
		}
		s := n.tr.Stats()
		if s.Sessions != len(all)-1 || s.Dialling+int(s.Dropped+s.Failed) != 0 || len(n.tr.Peers()) != len(all)-1 {
			t.Errorf("seed %d: %+v", w.Seed(), s)
		}
		dialled, sessions, inbound = dialled+int(s.Dialled), sessions+s.Sessions, inbound+s.Inbound
	}
	if inbound*2 != sessions {
		t.Errorf("seed %d: %d ends of sessions, %d of them dialled by the other", w.Seed(), sessions, inbound)
	}
	return dialled - inbound
}

func TestCrossingDialsLeaveOneSessionAndLoseNothing(t *testing.T) {
	crossed := 0
	for seed := range uint64(150) {
		w := sim.New(t, seed, sim.Config{})
		all := simNodes(t, w, 2)
		crossed += crowd(t, w, all, 300*time.Millisecond)
		a, b := all[0], all[1]
		if a.hash.Compare(b.hash) > 0 {
			a, b = b, a
		}
		if s := a.tr.Stats(); s.Dialled == 1 && s.Inbound != 0 {
			t.Errorf("seed %d: the smaller hash has dialled, but the other's session stayed", seed)
		}
		if t.Failed() {
			return
		}
	}
	if crossed < 40 {
		t.Errorf("only %d dials crossed", crossed)
	}
}

func TestCrossingDialsOverBadLinks(t *testing.T) {
	for seed := range uint64(20) {
		w := sim.New(t, seed, sim.Config{Link: sim.Link{Jitter: 100 * time.Millisecond, Loss: 0.05}})
		crowd(t, w, simNodes(t, w, 3), time.Second)
		if t.Failed() {
			return
		}
	}
}

func TestFiveRoutersDialEachOther(t *testing.T) {
	for seed := range uint64(3) {
		sim.Twice(t, seed, sim.Config{}, func(w *sim.World) {
			if crowd(t, w, simNodes(t, w, 5), 100*time.Millisecond) == 0 {
				t.Error("no dials crossed")
			}
		})
	}
}

// Routers of others keep the session they like, and close the other at once.
func TestThePeersChoiceIsFollowed(t *testing.T) {
	keep := map[string]func(r *host.Round, older, newer *ntcp2.Session){
		"both":  func(*host.Round, *ntcp2.Session, *ntcp2.Session) {}, // until we choose
		"older": func(r *host.Round, _, newer *ntcp2.Session) { newer.Close(r, block.Unspecified) },
		"newer": func(r *host.Round, older, _ *ntcp2.Session) { older.Close(r, block.Unspecified) },
		"inbound": func(r *host.Round, older, newer *ntcp2.Session) {
			if older.Inbound() {
				older = newer
			}
			older.Close(r, block.Unspecified)
		},
	}
	for _, name := range []string{"both", "older", "newer", "inbound"} {
		for seed := range uint64(10) {
			w := sim.New(t, seed, sim.Config{})
			a := simNodes(t, w, 1)[0]
			h := w.Host("10.0.1.1")
			p := newPlain(t, h, netip.MustParseAddrPort("10.0.1.1:1"), a.known)
			p.keep = keep[name]
			h.Do(func(r *host.Round) {
				_, err := p.ep.Dial(r, netip.Addr{}, netip.AddrPortFrom(a.h.(*sim.Host).Addr(), 12345), a.own, bandwidth.Own)
				must(t, err)
			})
			w.Run(time.Duration(w.Rand().Int64N(int64(100 * time.Millisecond))))
			must(t, a.send(p.local.Hash, 1))
			w.Run(time.Minute)
			must(t, a.send(p.local.Hash, 2))
			w.Run(time.Second)
			what := fmt.Sprintf("%s, seed %d", name, seed)
			// What the peer throws away with a session is lost.
			if !slices.Contains(p.got, 2) || len(a.failed) != 0 {
				t.Errorf("%s: %v came, failed: %v", what, p.got, a.failed)
			}
			if s := a.tr.Stats(); s.Sessions != 1 || len(p.open)-len(p.closed) != 1 || s.Dialled > 1 {
				t.Errorf("%s: %+v, the peer has had %d and closed %d", what, s, len(p.open), len(p.closed))
			}
			if t.Failed() {
				return
			}
		}
	}
}
