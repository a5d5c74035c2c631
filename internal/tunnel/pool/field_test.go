package pool_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/cryptotest"
	"time"

	"allium/internal/data"
	"allium/internal/profile"
	"allium/internal/tunnel/build"
	"allium/internal/tunnel/pool"
)

// society is routers of which we have seen this and that.
type society struct {
	t        testing.TB
	db       netDb
	profiles *profile.Profiles
	all      []data.Hash
}

func newSociety(t *testing.T, seed uint64) *society {
	cryptotest.SetGlobalRandom(t, seed)
	return &society{t: t, profiles: newProfiles(t)}
}

// add makes n routers with such capabilities.
func (s *society) add(n int, caps string) (made []data.Hash) {
	for range n {
		i := len(s.all)
		p := makePeer(s.t, caps, "0.9.67", "", fmt.Sprintf("%d.%d.1.1", 50+i/200, i%200))
		s.db.routers, s.all = append(s.db.routers, p.ri), append(s.all, p.hash)
		made = append(made, p.hash)
	}
	return made
}

// carry has a router carry tunnels of ours; messages to it take so long.
func (s *society) carry(h data.Hash, tunnels int, took time.Duration) {
	s.profiles.Connected(now, h)
	for range tunnels {
		s.profiles.TunnelAccepted(now, h, took)
		s.profiles.TestPassed(now, h, 1)
	}
}

func (s *society) selector() *pool.Selector {
	return newSelector(s.t, pool.PathConfig{}, self, &s.db, s.profiles, everywhere{})
}

// paths counts how often each router is a hop of so many tunnels, each of
// another context, and hands out the hops of each.
func (s *society) paths(n int, w pool.Wish, each func(hops []build.Hop)) map[data.Hash]int {
	s.t.Helper()
	selector, times := s.selector(), make(map[data.Hash]int)
	for i := range n {
		w.First = data.HashOf([]byte{byte(i >> 8), byte(i)})
		hops, err := selector.Hops(now, w)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, h := range hops {
			times[h.Hash]++
		}
		if each != nil {
			each(hops)
		}
	}
	return times
}

// share is which part of all hops is among some routers.
func share(times map[data.Hash]int, of []data.Hash) float64 {
	n, all := 0, 0
	for h, times := range times {
		all += times
		if slices.Contains(of, h) {
			n += times
		}
	}
	return float64(n) / float64(all)
}

var (
	client      = pool.Wish{Direction: build.Outbound, Least: 3, Length: 3}
	exploratory = pool.Wish{Direction: build.Inbound, Least: 1, Length: 2, Explore: true}
)

// Attack A16: attackers that are twice as fast as all others get at most half
// as many hops again as their number gives them, and not many more when they
// keep every second of the others too busy to join tunnels.
func TestTheFastestGetLittleMore(t *testing.T) {
	for _, c := range []struct {
		attackers int
		busy      int // of the others, in percent
		most      float64
	}{{10, 0, 1.5}, {20, 0, 1.5}, {40, 0, 1.5}, {20, 50, 2.7}} {
		for name, w := range map[string]pool.Wish{"client": client, "exploratory": exploratory} {
			s := newSociety(t, uint64(c.attackers))
			attackers := s.add(c.attackers, "XR")
			for _, h := range attackers {
				s.carry(h, 9, 100*time.Millisecond)
			}
			others := s.add(100-c.attackers, "XR")
			for i, h := range others {
				s.carry(h, 9, time.Duration(180+i)*time.Millisecond)
				if c.busy > 0 && i%(100/c.busy) == 0 {
					for range 9 {
						s.profiles.TunnelRefused(now.Add(-time.Hour), h, 30)
					}
				}
			}
			got := share(s.paths(4000, w, nil), attackers) / (float64(c.attackers) / 100)
			t.Logf("%s: %d%% attackers, %d%% of the others busy: %.2f times their share", name, c.attackers, c.busy, got)
			if got > c.most {
				t.Errorf("%s: %d%% attackers got %.2f times their share", name, c.attackers, got)
			}
		}
	}
}

// Who has carried tunnels is chosen for those of Destinations, evenly. A
// newcomer shows itself in exploratory tunnels, never two in one.
func TestNewcomersComeByExploratoryTunnels(t *testing.T) {
	s := newSociety(t, 1)
	known := s.add(60, "XR")
	for _, h := range known {
		s.carry(h, 3, 100*time.Millisecond)
	}
	met := s.add(60, "XR")
	for _, h := range met {
		s.profiles.Connected(now, h)
	}
	strangers := s.add(500, "XR")

	times := s.paths(4000, client, nil)
	if got := share(times, known); got != 1 {
		t.Errorf("%.3f of the hops have carried tunnels before", got)
	}
	most, least := 0, 4000
	for _, h := range known {
		most, least = max(most, times[h]), min(least, times[h])
	}
	// The slowest quarter is left out; all are as slow, so any may be.
	if fair := 4000 * 3 / 45; most > 5*fair/4 {
		t.Errorf("one was chosen %d times, %d is fair", most, fair)
	}

	tunnels := 0
	times = s.paths(4000, exploratory, func(hops []build.Hop) {
		n := 0
		for _, h := range hops {
			if !slices.Contains(known, h.Hash) {
				n++
			}
		}
		if n > 1 {
			t.Fatal("two newcomers in one tunnel")
		}
		tunnels += n
	})
	if tunnels < 4000/8 || tunnels > 4000/4 {
		t.Errorf("newcomers in %d of 4000 tunnels", tunnels)
	}
	if got := share(times, strangers); got > 0 {
		t.Errorf("%.3f of the hops are strangers, although others are waiting", got)
	}
}

// Without anybody who has carried a tunnel, all are chosen from; those there
// was a session with come first.
func TestBeginnersChooseWhomTheyHaveMet(t *testing.T) {
	s := newSociety(t, 2)
	s.add(50, "XR")
	s.paths(100, client, nil)
	met := s.add(8, "XR")
	for _, h := range met {
		s.profiles.Connected(now, h)
	}
	if got := share(s.paths(100, client, nil), met); got != 1 {
		t.Errorf("%.3f of the hops are routers we have met", got)
	}
}

// What routers say of their load and bandwidth is honoured.
func TestCapabilitiesAreHonoured(t *testing.T) {
	s := newSociety(t, 3)
	free, some := s.add(30, "XR"), s.add(30, "XRD")
	little, much, none := s.add(10, "LR"), s.add(10, "XRE"), s.add(10, "XRG")
	for i, h := range s.all {
		s.carry(h, 3, time.Duration(100+37*i%50)*time.Millisecond)
	}
	times := s.paths(4000, client, nil)
	if f, d := share(times, free), share(times, some); d < 0.25 || d > 0.42 || f+d < 0.999 {
		t.Errorf("%.3f of the hops are free, %.3f have some load", f, d)
	}
	if share(times, little)+share(times, much)+share(times, none) > 0 {
		t.Error("slow or loaded ones are chosen")
	}
	// A quarter of an hour later nobody knows whether the load is still there.
	selector, later := s.selector(), now.Add(15*time.Minute)
	found := false
	for range 200 {
		hops, err := selector.Hops(later, client)
		if err != nil {
			t.Fatal(err)
		}
		found = found || slices.ContainsFunc(hops, func(h build.Hop) bool { return slices.Contains(much, h.Hash) })
	}
	if !found {
		t.Error("loaded ones are avoided for ever")
	}
}

// busyNeighbours are sessions some of which are with other places than the
// RouterInfos say.
type busyNeighbours struct {
	at      map[data.Hash]netip.Addr
	distant map[data.Hash]bool // cannot be dialled from here
}

// Dialable implements pool.Neighbours.
func (n busyNeighbours) Dialable(ri *data.RouterInfo) bool { return !n.distant[ri.Hash()] }

// Remote implements pool.Neighbours.
func (n busyNeighbours) Remote(h data.Hash) (netip.Addr, bool) {
	at, ok := n.at[h]
	return at, ok
}

// Heard implements pool.Neighbours.
func (busyNeighbours) Heard() time.Time { return now }

func TestWhereASessionComesFromCounts(t *testing.T) {
	s := newSociety(t, 4)
	peers := s.add(2, "XR")
	at := map[data.Hash]netip.Addr{peers[0]: netip.MustParseAddr("51.7.1.1")}
	w := pool.Wish{Direction: build.Outbound, Least: 2, Length: 2}
	for remote, fits := range map[string]bool{"51.7.1.1": true, "50.1.9.9": false} { // the second is where the other one is
		at[peers[0]] = netip.MustParseAddr(remote)
		selector := newSelector(t, pool.PathConfig{}, self, &s.db, s.profiles, busyNeighbours{at: at})
		if _, err := selector.Hops(now, w); (err == nil) != fits {
			t.Errorf("with a session from %s: %v", remote, err)
		}
	}
}

// Two RouterInfos with one key, or one address and port, are of one router or
// two that pretend to be.
func TestOneKeyIsOneOperator(t *testing.T) {
	for name, hosts := range map[string][2]string{"key": {"51.1.1.1", "51.1.1.1"}, "none": {"51.1.1.1", "52.1.1.1"}} {
		db := &netDb{}
		for _, host := range hosts {
			db.routers = append(db.routers, newPeer(t, host).ri)
		}
		selector := newSelector(t, pool.PathConfig{AnySubnet: true}, self, db, newProfiles(t), everywhere{})
		_, err := selector.Hops(now, pool.Wish{Direction: build.Outbound, Least: 2, Length: 2})
		if (err == nil) != (name == "none") {
			t.Errorf("same %s: %v", name, err)
		}
	}
}

// Next to us stands only who can be dialled from here, and at the far end only
// who can be reached by all.
func TestEndsOfTunnelsSuitTheirPlaces(t *testing.T) {
	db := &netDb{}
	distant, six := make(map[data.Hash]bool), make(map[data.Hash]bool)
	for i := range 30 {
		hosts := []string{fmt.Sprintf("51.%d.1.1", i), fmt.Sprintf("2a01:%x::1", i)}
		if i%3 == 0 {
			hosts = hosts[1:]
		}
		p := newPeer(t, hosts...)
		db.routers = append(db.routers, p.ri)
		distant[p.hash] = i%5 == 1
		six[p.hash] = i%3 == 0
	}
	selector := newSelector(t, pool.PathConfig{}, self, db, newProfiles(t), busyNeighbours{distant: distant})
	for i := range 400 {
		hops, err := selector.Hops(now, pool.Wish{Direction: build.Direction(i % 2), Least: 3, Length: 3, Key: &[32]byte{}})
		if err != nil {
			t.Fatal(err)
		}
		if build.Direction(i%2) == build.Inbound {
			slices.Reverse(hops)
		}
		if distant[hops[0].Hash] || six[hops[2].Hash] {
			t.Fatal("an end that does not suit its place")
		}
	}
	for h := range distant {
		distant[h] = true
	}
	if _, err := selector.Hops(now.Add(10*time.Minute), client); !errors.Is(err, pool.ErrNoPeers) {
		t.Errorf("nobody can be dialled: %v", err)
	}
}
