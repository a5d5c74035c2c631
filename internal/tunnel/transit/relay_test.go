package transit_test

import (
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/sim"
	"allium/internal/tunnel"
	"allium/internal/tunnel/build"
	"allium/internal/tunnel/transit"
)

// openReply opens the garlic that the answers to an outbound build come in.
func openReply(tb testing.TB, now time.Time, b *build.Build, encoded []byte) i2np.Message {
	tb.Helper()
	m, _, err := i2np.ParseStandard(encoded)
	if err != nil || m.Type != i2np.TypeGarlic {
		tb.Fatalf("the answer is %v: %v", m.Type, err)
	}
	body, err := i2np.ParseGarlic(m.Body)
	if err != nil {
		tb.Fatal(err)
	}
	replies := garlic.NewReplies()
	key, tag := b.ReplyKey()
	replies.Expect(now, key, tag, time.Minute)
	cloves, ok := replies.Open(now, body.Data)
	if !ok || len(cloves) != 1 || cloves[0].Kind != garlic.Local {
		tb.Fatal("the garlic does not open")
	}
	reply := cloves[0].Message
	if reply.Type != i2np.TypeOutboundTunnelBuildReply || reply.ID != b.MessageID() {
		tb.Fatalf("the clove is %v with ID %d, not %d", reply.Type, reply.ID, b.MessageID())
	}
	return reply
}

func TestOutboundTunnelDeliversWhereItIsTold(t *testing.T) {
	for count := 1; count <= 4; count++ {
		net := world(t)
		creator, target, hops := net.node(standard), net.node(standard), net.chain(standard, count)
		s, codes := net.outbound(creator, hops)
		accepted(t, codes)
		end := hops[count-1]

		small, large := net.payload(100), net.payload(30000)
		hops[0].receive(creator.hash, net.pack(s, tunnel.Delivery{Kind: tunnel.ToRouter, Router: target.hash}, small, large)...)
		net.settle()
		if len(target.inbox) != 2 || !same(target.inbox[0].m, small) || !same(target.inbox[1].m, large) || target.inbox[0].from != end.hash {
			t.Fatalf("%d hops: %d messages came to the router", count, len(target.inbox))
		}
		target.inbox = nil

		hops[0].receive(creator.hash, net.pack(s, tunnel.Delivery{Kind: tunnel.ToTunnel, Router: target.hash, Tunnel: 9}, small)...)
		net.settle()
		g, err := i2np.ParseTunnelGateway(target.take(t, i2np.TypeTunnelGateway).m.Body)
		if err != nil || g.TunnelID != 9 {
			t.Fatalf("for tunnel %d: %v", g.TunnelID, err)
		}
		if inner, _, err := i2np.ParseStandard(g.Message); err != nil || !same(inner, small) {
			t.Errorf("another message came to the tunnel: %v", err)
		}

		hops[0].receive(creator.hash, net.pack(s, tunnel.Delivery{Kind: tunnel.Local}, small)...)
		hops[0].receive(creator.hash, net.pack(s, tunnel.Delivery{Kind: tunnel.ToRouter, Router: end.hash}, small)...)
		net.settle()
		if len(end.local) != 2 || !same(end.local[0], small) || !same(end.local[1], small) {
			t.Errorf("%d messages stayed at the endpoint", len(end.local))
		}
	}
}

func TestInboundTunnelBringsMessagesToItsCreator(t *testing.T) {
	for count := 1; count <= 4; count++ {
		net := world(t)
		creator, sender, hops := net.node(standard), net.node(standard), net.chain(standard, count)
		end := &endpoint{net: net, end: tunnel.NewEndpoint(tunnel.NewReassembly(1 << 20))}
		id := creator.table.NewID()
		creator.table.Enter(id, end)
		var codes []build.Code
		end.stands, codes = net.inbound(creator, hops, id)
		accepted(t, codes)

		var sent, wrapped []i2np.Message
		for range 5 {
			m := net.payload(100)
			sent, wrapped = append(sent, m), append(wrapped, net.gatewayMessage(end.gateway, m))
		}
		hops[0].receive(sender.hash, wrapped...)
		net.settle()
		if end.arrived != 1 {
			t.Errorf("%d tunnel messages for five small messages of a round", end.arrived)
		}
		large := net.payload(20000)
		hops[0].receive(sender.hash, net.gatewayMessage(end.gateway, large))
		net.settle()
		sent = append(sent, large)
		if len(end.messages) != len(sent) {
			t.Fatalf("%d hops: %d of %d messages came", count, len(end.messages), len(sent))
		}
		for i := range sent {
			if !same(end.messages[i], sent[i]) {
				t.Errorf("message %d is another", i)
			}
		}
	}
}

// endpoint is the creator's end of an inbound tunnel.
type endpoint struct {
	stands
	net      *network
	end      *tunnel.Endpoint
	arrived  int
	messages []i2np.Message
}

// TunnelData implements tunnel.Receiver.
func (e *endpoint) TunnelData(r *host.Round, _ data.Hash, message i2np.TunnelData) {
	e.arrived++
	var batch tunnel.Batch
	batch.Decrypt(e.layers, message)
	batch.Run()
	err := e.end.Push(r.Now, message, func(_ tunnel.Delivery, m i2np.Message) { e.messages = append(e.messages, clone(m)) })
	if err != nil {
		e.net.tb.Error(err)
	}
}

// TunnelGateway implements tunnel.Receiver.
func (e *endpoint) TunnelGateway(*host.Round, data.Hash, []byte) { e.net.tb.Error("not a gateway") }

func (e *endpoint) Class() bandwidth.Class { return bandwidth.Own }

// An endpoint that is the gateway of the reply tunnel too sends the answers
// straight into it.
func TestEndpointIsReplyGatewayItself(t *testing.T) {
	net := world(t)
	creator, hops := net.node(standard), net.chain(standard, 3)
	last := hops[2]
	end := &endpoint{net: net, end: tunnel.NewEndpoint(tunnel.NewReassembly(1 << 20))}
	id := creator.table.NewID()
	creator.table.Enter(id, end)
	var codes []build.Code
	end.stands, codes = net.inbound(creator, []*node{last}, id)
	accepted(t, codes)

	b, m := net.create(path(build.Outbound, hops, last.hash, end.gateway))
	hops[0].receive(creator.hash, m)
	net.settle()
	if len(end.messages) != 1 || end.messages[0].Type != i2np.TypeOutboundTunnelBuildReply || end.messages[0].ID != b.MessageID() {
		t.Fatalf("the answer is %v", end.messages)
	}
	accepted(t, net.codes(b, end.messages[0].Body))

	// Messages take the same short way, in a round of their own or not.
	small := net.payload(50)
	s := stands{b.Layers(), b.Gateway()}
	hops[0].receive(creator.hash, net.pack(s, tunnel.Delivery{Kind: tunnel.ToTunnel, Router: last.hash, Tunnel: end.gateway}, small, small)...)
	net.settle()
	if len(end.messages) != 3 || !same(end.messages[2], small) || end.arrived != 2 {
		t.Errorf("%d messages in %d tunnel messages", len(end.messages), end.arrived)
	}
}

func TestRelayDropsWhatDoesNotBelong(t *testing.T) {
	net := world(t)
	creator, target, stranger, hops := net.node(standard), net.node(standard), net.node(standard), net.chain(standard, 3)
	s, codes := net.outbound(creator, hops)
	accepted(t, codes)
	send := func(from *node) []i2np.Message {
		return net.pack(s, tunnel.Delivery{Kind: tunnel.ToRouter, Router: target.hash}, net.payload(10))
	}
	expect := func(what string, n *node, why transit.Reason) {
		t.Helper()
		net.settle()
		if len(target.inbox) != 0 || n.t.Stats().Dropped[why] == 0 {
			t.Errorf("%s: %d messages came through, dropped %v", what, len(target.inbox), n.t.Stats().Dropped)
		}
		target.inbox = nil
	}
	hops[0].receive(stranger.hash, send(stranger)...)
	expect("wrong previous hop", hops[0], transit.Misdirected)

	good := send(creator)
	hops[0].receive(creator.hash, good...)
	net.settle()
	target.take(t, i2np.TypeGarlic)
	hops[0].receive(creator.hash, good...)
	expect("replayed", hops[0], transit.Duplicate)

	swapped := clone(send(creator)[0])
	hops[0].receive(creator.hash, swapped)
	net.settle()
	target.take(t, i2np.TypeGarlic)
	iv, first := [16]byte(swapped.Body[4:20]), [16]byte(swapped.Body[20:36])
	copy(swapped.Body[4:20], first[:])
	copy(swapped.Body[20:36], iv[:])
	hops[0].receive(creator.hash, swapped)
	expect("replayed with IV and data swapped", hops[0], transit.Duplicate)

	flipped := send(creator)[0]
	flipped.Body[500] ^= 1
	hops[0].receive(creator.hash, flipped)
	expect("tampered with", hops[2], transit.Malformed)

	hops[0].receive(creator.hash, net.gatewayMessage(s.gateway, net.payload(10)))
	expect("gateway message to a participant", hops[0], transit.Misdirected)

	inner := i2np.Message{Type: i2np.TypeTunnelData, ID: 1, Expiration: net.w.Now().Add(time.Minute), Body: make([]byte, i2np.TunnelDataSize)}
	sent := hops[2].sent
	hops[0].receive(creator.hash, net.pack(s, tunnel.Delivery{Kind: tunnel.ToRouter, Router: target.hash}, inner)...)
	expect("tunnel message out of a tunnel", hops[2], transit.Misdirected)
	old := net.payload(10)
	old.Expiration = net.w.Now().Add(-time.Hour)
	hops[0].receive(creator.hash, net.pack(s, tunnel.Delivery{Kind: tunnel.ToRouter, Router: target.hash}, old)...)
	expect("expired message", hops[2], transit.Late)
	if hops[2].sent != sent {
		t.Error("the endpoint sent something")
	}
}

func TestInboundGatewayTakesNoTunnelMessages(t *testing.T) {
	net := world(t)
	creator, hop := net.node(standard), net.node(standard)
	s, codes := net.inbound(creator, []*node{hop}, 5)
	accepted(t, codes)
	hop.receive(creator.hash, net.pack(s, tunnel.Delivery{}, net.payload(10))...)
	net.settle()
	if st := hop.t.Stats(); st.Dropped[transit.Misdirected] != 1 || st.Messages != 0 {
		t.Errorf("%+v", st)
	}
	huge := i2np.Message{Type: i2np.TypeData, ID: 1, Body: make([]byte, tunnel.MaxI2NPSize)}
	hop.receive(creator.hash, net.gatewayMessage(s.gateway, huge))
	net.settle()
	if st := hop.t.Stats(); st.Dropped[transit.Malformed] != 1 || st.Messages != 0 {
		t.Errorf("%+v", st)
	}
}

// Traffic above the limit is thinned out to it, and each tunnel knows how much
// it has lost.
func TestRelayKeepsTheBandwidthLimit(t *testing.T) {
	const limit = 50_000
	net := world(t)
	creator, target := net.node(standard), net.node(standard)
	hop := net.limited(standard, bandwidth.Limits{Out: bandwidth.Line{Transit: limit}})
	last := net.node(standard)
	s, codes := net.outbound(creator, []*node{hop, last})
	accepted(t, codes)
	before := hop.t.Stats().Bytes
	const seconds, offered = 20, 2 * limit / i2np.TunnelDataSize
	for range seconds * offered {
		hop.receive(creator.hash, net.pack(s, tunnel.Delivery{Kind: tunnel.ToRouter, Router: target.hash}, net.payload(500))...)
		net.w.Run(time.Second / offered)
	}
	net.settle()
	passed := float64(hop.t.Stats().Bytes-before) / seconds
	if passed < 0.8*limit || passed > 1.05*limit {
		t.Errorf("%.0f bytes a second passed a limit of %d", passed, limit)
	}
	tunnels := hop.t.Tunnels()
	if st := hop.t.Stats(); len(tunnels) != 1 || tunnels[0].Limited == 0 || tunnels[0].Limited != st.Dropped[transit.Limited] {
		t.Errorf("%+v, %+v", tunnels, st)
	}
	if len(target.inbox) != int(tunnels[0].Messages) {
		t.Errorf("%d messages arrived, %d were sent on", len(target.inbox), tunnels[0].Messages)
	}
	// So near the limit new tunnels are mostly refused.
	refused := 0
	for range 40 {
		for range offered / 10 {
			hop.receive(creator.hash, net.pack(s, tunnel.Delivery{Kind: tunnel.Local}, net.payload(500))...)
			net.w.Run(time.Second / offered)
		}
		_, m := net.create(path(build.Inbound, []*node{hop}, creator.hash, 5))
		hop.receive(data.Hash{}, m)
	}
	net.settle()
	refused = int(hop.t.Stats().Refused[transit.Limited])
	if refused < 5 || refused == 40 {
		t.Errorf("%d of 40 requests were refused", refused)
	}
}

func TestSameSeedSameRun(t *testing.T) {
	sim.Twice(t, 7, sim.Config{}, func(w *sim.World) {
		net := newNetwork(t, w)
		creator, target, hops := net.node(standard), net.node(standard), net.chain(standard, 3)
		s, codes := net.outbound(creator, hops)
		accepted(t, codes)
		hops[0].receive(creator.hash, net.pack(s, tunnel.Delivery{Kind: tunnel.ToRouter, Router: target.hash}, net.payload(5000))...)
		for i := range 300 {
			_, m := net.create(path(build.Inbound, hops, creator.hash, tunnel.ID(i+1)))
			hops[0].receive(hops[1+i%2].hash, m)
		}
		net.settle()
	})
}
