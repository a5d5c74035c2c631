package pool_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/sim"
	"allium/internal/tunnel"
	"allium/internal/tunnel/pool"
)

// standing gives tunnels of a pool that is full. What they send from then on
// goes to sink.
func standing(t testing.TB, sink tunnel.Sender) (net *network, own *member) {
	t.Helper()
	w := sim.New(t, 17, sim.Config{})
	net = newNetwork(t, w.Host("198.51.100.1"), 20)
	built := false
	send := func(r *host.Round, to data.Hash, m i2np.Message, c bandwidth.Class) error {
		if built {
			return sink(r, to, m, c)
		}
		return net.send(r, to, m, c)
	}
	net.builder = pool.NewBuilder(net.h, net.self, net.table, tunnel.NewReplays(1<<16), tunnel.NewReassembly(1<<20), send, nil, net.profiles)
	own = net.open("own", config(3, 2), nil)
	if !w.RunUntil(own.full, time.Minute) {
		t.Fatalf("not full: %+v", own.state())
	}
	built = true
	return net, own
}

// unseeded keeps the world from replacing the system's random numbers, which
// allocates.
type unseeded struct{ testing.TB }

func nowhere(*host.Round, data.Hash, i2np.Message, bandwidth.Class) error { return nil }

// Small messages of one round share tunnel messages, each tunnel its own, and
// all leave at the end of the round for the first hop.
func TestMessagesOfARoundArePackedTogether(t *testing.T) {
	sent := make(map[data.Hash]int)
	net, own := standing(t, func(_ *host.Round, to data.Hash, m i2np.Message, c bandwidth.Class) error {
		if m.Type != i2np.TypeTunnelData || c != bandwidth.Own || len(m.Body) != i2np.TunnelDataSize {
			t.Errorf("type %d, class %d, %d bytes", m.Type, c, len(m.Body))
		}
		sent[to]++
		return nil
	})
	tunnels := own.Outbounds(net.h.Now())
	if len(tunnels) != 2 {
		t.Fatalf("%d tunnels", len(tunnels))
	}
	net.h.Do(func(r *host.Round) {
		for _, out := range tunnels {
			for i := range 3 {
				err := out.Send(r, tunnel.Delivery{Kind: tunnel.ToRouter}, i2np.Message{Type: i2np.TypeData, ID: uint32(i), Body: make([]byte, 150)})
				if err != nil {
					t.Error(err)
				}
			}
		}
		if len(sent) > 0 {
			t.Error("sent before the round's end")
		}
	})
	for _, out := range tunnels {
		if n := sent[out.Hops()[0]]; n == 0 || n > 2 {
			t.Errorf("%d tunnel messages for one first hop", n)
		}
	}
	var err error
	net.h.Do(func(r *host.Round) {
		err = tunnels[0].Send(r, tunnel.Delivery{}, i2np.Message{Body: make([]byte, tunnel.MaxI2NPSize)})
	})
	if err == nil {
		t.Error("a message too large is taken")
	}
}

func TestOnlyTheLastHopMaySendToUsAndOnce(t *testing.T) {
	net, own := standing(t, nowhere)
	in, _ := own.Inbound(net.h.Now())
	message, receive := net.incoming(t, in, tunnel.Delivery{}, 7)
	astray, _ := net.incoming(t, in, tunnel.Delivery{Kind: tunnel.ToRouter, Router: data.Hash{1}}, 8)
	receiver, ok := net.table.Lookup(receive)
	if !ok {
		t.Fatal("no receiver")
	}
	last := in.Hops()[len(in.Hops())-1]
	give := func(from data.Hash, m i2np.TunnelData) {
		net.h.Do(func(r *host.Round) { receiver.TunnelData(r, from, bytes.Clone(m)) })
	}
	give(in.Hops()[0], message)
	if own.has(7) {
		t.Error("taken from another hop")
	}
	give(last, message)
	if !own.has(7) {
		t.Fatal("not taken from the last hop")
	}
	delete(own.got, 7)
	give(last, message)
	if own.has(7) {
		t.Error("taken again")
	}
	give(last, astray)
	if own.has(8) {
		t.Error("a message for somebody else is taken")
	}
	spoilt := bytes.Clone(message)
	random.Fill(spoilt[500:600])
	spoilt[30] ^= 1
	give(last, spoilt)
	net.h.Do(func(r *host.Round) { receiver.TunnelGateway(r, last, []byte("xyz")) })
	if n := own.state().Unwanted; n != 5 {
		t.Errorf("%d unwanted messages were counted, not 5", n)
	}
}

func TestNothingIsDeliveredOnceThePoolIsClosed(t *testing.T) {
	net, own := standing(t, nowhere)
	in, _ := own.Inbound(net.h.Now())
	message, receive := net.incoming(t, in, tunnel.Delivery{}, 7)
	receiver, _ := net.table.Lookup(receive)
	net.h.Do(func(r *host.Round) {
		receiver.TunnelData(r, in.Hops()[len(in.Hops())-1], message)
		own.Close()
	})
	if own.has(7) {
		t.Error("a message was delivered")
	}
}

// incoming is a message as the last hop of an inbound tunnel sends it to us,
// and the ID it comes under.
func (n *network) incoming(t testing.TB, in *pool.Inbound, d tunnel.Delivery, id uint32) (i2np.TunnelData, tunnel.ID) {
	t.Helper()
	_, at := in.Gateway()
	g := tunnel.NewGateway()
	if err := g.Add(d, i2np.Message{Type: i2np.TypeData, ID: id, Body: make([]byte, 700)}); err != nil {
		t.Fatal(err)
	}
	message := g.Flush(at)[0]
	for _, h := range in.Hops() {
		c := n.byHash[h].tunnels[at]
		var b tunnel.Batch
		b.Encrypt(c.layer, message)
		b.Run()
		at = c.request.Next
	}
	message.SetTunnelID(uint32(at))
	return message, at
}

func TestSendAllocatesNothing(t *testing.T) {
	if raced {
		t.Skip("random numbers allocate under the race detector")
	}
	net, own := standing(unseeded{t}, nowhere)
	tunnels := own.Outbounds(net.h.Now())
	d := tunnel.Delivery{Kind: tunnel.ToTunnel, Router: data.Hash{1}, Tunnel: 5}
	m := i2np.Message{Type: i2np.TypeGarlic, ID: 1, Body: make([]byte, 1800)}
	var r host.Round
	r.Begin(net.h.Now())
	allocs := testing.AllocsPerRun(100, func() {
		for i := range 6 {
			_ = tunnels[i%2].Send(&r, d, m)
		}
		r.End()
	})
	if allocs != 0 {
		t.Errorf("%v allocations per round", allocs)
	}
}

func TestReceivingAllocatesNothing(t *testing.T) {
	net, own := standing(t, nowhere)
	in, _ := own.Inbound(net.h.Now())
	// Each message comes once.
	var messages []i2np.TunnelData
	var receive tunnel.ID
	for range 8 * 102 {
		var m i2np.TunnelData
		m, receive = net.incoming(t, in, tunnel.Delivery{}, 7)
		messages = append(messages, slices.Clone(m))
	}
	receiver, _ := net.table.Lookup(receive)
	last := in.Hops()[len(in.Hops())-1]
	var r host.Round
	r.Begin(net.h.Now())
	allocs := testing.AllocsPerRun(100, func() {
		for _, m := range messages[:8] {
			receiver.TunnelData(&r, last, m)
		}
		messages = messages[8:]
		r.End()
	})
	if allocs != 0 {
		t.Errorf("%v allocations per round", allocs)
	}
	if !own.has(7) {
		t.Error("nothing arrived")
	}
}

// BenchmarkSend is eight messages of a round through one tunnel of three hops,
// two tunnel messages each.
func BenchmarkSend(b *testing.B) {
	net, own := standing(b, nowhere)
	out, _ := own.Outbound(net.h.Now())
	d := tunnel.Delivery{Kind: tunnel.ToTunnel, Router: data.Hash{1}, Tunnel: 5}
	m := i2np.Message{Type: i2np.TypeGarlic, ID: 1, Body: make([]byte, 1800)}
	var r host.Round
	r.Begin(net.h.Now())
	b.SetBytes(8 * 1800)
	b.ReportAllocs()
	for b.Loop() {
		for range 8 {
			_ = out.Send(&r, d, m)
		}
		r.End()
	}
}
