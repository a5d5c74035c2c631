package transport_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/sim"
	"allium/internal/transport"
)

// public starts a router that listens everywhere, on a machine of its own.
func public(t *testing.T, h *sim.Host, db *known, change func(*transport.Config)) *node {
	t.Helper()
	cfg := config()
	cfg.AllowPrivate = false
	cfg.Listen = []netip.AddrPort{at("0.0.0.0:12345"), at("[::]:12345")}
	if change != nil {
		change(&cfg)
	}
	return newNode(t, h, newKeys(t), db, cfg)
}

// away are routers in so many networks, that say where they are.
func away(t *testing.T, w *sim.World, db *known, count int) []*node {
	t.Helper()
	all := make([]*node, count)
	for i := range all {
		h := w.Host(fmt.Sprintf("45.%d.1.1", i+1), fmt.Sprintf("2a01:%x::1", i+1))
		all[i] = public(t, h, db, func(c *transport.Config) {
			c.Listen = []netip.AddrPort{netip.AddrPortFrom(h.Addr(), 12345), netip.AddrPortFrom(h.Addrs()[1], 12345)}
		})
	}
	return all
}

// says is what a router publishes, in short, and whether others reach it.
func (n *node) says() string {
	var all []string
	for _, a := range n.tr.Addresses() {
		if to, ok := a.AddrPort(); ok {
			all = append(all, to.String())
		} else {
			all = append(all, a.Caps())
		}
	}
	switch yes, no := n.tr.Reached(n.h.Now()); {
	case yes:
		all = append(all, "R")
	case no:
		all = append(all, "U")
	}
	return strings.Join(all, " ")
}

// expect fails when a router says something else.
func (n *node) expect(t *testing.T, step, want string) {
	t.Helper()
	if got := n.says(); got != want {
		t.Fatalf("%s: says %q, not %q", step, got, want)
	}
	n.publish() // what it says is known to others from now on
}

func TestAddressIsPublishedOnceSessionsAgreeAndReachableOncePeersCome(t *testing.T) {
	w := sim.New(t, 71, sim.Config{})
	db := newKnown()
	peers := away(t, w, db, 4)
	a := public(t, w.Host("9.1.1.1"), db, nil)
	a.expect(t, "at the start", "4 U")
	for i, want := range []string{"4 U", "4 U", "9.1.1.1:12345"} {
		join(t, w, a, peers[i])
		a.expect(t, fmt.Sprintf("after %d sessions", i+1), want)
	}
	if a.readdressed != 1 {
		t.Errorf("told %d times", a.readdressed)
	}
	join(t, w, peers[3], a)
	a.expect(t, "after a peer has come", "9.1.1.1:12345 R")
	r := a.tr.Reachability(w.Now())[transport.IPv4]
	if r.State != transport.Reachable || r.Source != transport.SourceSessions || r.Agree != 4 || r.Inbound != 1 {
		t.Errorf("%+v", r)
	}
	if v6 := a.tr.Reachability(w.Now())[transport.IPv6]; v6.State != transport.Unused {
		t.Errorf("%+v", v6)
	}
}

func TestRouterBehindAGatewayPublishesWhatIsMapped(t *testing.T) {
	w := sim.New(t, 72, sim.Config{})
	db := newKnown()
	peers := away(t, w, db, 6)
	nat := w.NAT(sim.PortRestricted, "9.1.1.1")
	h := nat.Host("192.168.1.2")
	a := public(t, h, db, nil)
	for _, p := range peers[:5] {
		join(t, w, a, p)
	}
	a.expect(t, "behind the gateway", "4 U")
	mapped := func(external string) {
		var to netip.AddrPort
		if external != "" {
			to = at(external)
		}
		a.h.Do(func(r *host.Round) { a.tr.Mapped(r, at("192.168.1.2:12345"), to) })
	}
	mapped("10.1.1.1:20000") // another gateway stands before this one
	a.expect(t, "with a private address", "4 U")
	mapped("9.1.1.1:80")
	a.expect(t, "with a port nobody dials", "4 U")
	nat.Forward(20000, at("192.168.1.2:12345"))
	mapped("9.1.1.1:20000")
	a.expect(t, "mapped", "9.1.1.1:20000")
	join(t, w, peers[5], a)
	a.expect(t, "reached", "9.1.1.1:20000 R")
	mapped("")
	a.expect(t, "the mapping is gone", "4 U")
}

func TestAddressNobodyComesToIsGivenUpAndTriedAgain(t *testing.T) {
	w := sim.New(t, 73, sim.Config{})
	db := newKnown()
	peers := away(t, w, db, 12)
	fw := w.NAT(sim.Firewall, "9.1.0.1")
	a := public(t, fw.Host("9.1.1.1"), db, nil)
	busy := func(d time.Duration) {
		for end := w.Now().Add(d); w.Now().Before(end); w.Run(time.Minute) {
			for _, p := range peers {
				_ = a.send(p.hash, 1)
			}
			a.h.Do(a.tr.Review)
		}
	}
	busy(30 * time.Minute)
	a.expect(t, "at first", "9.1.1.1:12345")
	busy(time.Hour)
	a.expect(t, "nobody came", "4 U")
	busy(6 * time.Hour)
	a.expect(t, "tried again", "9.1.1.1:12345")
	busy(3 * time.Hour)
	a.expect(t, "in vain", "4 U")
}

func TestOtherAddressIsPublishedAfterAChange(t *testing.T) {
	w := sim.New(t, 74, sim.Config{})
	db := newKnown()
	peers := away(t, w, db, 4)
	h := w.Host("9.1.1.1")
	a := public(t, h, db, nil)
	for _, p := range peers {
		join(t, w, a, p)
	}
	a.expect(t, "before", "9.1.1.1:12345")
	w.Move(h, "9.2.2.2")
	a.h.Do(a.tr.NetworkChanged)
	a.expect(t, "at once", "4 U")
	w.Run(10 * time.Second)
	for _, p := range peers {
		join(t, w, a, p)
	}
	a.expect(t, "later", "9.2.2.2:12345")
}

func TestFamiliesAreReachedEachForItself(t *testing.T) {
	w := sim.New(t, 75, sim.Config{})
	db := newKnown()
	peers := away(t, w, db, 4)
	h := w.Host("10.0.0.5", "2a02::5")
	a := public(t, h, db, nil)
	a.expect(t, "at the start", "46 U")
	for _, p := range peers {
		p.dialOver(t, "v6")
		join(t, w, a, p)
	}
	a.expect(t, "after sessions over IPv6", "[2a02::5]:12345 4")
}

// dialOver leaves only the addresses of one family in what is known of n.
func (n *node) dialOver(t *testing.T, family string) {
	t.Helper()
	var some []data.RouterAddress
	for _, a := range n.tr.Addresses() {
		if v4, _ := a.Families(); v4 == (family == "v4") {
			some = append(some, a)
		}
	}
	n.known.put(n.keys.info(n.h.Now(), some...))
}

func TestOnlyFamiliesThisMachineHasAreDialled(t *testing.T) {
	w := sim.New(t, 76, sim.Config{})
	db := newKnown()
	p := away(t, w, db, 1)[0]
	p.dialOver(t, "v6")
	for addrs, want := range map[string]error{
		"9.1.1.1":                  transport.ErrNoAddress,
		"9.1.1.2 fd00::1":          transport.ErrNoAddress,
		"9.1.1.3 200:1::1":         transport.ErrNoAddress,
		"9.1.1.4 2a03:1::1":        nil,
		"192.168.1.1 2a03:1::2":    nil,
		"127.0.0.9 2a03:1::3 ::99": nil,
	} {
		a := public(t, w.Host(strings.Fields(addrs)...), db, nil)
		if err := a.connect(p.hash); err != want {
			t.Errorf("%s: %v", addrs, err)
		}
	}
}

func TestFamilyThatLeadsNowhereIsLeftAlone(t *testing.T) {
	w := sim.New(t, 77, sim.Config{})
	db := newKnown()
	peers := away(t, w, db, 12)
	a := public(t, w.Host("9.1.1.1", "2a03::1"), db, nil)
	for _, p := range peers[:3] {
		p.dialOver(t, "v4")
		join(t, w, a, p)
	}
	for _, p := range peers[3:9] {
		gone := p.keys.at(3, netip.AddrPortFrom(netip.MustParseAddr("2a09::99"), 12345))
		db.put(p.keys.info(w.Now().Add(time.Second), gone))
		must(t, a.send(p.hash, 1))
	}
	w.Run(15 * time.Second)
	if v4, v6 := a.tr.Families(w.Now()); !v4 || v6 {
		t.Errorf("after %d failures: IPv4 %v, IPv6 %v", len(a.failures()), v4, v6)
	}
	if s := a.tr.Reachability(w.Now())[transport.IPv6]; s.State != transport.Firewalled {
		t.Errorf("%+v", s)
	}
	w.Run(time.Minute)
	if _, v6 := a.tr.Families(w.Now()); !v6 {
		t.Error("never tried again")
	}
}

func TestFamilyThatWorksIsPreferred(t *testing.T) {
	w := sim.New(t, 78, sim.Config{})
	db := newKnown()
	peers := away(t, w, db, 4)
	a := public(t, w.Host("9.1.1.1", "2a03::1"), db, nil)
	over := func(p *node) string {
		join(t, w, a, p)
		local := p.tr.Reachability(w.Now())
		return fmt.Sprint(local[transport.IPv4].Inbound, local[transport.IPv6].Inbound)
	}
	if got := over(peers[0]); got != "1 0" {
		t.Errorf("at first: %s", got)
	}
	peers[1].dialOver(t, "v6")
	if got := over(peers[1]); got != "0 1" {
		t.Errorf("where there is only IPv6: %s", got)
	}
	if got := over(peers[2]); got != "0 1" {
		t.Errorf("once IPv6 works: %s", got)
	}
}

func TestOverlaysAreNeverDialled(t *testing.T) {
	w := sim.New(t, 79, sim.Config{})
	db := newKnown()
	for _, private := range []bool{false, true} {
		a := public(t, w.Host("9.1.1.1", "201::1", "2a03::1"), db, func(c *transport.Config) { c.AllowPrivate = private })
		mesh := newKeys(t)
		db.put(mesh.info(w.Now(), mesh.at(3, at("[202::5]:12345"))))
		if err := a.connect(mesh.local.Hash); err != transport.ErrNoAddress {
			t.Errorf("private %v: %v", private, err)
		}
		w.Restart(a.h.(*sim.Host))
		w.Move(a.h.(*sim.Host))
	}
}

// Peers refuse whoever comes from elsewhere than he says, and may remember it
// for hours (trap 1).
func TestAddressForWhichPeersSendUsAwayIsGivenUp(t *testing.T) {
	w := sim.New(t, 80, sim.Config{})
	db := newKnown()
	peers := away(t, w, db, 6)
	a := public(t, w.NAT(sim.PortRestricted, "9.1.1.1").Host("192.168.1.2"), db, func(c *transport.Config) {
		c.Hosts = []netip.Addr{netip.MustParseAddr("9.7.7.7")} // of last week
	})
	a.expect(t, "at the start", "9.7.7.7:12345")
	for i, p := range peers[:3] {
		must(t, a.connect(p.hash))
		until(t, w, "a refusal", func() bool { return len(a.failures()) > i })
		if i < 2 {
			a.expect(t, fmt.Sprintf("after %d refusals", i+1), "9.7.7.7:12345")
		}
	}
	a.expect(t, "after three", "4 U")
	join(t, w, a, peers[3])
	w.Run(time.Hour)
	a.h.Do(a.tr.Review)
	a.expect(t, "an hour later", "9.7.7.7:12345")
}

// Who bans us for another reason changes nothing as long as others take us.
func TestAddressStaysWhenOnlySomePeersSendUsAway(t *testing.T) {
	w := sim.New(t, 81, sim.Config{})
	db := newKnown()
	peers := away(t, w, db, 8)
	nat := w.NAT(sim.PortRestricted, "9.1.1.1")
	a := public(t, nat.Host("192.168.1.2"), db, func(c *transport.Config) {
		c.Hosts = []netip.Addr{nat.Addr()}
	})
	a.publish()
	for i, p := range peers {
		if i%2 == 0 {
			p.ban(a.hash)
			must(t, a.connect(p.hash))
			until(t, w, "a refusal", func() bool { return len(a.failures()) > i/2 })
			continue
		}
		join(t, w, a, p)
		w.Run(time.Second)
	}
	a.expect(t, "in the end", "9.1.1.1:12345")
}
