package transit_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/setting"
	"allium/internal/tunnel"
	"allium/internal/tunnel/build"
	"allium/internal/tunnel/transit"
	"allium/internal/x25519"
)

func TestStandardConfigIsTheDefault(t *testing.T) {
	var c transit.Config
	if setting.Defaults(&c); c != standard {
		t.Errorf("%+v", c)
	}
}

// Whoever refuses does so in the records, and the hops behind it are asked all
// the same.
func TestRefusalIsWrittenAndGoesOn(t *testing.T) {
	for name, test := range map[string]struct {
		cfg    transit.Config
		limits bandwidth.Limits
		before func(n *node)
		why    transit.Reason
	}{
		"not accepting": {standard, bandwidth.Limits{}, func(n *node) { n.t.Accept(false) }, transit.Stopped},
		"switched off":  {transit.Config{MaxTunnels: 9, RequestRate: 9}, bandwidth.Limits{}, nil, transit.Stopped},
		"no room":       {transit.Config{Accept: true, RequestRate: 9}, bandwidth.Limits{}, nil, transit.Full},
		"no bandwidth":  {standard, bandwidth.Limits{Out: bandwidth.Line{Transit: -1}}, func(n *node) { n.net.w.Run(2 * time.Minute) }, transit.Limited},
	} {
		t.Run(name, func(t *testing.T) {
			net := world(t)
			creator, hops := net.node(standard), net.chain(standard, 2)
			hops = append(hops, net.limited(test.cfg, test.limits), net.node(standard))
			if test.before != nil {
				test.before(hops[2])
			}
			for _, order := range [][]*node{{hops[0], hops[1], hops[2]}, {hops[0], hops[2], hops[3]}, {hops[2], hops[3]}} {
				for _, direction := range []build.Direction{build.Outbound, build.Inbound} {
					var codes []build.Code
					if direction == build.Outbound {
						_, codes = net.outbound(creator, order)
					} else {
						_, codes = net.inbound(creator, order, 5)
					}
					for i, code := range codes {
						if refused := order[i] == hops[2]; refused != (code == build.Refuse) || !refused && code != build.Accept {
							t.Errorf("hop %d of %d said %d", i, len(order), code)
						}
					}
				}
			}
			if st := hops[2].t.Stats(); st.Refused[test.why] != 6 || st.Accepted != 0 || hops[2].table.Len() != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestTakenTunnelIDIsRefused(t *testing.T) {
	net := world(t)
	creator, hop := net.node(standard), net.node(standard)
	b, m := net.create(path(build.Inbound, []*node{hop}, creator.hash, 5))
	if err := hop.table.Add(b.Gateway(), &endpoint{net: net}); err != nil {
		t.Fatal(err)
	}
	hop.receive(data.Hash{}, m)
	net.settle()
	codes := net.codes(b, creator.take(t, i2np.TypeShortTunnelBuild).m.Body)
	if codes[0] != build.Refuse || hop.t.Stats().Refused[transit.Taken] != 1 || len(hop.t.Tunnels()) != 0 {
		t.Errorf("said %v, %+v", codes, hop.t.Stats())
	}
}

func TestBadRequestsAreIgnored(t *testing.T) {
	net := world(t)
	creator, hops := net.node(standard), net.chain(standard, 2)
	hop := hops[0]
	expect := func(what string, from data.Hash, m i2np.Message, why transit.Reason) {
		t.Helper()
		before, sent := hop.t.Stats(), hop.sent
		hop.receive(from, m)
		net.settle()
		after := hop.t.Stats()
		if after.Ignored[why] != before.Ignored[why]+1 || hop.sent != sent || after.Accepted != before.Accepted {
			t.Errorf("%s: %+v", what, after)
		}
	}
	_, m := net.create(path(build.Outbound, hops, creator.hash, 5))
	expect("participant asked out of a tunnel", data.Hash{}, m, transit.Invalid)
	expect("participant asked by ourselves", hop.hash, m, transit.Invalid)
	expect("from the next hop", hops[1].hash, m, transit.Invalid)
	hop.receive(creator.hash, m)
	net.settle()
	if hop.t.Stats().Accepted != 1 {
		t.Fatal("the good request was not accepted")
	}
	creator.inbox = nil
	expect("again", creator.hash, m, transit.Duplicate)
	net.w.Run(7 * time.Minute)
	expect("again after seven minutes", creator.hash, m, transit.Duplicate)
	net.w.Run(3 * time.Minute)
	expect("again after ten minutes", creator.hash, m, transit.Invalid)

	_, m = net.create(path(build.Outbound, hops, creator.hash, 5))
	m.Body = m.Body[:len(m.Body)-1]
	expect("cut", creator.hash, m, transit.Malformed)
	_, m = net.create(path(build.Outbound, hops[1:], creator.hash, 5))
	expect("for another", creator.hash, m, transit.Malformed)
	_, m = net.create(path(build.Outbound, hops, creator.hash, 5))
	for i := range i2np.ShortTunnelBuild(m.Body).Count() {
		i2np.ShortTunnelBuild(m.Body).Record(i)[100] ^= 1
	}
	expect("tampered with", creator.hash, m, transit.Malformed)
	if st := hop.t.Stats(); st.Requests != 10 || st.Waiting != 0 {
		t.Errorf("%+v", st)
	}
}

// A tunnel whose creator will never hear of it is not kept.
func TestUnansweredRequestLeavesNothing(t *testing.T) {
	net := world(t)
	creator, hop := net.node(standard), net.node(standard)
	hop.dead = true
	_, m := net.create(path(build.Inbound, []*node{hop}, creator.hash, 5))
	hop.receive(data.Hash{}, m)
	net.settle()
	if st := hop.t.Stats(); st.Unanswered != 1 || st.InboundGateways != 0 || hop.table.Len() != 0 {
		t.Errorf("%+v", st)
	}
}

// requests makes n requests to be a participant.
func (net *network) requests(hop *node, n int) []i2np.Message {
	next := build.Hop{Hash: data.Hash{1: 1}, Key: x25519.Generate().Public}
	all := make([]i2np.Message, n)
	for i := range all {
		random.Fill(next.Hash[:])
		p := path(build.Outbound, []*node{hop}, data.Hash{2}, 3)
		p.Hops = append(p.Hops, next)
		_, all[i] = net.create(p)
	}
	return all
}

// swap gives hop another Transit, whose messages are taken by nobody.
func (net *network) swap(hop *node, cfg transit.Config) {
	hop.t.Close()
	discard := func(*host.Round, data.Hash, i2np.Message, bandwidth.Class) error { hop.sent++; return nil }
	hop.t = transit.New(cfg, hop.h, hop.hash, &hop.keys, hop.table, tunnel.NewReplays(1000),
		tunnel.NewReassembly(1<<20), discard, hop.limiter, hop.subnet, func(*host.Round, i2np.Message) {})
}

func TestFloodOfRequestsStaysBounded(t *testing.T) {
	net := world(t)
	hop := net.node(standard)
	net.swap(hop, standard)
	flood := net.requests(hop, 3000)
	hop.receive(data.Hash{7}, flood[:2000]...)
	st := hop.t.Stats()
	if st.Waiting > 300 || st.Ignored[transit.Crowded] < 1500 {
		t.Errorf("after 2000 at once %+v", st)
	}
	net.w.Run(time.Second)
	if st := hop.t.Stats(); st.Accepted+st.Refused[transit.Share] > 230 {
		t.Errorf("a second later %+v", st)
	}
	for _, m := range flood[2000:] {
		hop.receive(data.Hash{7}, m)
		net.w.Run(time.Millisecond)
	}
	net.w.Run(5 * time.Second)
	st = hop.t.Stats()
	var ignored, refused uint64
	for _, n := range st.Ignored {
		ignored += n
	}
	for _, n := range st.Refused {
		refused += n
	}
	if st.Waiting != 0 || st.Accepted+refused+ignored != 3000 || st.Accepted+refused > 3*230+300 {
		t.Errorf("in the end %+v", st)
	}
}

func TestFloodFromOneNeighbourLeavesOthersTheirShare(t *testing.T) {
	net := world(t)
	hop := net.node(standard)
	net.swap(hop, standard)
	const seconds, neighbours = 10, 20
	quiet := net.requests(hop, seconds*neighbours)
	flood := net.requests(hop, 1000)
	tunnelled := make([]i2np.Message, seconds)
	for i := range tunnelled {
		_, tunnelled[i] = net.create(path(build.Inbound, []*node{hop}, data.Hash{2}, 3))
	}
	served := 0
	for second := range seconds {
		for i := range neighbours {
			for range 50 {
				hop.receive(data.Hash{7}, flood[0])
				flood = append(flood[1:], flood[0])
			}
			hop.receive(data.Hash{8, byte(i)}, quiet[second*neighbours+i])
			net.w.Run(time.Second / neighbours)
		}
		hop.receive(data.Hash{}, tunnelled[second])
		net.w.Run(50 * time.Millisecond)
		served += neighbours
	}
	net.w.Run(3 * time.Second)
	got := 0
	for _, m := range quiet {
		// What was served before is a duplicate now.
		before := hop.t.Stats().Ignored[transit.Duplicate]
		hop.receive(data.Hash{9}, m)
		net.w.Run(10 * time.Millisecond)
		got += int(hop.t.Stats().Ignored[transit.Duplicate] - before)
	}
	if got != served {
		t.Errorf("%d of %d requests of quiet neighbours were served", got, served)
	}
	if st := hop.t.Stats(); st.InboundGateways != seconds {
		t.Errorf("%d of %d requests out of tunnels were served", st.InboundGateways, seconds)
	}
}

func TestNoNeighbourTakesAllTunnels(t *testing.T) {
	net := world(t)
	hop := net.node(standard)
	cfg := standard
	cfg.MaxTunnels = 400
	net.swap(hop, cfg)
	ask := func(from data.Hash, n int) int {
		before := hop.t.Stats().Accepted
		for _, m := range net.requests(hop, n) {
			hop.receive(from, m)
			net.w.Run(10 * time.Millisecond)
		}
		return int(hop.t.Stats().Accepted - before)
	}
	if n := ask(data.Hash{7}, 200); n != 400/9 {
		t.Errorf("the first neighbour has %d tunnels", n)
	}
	if n := ask(data.Hash{8}, 200); n < 30 || n > 45 {
		t.Errorf("the second neighbour has %d tunnels", n)
	}
	if n := ask(data.Hash{9}, 10); n != 10 {
		t.Errorf("a third neighbour got %d of 10 tunnels", n)
	}
	st := hop.t.Stats()
	if st.Refused[transit.Share] == 0 {
		t.Errorf("%+v", st)
	}
	// A neighbour beyond its share is answered, but one at a time.
	before := hop.sent
	hop.receive(data.Hash{7}, net.requests(hop, 50)...)
	net.settle()
	if n := hop.sent - before; n < 1 || n > 5 {
		t.Errorf("%d of 50 requests beyond the share were answered", n)
	}
	// Nor does one router get all tunnels we send into.
	before = int(hop.t.Stats().Accepted)
	for range 100 {
		_, m := net.create(path(build.Inbound, []*node{hop}, data.Hash{2}, 3))
		hop.receive(data.Hash{}, m)
		net.w.Run(10 * time.Millisecond)
	}
	if n := int(hop.t.Stats().Accepted) - before; n < 16 || n > 45 {
		t.Errorf("%d tunnels lead to one router", n)
	}
	// All that come out of tunnels leave as many to neighbours we know.
	for i := range 300 {
		_, m := net.create(path(build.Inbound, []*node{hop}, data.Hash{3, byte(i), byte(i >> 8)}, 3))
		hop.receive(data.Hash{}, m)
		net.w.Run(10 * time.Millisecond)
	}
	st = hop.t.Stats()
	if known := st.Participants; st.InboundGateways != (400-known+1)/2 {
		t.Errorf("%d gateways beside %d other tunnels", st.InboundGateways, known)
	}
}

func TestTunnelsEndInTheirTime(t *testing.T) {
	net := world(t)
	creator, target, hops := net.node(standard), net.node(standard), net.chain(standard, 3)
	s, codes := net.outbound(creator, hops)
	accepted(t, codes)
	_, codes = net.inbound(creator, hops, 5)
	accepted(t, codes)
	if st := hops[0].t.Stats(); st.Participants != 1 || st.InboundGateways != 1 {
		t.Errorf("%+v", st)
	}
	if st := hops[2].t.Stats(); st.Participants != 1 || st.OutboundEndpoints != 1 {
		t.Errorf("%+v", st)
	}
	for _, n := range hops {
		n.t.Accept(false) // does not touch those that stand
	}
	net.w.Run(tunnel.Lifetime + 50*time.Second)
	small := net.payload(10)
	hops[0].receive(creator.hash, net.pack(s, tunnel.Delivery{Kind: tunnel.ToRouter, Router: target.hash}, small)...)
	net.settle()
	target.take(t, i2np.TypeGarlic)
	net.w.Run(10 * time.Second)
	for i, n := range hops {
		if st := n.t.Stats(); n.table.Len() != 0 || len(n.t.Tunnels()) != 0 || st.Participants+st.InboundGateways+st.OutboundEndpoints != 0 {
			t.Errorf("hop %d: %d tunnels are left, %+v", i, n.table.Len(), st)
		}
	}
}

// Fragments whose rest never comes are given up although nothing else arrives.
func TestIncompleteMessagesAreForgotten(t *testing.T) {
	net := world(t)
	creator, hop := net.node(standard), net.node(standard)
	memory := tunnel.NewReassembly(1 << 20)
	hop.t.Close()
	hop.t = transit.New(standard, hop.h, hop.hash, &hop.keys, hop.table, tunnel.NewReplays(1000), memory, hop.send, hop.limiter, hop.subnet, nil)
	s, codes := net.outbound(creator, []*node{hop})
	accepted(t, codes)
	hop.receive(creator.hash, net.pack(s, tunnel.Delivery{Kind: tunnel.Local}, net.payload(3000))[:2]...)
	if memory.Held() == 0 {
		t.Fatal("no fragment is held")
	}
	net.w.Run(time.Minute)
	if n := memory.Held(); n != 0 {
		t.Errorf("%d bytes of fragments are held", n)
	}
}

func TestCloseForgetsEverything(t *testing.T) {
	net := world(t)
	creator, hops := net.node(standard), net.chain(standard, 3)
	_, codes := net.outbound(creator, hops)
	accepted(t, codes)
	hop := hops[1]
	hop.receive(hops[0].hash, net.requests(hop, 100)...)
	hop.t.Close()
	accepted := hop.t.Stats().Accepted
	hop.receive(hops[0].hash, net.requests(hop, 1)...)
	net.w.Run(time.Minute)
	st := hop.t.Stats()
	if hop.table.Len() != 0 || st.Participants != 0 || st.Waiting != 0 || st.Accepted != accepted || st.Ignored[transit.Stopped] != 1 {
		t.Errorf("%d tunnels are left, %+v", hop.table.Len(), st)
	}
}

// Rounds on many goroutines at once, requests and messages, on the real
// engine.
func TestRoundsRunSideBySide(t *testing.T) {
	engine := host.New(host.Config{})
	defer engine.Close()
	net := world(t)
	hop := net.node(standard)
	hop.t.Close()
	cfg := transit.Config{Accept: true, MaxTunnels: 10000, RequestRate: 10000}
	const neighbours, each = 4, 20
	var answers atomic.Int32
	done := make(chan struct{})
	send := func(_ *host.Round, _ data.Hash, m i2np.Message, _ bandwidth.Class) error {
		if m.Type != i2np.TypeTunnelData && answers.Add(1) == neighbours*each {
			close(done)
		}
		return nil
	}
	tr := transit.New(cfg, engine, hop.hash, &hop.keys, hop.table, tunnel.NewReplays(10000),
		tunnel.NewReassembly(1<<20), send, hop.limiter, hop.subnet, func(*host.Round, i2np.Message) {})
	defer tr.Close()

	var ids [neighbours][each]tunnel.ID
	var asked [neighbours][each]i2np.Message
	for i := range neighbours {
		for j := range each {
			p := path(build.Outbound, []*node{hop}, data.Hash{2}, 3)
			if j%2 == 0 {
				next := build.Hop{Key: x25519.Generate().Public}
				random.Fill(next.Hash[:])
				p.Hops = append(p.Hops, next)
			}
			b, records, err := build.Create(engine.Now(), p)
			if err != nil {
				t.Fatal(err)
			}
			ids[i][j] = b.Gateway()
			asked[i][j] = i2np.Message{Type: i2np.TypeShortTunnelBuild, Body: records}
		}
	}
	var wait sync.WaitGroup
	for i := range neighbours {
		wait.Go(func() {
			from := data.Hash{9, byte(i)}
			for _, m := range asked[i] {
				engine.Do(func(r *host.Round) { tr.Request(r, from, m) })
			}
			for round := range 200 {
				engine.Do(func(r *host.Round) {
					for _, id := range ids[i] {
						if to, ok := hop.table.Lookup(id); ok {
							message := make(i2np.TunnelData, i2np.TunnelDataSize)
							random.Fill(message)
							to.TunnelData(r, from, message)
						}
					}
				})
				if round%50 == 0 {
					tr.Stats()
					tr.Tunnels()
				}
			}
		})
	}
	wait.Wait()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Errorf("%+v", tr.Stats())
	}
}
