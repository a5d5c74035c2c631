package transit_test

import (
	"testing"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel"
	"allium/internal/tunnel/build"
	"allium/internal/tunnel/transit"
	"allium/internal/x25519"
)

// steady is one router with a few tunnels of one role, whose messages go
// nowhere.
type steady struct {
	net      *network
	n        *node
	previous data.Hash
	ids      []tunnel.ID
	stands   []stands
	round    host.Round
	messages []i2np.TunnelData
	inner    []byte
	sent     int
}

func newSteady(tb testing.TB, role build.Role) *steady {
	// The world must not seed the random numbers: then they allocate.
	net := world(struct{ testing.TB }{tb})
	s := &steady{net: net, n: net.node(standard)}
	random.Fill(s.previous[:])
	limiter := bandwidth.NewLimiter(net.w.Now(), bandwidth.Limits{Out: bandwidth.Line{Transit: 1 << 40}})
	discard := func(*host.Round, data.Hash, i2np.Message, bandwidth.Class) error { s.sent++; return nil }
	s.n.t = transit.New(standard, s.n.h, s.n.hash, &s.n.keys, s.n.table, tunnel.NewReplays(1<<20),
		tunnel.NewReassembly(1<<20), discard, limiter, s.n.subnet, func(*host.Round, i2np.Message) {})
	for range 4 {
		other := build.Hop{Hash: data.Hash{1}, Key: x25519.Generate().Public}
		p := path(build.Outbound, []*node{s.n}, data.Hash{2}, 3)
		switch role {
		case build.Participant:
			p.Hops = append(p.Hops, other)
		case build.InboundGateway:
			p.Direction = build.Inbound
		}
		b, m := net.create(p)
		s.n.receive(s.previous, m)
		s.ids = append(s.ids, b.Gateway())
		s.stands = append(s.stands, stands{b.Layers(), b.Gateway()})
	}
	net.settle()
	if n := len(s.n.t.Tunnels()); n != 4 {
		tb.Fatalf("%d tunnels", n)
	}
	for range 32 {
		m := make(i2np.TunnelData, i2np.TunnelDataSize)
		random.Fill(m)
		s.messages = append(s.messages, m)
	}
	s.inner = net.payload(600).AppendStandard(nil)
	return s
}

// relay is a round with 32 tunnel messages. What they become is new enough to
// be sent again.
func (s *steady) relay() {
	s.round.Begin(s.net.w.Now())
	for i, m := range s.messages {
		to, _ := s.n.table.Lookup(s.ids[i%len(s.ids)])
		to.TunnelData(&s.round, s.previous, m)
	}
	s.round.End()
}

// enter is a round with 32 messages for gateways.
func (s *steady) enter() {
	s.round.Begin(s.net.w.Now())
	for i := range s.messages {
		to, _ := s.n.table.Lookup(s.ids[i%len(s.ids)])
		to.TunnelGateway(&s.round, s.previous, s.inner)
	}
	s.round.End()
}

func TestRelayAllocatesNothing(t *testing.T) {
	if raced {
		t.Skip("the race detector makes random numbers allocate")
	}
	s := newSteady(t, build.Participant)
	if n := testing.AllocsPerRun(100, s.relay); n > 0 {
		t.Errorf("%v allocations for 32 relayed messages", n)
	}
	if st := s.n.t.Stats(); st.Messages != 101*32 || len(st.Dropped) != 0 {
		t.Errorf("%d messages went on, dropped %v", st.Messages, st.Dropped)
	}
}

func TestGatewayAllocatesNothing(t *testing.T) {
	if raced {
		t.Skip("the race detector makes random numbers allocate")
	}
	s := newSteady(t, build.InboundGateway)
	if n := testing.AllocsPerRun(100, s.enter); n > 0 {
		t.Errorf("%v allocations for 32 messages into tunnels", n)
	}
	if st := s.n.t.Stats(); st.Messages == 0 || len(st.Dropped) != 0 {
		t.Errorf("%d messages went on, dropped %v", st.Messages, st.Dropped)
	}
}

func TestEndpointAllocatesNothing(t *testing.T) {
	if raced {
		t.Skip("the race detector makes random numbers allocate")
	}
	s := newSteady(t, build.OutboundEndpoint)
	const runs = 50
	var rounds [][]i2np.Message
	for range runs + 1 {
		var all []i2np.Message
		for i := range 8 {
			d := tunnel.Delivery{Kind: tunnel.ToTunnel, Router: data.Hash{9}, Tunnel: 9}
			all = append(all, s.net.pack(s.stands[i%4], d, s.net.payload(1500))...)
		}
		rounds = append(rounds, all)
	}
	next := 0
	leave := func() {
		s.round.Begin(s.net.w.Now())
		for _, m := range rounds[next] {
			message := i2np.TunnelData(m.Body)
			to, _ := s.n.table.Lookup(tunnel.ID(message.TunnelID()))
			to.TunnelData(&s.round, s.previous, message)
		}
		next++
		s.round.End()
	}
	if n := testing.AllocsPerRun(runs, leave); n > 0 {
		t.Errorf("%v allocations for 8 messages out of tunnels", n)
	}
	if st := s.n.t.Stats(); st.Messages != (runs+1)*8 || len(st.Dropped) != 0 {
		t.Errorf("%d messages went on, dropped %v", st.Messages, st.Dropped)
	}
}

func BenchmarkRelay(b *testing.B) {
	s := newSteady(b, build.Participant)
	b.ReportAllocs()
	b.SetBytes(32 * i2np.TunnelDataSize)
	for b.Loop() {
		s.relay()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*32), "ns/message")
}

func BenchmarkInboundGateway(b *testing.B) {
	s := newSteady(b, build.InboundGateway)
	b.ReportAllocs()
	b.SetBytes(int64(32 * len(s.inner)))
	for b.Loop() {
		s.enter()
	}
}
