package pool

import (
	"allium/internal/bandwidth"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel"
)

// spareGateways is how many gateways a shipment keeps for use again, each with
// up to 128 KB.
const spareGateways = 8

// shipment is what one round has for and from our tunnels. At the round's end
// the layers of all of it are undone side by side. Used again it allocates
// nothing.
type shipment struct {
	batch   tunnel.Batch
	arrived []arrival
	leaving []departure
	spare   []*tunnel.Gateway

	// opened takes what comes out of from in the round r.
	opened func(d tunnel.Delivery, m i2np.Message)
	from   *Inbound
	r      *host.Round
}

// arrival is a message that came through an inbound tunnel, lent for the
// round.
type arrival struct {
	in      *Inbound
	message i2np.TunnelData
}

// departure is what leaves through an outbound tunnel.
type departure struct {
	out     *Outbound
	gateway *tunnel.Gateway
	packed  []i2np.TunnelData
}

// NewBatch implements host.Gatherer.
func (b *Builder) NewBatch() host.Ender {
	s := new(shipment)
	s.opened = func(d tunnel.Delivery, m i2np.Message) { s.from.deliver(s.r, d, m) }
	return s
}

// open adds a message that came through an inbound tunnel. It is lent for the
// round.
func (s *shipment) open(in *Inbound, message i2np.TunnelData) {
	s.arrived = append(s.arrived, arrival{in, message})
}

// add packs a message that is to leave through an outbound tunnel.
func (s *shipment) add(out *Outbound, d tunnel.Delivery, m i2np.Message) error {
	for i := range s.leaving {
		if s.leaving[i].out == out {
			return s.leaving[i].gateway.Add(d, m)
		}
	}
	var gateway *tunnel.Gateway
	if n := len(s.spare); n > 0 {
		gateway, s.spare = s.spare[n-1], s.spare[:n-1]
	} else {
		gateway = tunnel.NewGateway()
	}
	s.leaving = append(s.leaving, departure{out: out, gateway: gateway})
	return gateway.Add(d, m)
}

// EndRound implements host.Ender: first what has arrived, as answers to it
// may leave in the same round.
func (s *shipment) EndRound(r *host.Round) {
	s.receive(r)
	s.ship(r)
}

// receive undoes the layers of what has arrived and hands out what was in it.
func (s *shipment) receive(r *host.Round) {
	arrived := s.arrived
	s.arrived = nil // handing out may gather more
	for _, a := range arrived {
		s.batch.Decrypt(a.in.layers, a.message)
	}
	s.batch.Run()
	for _, a := range arrived {
		s.from, s.r = a.in, r
		if a.in.end.Push(r.Now, a.message, s.opened) != nil {
			a.in.lifetime.pool.unwanted.Add(1)
		}
	}
	s.from, s.r = nil, nil
	if s.arrived == nil {
		clear(arrived)
		s.arrived = arrived[:0]
	}
}

// ship undoes the layers of what leaves, so that the hops' encryption brings
// it out in the clear, and sends it.
func (s *shipment) ship(r *host.Round) {
	leaving := s.leaving
	s.leaving = nil // sending may tell somebody who sends
	for i := range leaving {
		l := &leaving[i]
		l.packed = l.gateway.Flush(l.out.next)
		for _, message := range l.packed {
			s.batch.Decrypt(l.out.layers, message)
		}
	}
	s.batch.Run()
	for i := range leaving {
		l := &leaving[i]
		l.send(r)
		l.gateway.Reset()
		if len(s.spare) < spareGateways {
			s.spare = append(s.spare, l.gateway)
		}
	}
	if s.leaving == nil {
		clear(leaving)
		s.leaving = leaving[:0]
	}
}

// send sends what is packed to the first hop.
func (l *departure) send(r *host.Round) {
	p := l.out.lifetime.pool
	for _, message := range l.packed {
		m := i2np.Message{
			Type:       i2np.TypeTunnelData,
			ID:         random.Nonzero32(),
			Expiration: r.Now.Add(messageLife),
			Body:       message,
		}
		if p.b.send(r, l.out.hops[0], m, bandwidth.Own) != nil {
			p.unsent.Add(1)
		}
	}
}
