package pool_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"allium/internal/data"
	"allium/internal/profile"
	"allium/internal/tunnel/build"
	"allium/internal/tunnel/pool"
)

var (
	now  = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	self = data.HashOf([]byte("our router"))
)

// netDb is the routers somebody knows.
type netDb struct {
	routers []*data.RouterInfo
	scans   int
}

// Select implements pool.RouterInfos.
func (n *netDb) Select(keep func(*data.RouterInfo) bool) (kept []*data.RouterInfo) {
	n.scans++
	for _, ri := range n.routers {
		if keep(ri) {
			kept = append(kept, ri)
		}
	}
	return kept
}

// everywhere is sessions with all routers, none of them anywhere else than it
// says.
type everywhere struct{}

// Dialable implements pool.Neighbours.
func (everywhere) Dialable(*data.RouterInfo) bool { return true }

// Remote implements pool.Neighbours.
func (everywhere) Remote(data.Hash) (netip.Addr, bool) { return netip.Addr{}, true }

// Heard implements pool.Neighbours.
func (everywhere) Heard() time.Time { return now }

// kind is what a router of the tests is like.
type kind struct {
	caps, version, family string
	hosts                 []string
}

func newProfiles(t testing.TB) *profile.Profiles {
	t.Helper()
	p, err := profile.New(bucket(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// newSelector makes a Selector that has forgotten all it knew.
func newSelector(t testing.TB, cfg pool.PathConfig, self data.Hash, known pool.RouterInfos, profiles pool.Profiles, neighbours pool.Neighbours) *pool.Selector {
	t.Helper()
	s, err := pool.NewSelector(cfg, self, known, profiles, neighbours, bucket(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// crowd makes routers of all kinds, some good and some that no tunnel may
// have.
func crowd(t testing.TB) (all []peer, kinds map[data.Hash]kind) {
	t.Helper()
	kinds = make(map[data.Hash]kind)
	caps := []string{"XR", "OfR", "PU", "LR", "NRD", "OE", "XRG", "R", "OH", "K"}
	for i := range 60 {
		k := kind{caps: caps[i%len(caps)], version: "0.9.67", hosts: []string{fmt.Sprintf("81.%d.3.%d", i/3, i+1)}}
		switch {
		case i%13 == 5:
			k.version = "0.9.50"
		case i%11 == 3:
			k.hosts = append(k.hosts, fmt.Sprintf("2a01:%x::1", i/9))
		case i%11 == 4:
			k.hosts = []string{fmt.Sprintf("2a01:%x::2", i/9)}
		case i%3 == 0:
			k.family = fmt.Sprintf("family%d", i%2)
		}
		p := makePeer(t, k.caps, k.version, k.family, k.hosts...)
		all, kinds[p.hash] = append(all, p), k
	}
	return all, kinds
}

// admissible is what a router must be to be a hop at all.
func (k kind) admissible() bool {
	return !slices.Contains([]string{"XRG", "R", "OH"}, k.caps) && k.version == "0.9.67"
}

// subnet is the network of an address.
func subnet(t *rapid.T, host string) netip.Prefix {
	a := netip.MustParseAddr(host)
	bits := 16
	if a.Is6() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPathsKeepTheRules(t *testing.T) {
	all, kinds := crowd(t)
	version, _ := data.ParseVersion("0.9.58")
	tb := t
	rapid.Check(t, func(t *rapid.T) {
		known := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, 40, func(p peer) data.Hash { return p.hash }).Draw(t, "known")
		db := &netDb{}
		profiles := newProfiles(tb)
		banned := make(map[data.Hash]bool)
		us := self
		for _, p := range known {
			db.routers = append(db.routers, p.ri)
			switch rapid.IntRange(0, 9).Draw(t, "past") {
			case 0:
				banned[p.hash] = true
				profiles.Ban(p.hash, "test", now.Add(time.Hour))
			case 1:
				for range 9 {
					profiles.TunnelRefused(now, p.hash, 30)
				}
			case 2:
				us = p.hash
			}
		}
		cfg := pool.PathConfig{MinVersion: version, AnySubnet: rapid.Bool().Draw(t, "anySubnet")}
		s := newSelector(tb, cfg, us, db, profiles, everywhere{})
		length := rapid.IntRange(1, 7).Draw(t, "length")
		least := rapid.IntRange(1, length).Draw(t, "least")
		direction := rapid.SampledFrom([]build.Direction{build.Inbound, build.Outbound}).Draw(t, "direction")
		hops, err := s.Hops(now, pool.Wish{Direction: direction, Least: least, Length: length})
		if err != nil {
			if !errors.Is(err, pool.ErrNoPeers) {
				t.Fatal(err)
			}
			requireFew(t, known, kinds, banned, us, least)
			return
		}
		if len(hops) < least || len(hops) > length {
			t.Fatalf("%d hops of %d to %d", len(hops), least, length)
		}
		for i, hop := range hops {
			k := kinds[hop.Hash]
			if !k.admissible() || banned[hop.Hash] || hop.Hash == us {
				t.Errorf("%+v is a hop", k)
			}
			for _, other := range hops[:i] {
				requireApart(t, kinds, hop.Hash, other.Hash, cfg.AnySubnet)
			}
		}
	})
}

// requireApart checks that two routers may be in one tunnel.
func requireApart(t *rapid.T, kinds map[data.Hash]kind, a, b data.Hash, anySubnet bool) {
	x, y := kinds[a], kinds[b]
	if a == b || x.family != "" && x.family == y.family {
		t.Errorf("%+v and %+v in one tunnel", x, y)
	}
	for _, h := range x.hosts {
		for _, g := range y.hosts {
			if !anySubnet && subnet(t, h) == subnet(t, g) {
				t.Errorf("%s and %s in one tunnel", h, g)
			}
		}
	}
}

// requireFew checks that a path could not be found because there are few
// routers: each has one of the subnets that others are in or none.
func requireFew(t *rapid.T, known []peer, kinds map[data.Hash]kind, banned map[data.Hash]bool, us data.Hash, least int) {
	subnets := make(map[netip.Prefix]bool)
	for _, p := range known {
		k := kinds[p.hash]
		// Families and two kinds of addresses forbid more than can be told
		// simply.
		if k.admissible() && !banned[p.hash] && p.hash != us && k.family == "" && len(k.hosts) == 1 && netip.MustParseAddr(k.hosts[0]).Is4() {
			subnets[subnet(t, k.hosts[0])] = true
		}
	}
	// One router that has both, or is of a family, takes the place of two at
	// most; a start with IPv6 alone ends early.
	if len(subnets) >= 2*least+2 {
		t.Errorf("no path of %d hops from %d subnets", least, len(subnets))
	}
}

// A router always stands on the same side of another, and next to us both
// ways, and that is another order for each context.
func TestOrderOfHopsIsTheContexts(t *testing.T) {
	db := &netDb{}
	for i := range 12 {
		db.routers = append(db.routers, newPeer(t, fmt.Sprintf("81.%d.1.1", i)).ri)
	}
	s := newSelector(t, pool.PathConfig{}, self, db, newProfiles(t), everywhere{})
	type pair struct{ a, b data.Hash }
	orders := make(map[byte]map[pair]bool)
	for _, context := range []byte{1, 2} {
		before := make(map[pair]bool)
		for i := range 200 {
			direction := build.Direction(i % 2)
			hops, err := s.Hops(now, pool.Wish{Direction: direction, Least: 3, Length: 3, Key: &[32]byte{context}})
			if err != nil {
				t.Fatal(err)
			}
			if direction == build.Inbound {
				slices.Reverse(hops)
			}
			for j := range hops {
				for _, later := range hops[j+1:] {
					before[pair{hops[j].Hash, later.Hash}] = true
				}
			}
		}
		for p := range before {
			if before[pair{p.b, p.a}] {
				t.Fatal("two routers change places")
			}
		}
		orders[context] = before
	}
	same := 0
	for p := range orders[1] {
		if orders[2][p] {
			same++
		}
	}
	if same == len(orders[1]) {
		t.Error("all contexts have the same order")
	}
}

// Those that are not preferred are chosen when there are no others, the least
// bad first.
func TestReluctanceHasAnOrder(t *testing.T) {
	profiles := newProfiles(t)
	byCaps := make(map[string]data.Hash)
	db := &netDb{}
	for i, caps := range []string{"XR", "LR", "XRE", "XfR"} {
		p := makePeer(t, caps, "0.9.67", "", fmt.Sprintf("81.%d.1.1", i))
		byCaps[caps] = p.hash
		db.routers = append(db.routers, p.ri)
	}
	for range 9 {
		profiles.TunnelRefused(now, byCaps["XfR"], 30)
	}
	if profiles.Usable(now, byCaps["XfR"]) {
		t.Fatal("it does not rest")
	}
	db.routers = append(db.routers, db.routers...) // nobody comes twice
	s := newSelector(t, pool.PathConfig{}, self, db, profiles, everywhere{})
	want := []data.Hash{byCaps["XR"], byCaps["LR"], byCaps["XRE"], byCaps["XfR"]}
	for n := 1; n <= 4; n++ {
		hops, err := s.Hops(now, pool.Wish{Direction: build.Outbound, Least: n, Length: n})
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range want[:n] {
			if !slices.ContainsFunc(hops, func(hop build.Hop) bool { return hop.Hash == h }) {
				t.Errorf("%d hops without one of the %d best", n, n)
			}
		}
	}
	if _, err := s.Hops(now, pool.Wish{Direction: build.Outbound, Least: 5, Length: 5}); !errors.Is(err, pool.ErrNoPeers) {
		t.Errorf("five hops of four routers: %v", err)
	}
}

func TestOnlyChosenPeers(t *testing.T) {
	db := &netDb{}
	for i := range 8 {
		db.routers = append(db.routers, newPeer(t, fmt.Sprintf("81.%d.1.1", i)).ri)
	}
	only := []data.Hash{db.routers[2].Hash(), db.routers[5].Hash()}
	s := newSelector(t, pool.PathConfig{Peers: only}, self, db, newProfiles(t), everywhere{})
	hops, err := s.Hops(now, pool.Wish{Direction: build.Outbound, Least: 1, Length: 3})
	if err != nil || len(hops) != 2 || !slices.Contains(only, hops[0].Hash) || !slices.Contains(only, hops[1].Hash) {
		t.Errorf("%d hops, %v", len(hops), err)
	}
}

// The netDb is gone through now and then, more often while it is small or
// nobody was met.
func TestCandidatesAreKeptForSeconds(t *testing.T) {
	p := newPeer(t, "81.1.1.1")
	for _, c := range []struct {
		routers, scans int
		met            bool
	}{{1, 20, true}, {200, 20, false}, {200, 1, true}} {
		db, profiles := &netDb{}, newProfiles(t)
		if c.met {
			profiles.Connected(now, p.hash)
		}
		for range c.routers {
			db.routers = append(db.routers, p.ri)
		}
		s := newSelector(t, pool.PathConfig{}, self, db, profiles, everywhere{})
		for i := range 200 {
			if _, err := s.Hops(now.Add(time.Duration(i)*100*time.Millisecond), pool.Wish{Direction: build.Outbound, Least: 1, Length: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if db.scans != c.scans {
			t.Errorf("%d routers were gone through %d times in 20 s, not %d", c.routers, db.scans, c.scans)
		}
	}
}

func BenchmarkHopsOf5000(b *testing.B) {
	db := &netDb{}
	for i := range 5000 {
		db.routers = append(db.routers, newPeer(b, fmt.Sprintf("%d.%d.1.1", 50+i/200, i%200)).ri)
	}
	s := newSelector(b, pool.PathConfig{}, self, db, newProfiles(b), everywhere{})
	for name, every := range map[string]time.Duration{"kept": 0, "looked up": time.Minute} {
		b.Run(name, func(b *testing.B) {
			at := now
			for b.Loop() {
				at = at.Add(every)
				if _, err := s.Hops(at, pool.Wish{Direction: build.Outbound, Least: 3, Length: 3}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
