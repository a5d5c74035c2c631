package transit_test

import (
	"net/netip"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/sim"
	"allium/internal/tunnel/transit"
)

// sybils are neighbours of hop, all in one subnet.
func sybils(hop *node, count int) []data.Hash {
	all := make([]data.Hash, count)
	for i := range all {
		all[i] = data.Hash{66, byte(i)}
		hop.subnets[all[i]] = netip.MustParsePrefix("45.66.0.0/16")
	}
	return all
}

func TestSubnetHasTheShareOfOneNeighbour(t *testing.T) {
	net := world(t)
	hop := net.node(standard)
	cfg := standard
	cfg.MaxTunnels = 400
	net.swap(hop, cfg)
	for i, from := range sybils(hop, 100) {
		hop.receive(from, net.requests(hop, 3)...)
		if i%10 == 9 {
			net.settle()
		}
	}
	if n := hop.t.Stats().Participants; n != 400/9 {
		t.Errorf("the subnet has %d tunnels", n)
	}
	// Those elsewhere have theirs, also when they are in a subnet.
	hop.subnets[data.Hash{1}] = netip.MustParsePrefix("45.67.0.0/16")
	for i := range 10 {
		hop.receive(data.Hash{1}, net.requests(hop, 1)...)
		hop.receive(data.Hash{2, byte(i)}, net.requests(hop, 1)...)
	}
	net.settle()
	if n := hop.t.Stats().Participants; n != 400/9+20 {
		t.Errorf("others have %d of 20 tunnels", n-400/9)
	}
}

// A hundred routers of one subnet flood, and twenty elsewhere ask for what is
// theirs.
func TestFloodFromOneSubnetLeavesOthersTheirTurns(t *testing.T) {
	net := world(t)
	hop := net.node(standard)
	net.swap(hop, standard)
	const seconds, neighbours, each = 5, 20, 5
	flood, many := net.requests(hop, 500), sybils(hop, 100)
	quiet := net.requests(hop, seconds*neighbours*each)
	sent := 0
	for _, m := range quiet {
		for range 10 {
			hop.receive(many[sent%len(many)], flood[sent%len(flood)])
			sent++
		}
		from := data.Hash{8, byte(sent / 10 % neighbours)}
		hop.subnets[from] = netip.PrefixFrom(netip.AddrFrom4([4]byte{45, from[1], 0, 0}), 16)
		hop.receive(from, m)
		net.w.Run(time.Second / neighbours / each)
	}
	net.w.Run(3 * time.Second)
	before := hop.t.Stats().Ignored[transit.Duplicate]
	for i, m := range quiet {
		// What was served before is a duplicate now.
		hop.receive(data.Hash{9, byte(i)}, m)
		net.w.Run(10 * time.Millisecond)
	}
	if got := int(hop.t.Stats().Ignored[transit.Duplicate] - before); got != len(quiet) {
		t.Errorf("%d of %d requests from other subnets were served", got, len(quiet))
	}
}

// refusals asks as many neighbours for a tunnel and gives how many refusals
// there were for a reason.
func (net *network) refusals(hop *node, asked int, why transit.Reason) int {
	for i, m := range net.requests(hop, asked) {
		hop.receive(data.Hash{5, byte(i), byte(i >> 8)}, m)
		net.w.Run(10 * time.Millisecond)
	}
	net.settle()
	return int(hop.t.Stats().Refused[why])
}

func TestTunnelsAreRefusedBeforeThereAreAsManyAsMayBe(t *testing.T) {
	net := world(t)
	hop := net.node(standard)
	cfg := standard
	cfg.MaxTunnels = 200
	net.swap(hop, cfg)
	if n := net.refusals(hop, 90, transit.Full); n != 0 {
		t.Errorf("%d refused far from the limit", n)
	}
	refused := net.refusals(hop, 110, transit.Full)
	st := hop.t.Stats()
	if refused < 10 || st.Participants < 120 || st.Participants != 200-refused {
		t.Errorf("%+v", st)
	}
	if p := float64(st.Participants) / 200; st.Pressure != p || st.Pressures.Tunnels != p {
		t.Errorf("the pressure is %+v", st.Pressures)
	}
}

func TestTunnelsAreRefusedWhenWorkersAreLate(t *testing.T) {
	w := sim.New(t, 1, sim.Config{Workers: 1, WorkTime: 100 * time.Millisecond})
	net := newNetwork(t, w)
	hop := net.node(standard)
	net.swap(hop, standard)
	refused := 0
	for range 20 {
		refused = net.refusals(hop, 100, transit.Busy)
	}
	st := hop.t.Stats()
	if refused < 5 || st.Pressures.Workers < 0.5 || st.Accepted == 0 {
		t.Errorf("%d refused, %+v", refused, st)
	}
	w.Run(time.Minute)
	if p := hop.t.Stats().Pressures.Workers; p > 0.01 {
		t.Errorf("a minute later it is %v", p)
	}
}
