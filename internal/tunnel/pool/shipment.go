package pool

import (
	"allium/internal/bandwidth"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel"
)

// shipment is what one round has for and from our tunnels. At the round's end
// the layers of all of it are undone side by side.
type shipment struct {
	b       *Builder
	batch   tunnel.Batch
	arrived []arrival
	leaving []departure
	spare   []*tunnel.Gateway
}

type arrival struct {
	in      *Inbound
	message i2np.TunnelData
}

type departure struct {
	out     *Outbound
	gateway *tunnel.Gateway
	packed  []i2np.TunnelData
}

// NewBatch implements host.Gatherer.
func (b *Builder) NewBatch() host.Ender { return &shipment{b: b} }

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
	g := tunnel.NewGateway
	var gateway *tunnel.Gateway
	if n := len(s.spare); n > 0 {
		gateway, s.spare = s.spare[n-1], s.spare[:n-1]
	} else {
		gateway = g()
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
		ctx := &a.in.lifetime.pool.ctx
		err := a.in.end.Push(r.Now, a.message, func(d tunnel.Delivery, m i2np.Message) {
			if d.Kind != tunnel.Local {
				// Nothing that came down a tunnel of ours goes on to others.
				s.b.dropped.Add(1)
				return
			}
			ctx.Deliver(r, m)
		})
		if err != nil {
			s.b.dropped.Add(1)
		}
	}
	if s.arrived == nil {
		clear(arrived)
		s.arrived = arrived[:0]
	}
}

// ship undoes the layers of what leaves, so that the hops' encryption brings
// it out in the clear, and sends it.
func (s *shipment) ship(r *host.Round) {
	leaving := s.leaving
	s.leaving = nil
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
		for _, message := range l.packed {
			m := i2np.Message{
				Type:       i2np.TypeTunnelData,
				ID:         random.Nonzero32(),
				Expiration: r.Now.Add(messageLife),
				Body:       message,
			}
			if s.b.send(r, l.out.hops[0], m, bandwidth.Own) != nil {
				s.b.unsent.Add(1)
			}
		}
		l.gateway.Reset()
		s.spare = append(s.spare, l.gateway)
	}
	if s.leaving == nil {
		clear(leaving)
		s.leaving = leaving[:0]
	}
}
