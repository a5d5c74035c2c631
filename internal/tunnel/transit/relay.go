package transit

import (
	"encoding/binary"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel"
	"allium/internal/tunnel/build"
)

const (
	// messageLife is how long a tunnel message may take to the next hop and
	// what is wrapped for another tunnel to its gateway.
	messageLife = 60 * time.Second
	// spareGateways is how many gateways a haul keeps for use again.
	spareGateways = 4
)

// haul is what one round has for all hops. At the round's end it is encrypted
// side by side, where it lies, and goes on.
type haul struct {
	t        *Transit
	batch    tunnel.Batch
	passing  []passage
	entering []entrance
	spare    []*tunnel.Gateway
	ids      ids

	// asked tells that fate is known: the chance with which a message of this
	// round is dropped.
	asked bool
	fate  float64

	inner, outer []byte // room for what is wrapped
}

// passage is a tunnel message of a participant or an outbound endpoint. It is
// lent for the round.
type passage struct {
	hop     *hop
	message i2np.TunnelData
}

// entrance is what enters a tunnel at its inbound gateway.
type entrance struct {
	hop     *hop
	gateway *tunnel.Gateway
	packed  []i2np.TunnelData
}

// NewBatch implements host.Gatherer.
func (t *Transit) NewBatch() host.Ender {
	s := &haul{t: t}
	s.ids.used = len(s.ids.drawn)
	return s
}

// tooMuch draws whether a message must go because the limit of what we send is
// near. It is asked once a round: what one round brings is little. What comes
// in is limited by not reading it.
func (s *haul) tooMuch(now time.Time) bool {
	if !s.asked {
		s.asked = true
		s.fate = bandwidth.EarlyDrop(s.t.limiter.Fill(now, bandwidth.Out, bandwidth.Transit))
	}
	return happens(s.fate)
}

// fill is how near transit is to its limits.
func (t *Transit) fill(now time.Time) float64 {
	return max(t.limiter.Fill(now, bandwidth.In, bandwidth.Transit), t.limiter.Fill(now, bandwidth.Out, bandwidth.Transit))
}

// pack copies a message into tunnel messages of h. Those of one round share
// them.
func (s *haul) pack(h *hop, message []byte) error {
	for i := range s.entering {
		if s.entering[i].hop == h {
			return s.entering[i].gateway.AddEncoded(tunnel.Delivery{Kind: tunnel.Local}, message)
		}
	}
	var g *tunnel.Gateway
	if n := len(s.spare); n > 0 {
		g, s.spare = s.spare[n-1], s.spare[:n-1]
	} else {
		g = tunnel.NewGateway()
	}
	s.entering = append(s.entering, entrance{hop: h, gateway: g})
	return g.AddEncoded(tunnel.Delivery{Kind: tunnel.Local}, message)
}

// EndRound implements host.Ender. What endpoints hand out may enter another
// tunnel here: that is gathered anew and has its own EndRound.
func (s *haul) EndRound(r *host.Round) {
	passing, entering := s.passing, s.entering
	s.passing, s.entering = nil, nil
	s.asked = false
	for i := range passing {
		s.batch.Encrypt(passing[i].hop.layer, passing[i].message)
	}
	for i := range entering {
		e := &entering[i]
		e.packed = e.gateway.Flush(e.hop.next)
		for _, message := range e.packed {
			s.batch.Encrypt(e.hop.layer, message)
		}
	}
	s.batch.Run()
	s.pass(r, passing)
	s.enter(r, entering)
	if s.passing == nil {
		clear(passing)
		s.passing = passing[:0]
	}
	if s.entering == nil {
		clear(entering)
		s.entering = entering[:0]
	}
}

// pass sends messages of participants on and hands out those of endpoints.
func (s *haul) pass(r *host.Round, passing []passage) {
	for i := range passing {
		h, message := passing[i].hop, passing[i].message
		if h.role == build.OutboundEndpoint {
			s.leave(r, h, message)
			continue
		}
		message.SetTunnelID(uint32(h.next))
		s.onward(r, h, message)
	}
}

// enter sends what gateways have packed.
func (s *haul) enter(r *host.Round, entering []entrance) {
	for i := range entering {
		e := &entering[i]
		for _, message := range e.packed {
			s.onward(r, e.hop, message)
		}
		e.gateway.Reset()
		if len(s.spare) < spareGateways {
			s.spare = append(s.spare, e.gateway)
		}
	}
}

// onward sends a tunnel message to the next hop.
func (s *haul) onward(r *host.Round, h *hop, message i2np.TunnelData) {
	s.ship(r, h, h.nextRouter, i2np.Message{
		Type:       i2np.TypeTunnelData,
		ID:         s.ids.next(),
		Expiration: r.Now.Add(messageLife),
		Body:       message,
	})
}

// ship sends a message for h and counts it.
func (s *haul) ship(r *host.Round, h *hop, to data.Hash, m i2np.Message) {
	if s.t.send(r, to, m, bandwidth.Transit) != nil {
		s.t.counts.dropped[Unsent].Add(1)
		return
	}
	h.relayed.Add(1)
	s.t.counts.messages.Add(1)
	s.t.counts.bytes.Add(uint64(len(m.Body)))
}

// leave takes a message that is in the clear at an outbound endpoint.
func (s *haul) leave(r *host.Round, h *hop, message i2np.TunnelData) {
	err := h.end.Push(r.Now, message, func(d tunnel.Delivery, m i2np.Message) { s.deliver(r, h, d, m) })
	if err != nil {
		s.t.counts.dropped[Malformed].Add(1)
	}
}

// deliver hands an I2NP message on. Tunnel messages that are to leave a tunnel
// as such would come from us and pass the next hop's look at who sent them:
// nobody honest does that.
func (s *haul) deliver(r *host.Round, h *hop, d tunnel.Delivery, m i2np.Message) {
	switch {
	case m.Expired(r.Now):
		s.t.counts.dropped[Late].Add(1)
	case d.Kind == tunnel.ToTunnel:
		s.wrap(r, h, d, m)
	case m.Type == i2np.TypeTunnelData:
		s.t.counts.dropped[Misdirected].Add(1)
	case d.Kind == tunnel.Local || d.Router == s.t.self:
		h.relayed.Add(1)
		s.t.local(r, m)
	default:
		s.ship(r, h, d.Router, m)
	}
}

// wrap sends m to the gateway of another tunnel.
func (s *haul) wrap(r *host.Round, h *hop, d tunnel.Delivery, m i2np.Message) {
	s.inner = m.AppendStandard(s.inner[:0])
	s.outer = i2np.TunnelGateway{TunnelID: uint32(d.Tunnel), Message: s.inner}.Append(s.outer[:0])
	s.ship(r, h, d.Router, i2np.Message{
		Type:       i2np.TypeTunnelGateway,
		ID:         s.ids.next(),
		Expiration: m.Expiration,
		Body:       s.outer,
	})
}

// ids are random message IDs, drawn many at a time.
type ids struct {
	drawn [64 * 4]byte
	used  int // bytes; all of them at first
}

func (d *ids) next() uint32 {
	for {
		if d.used == len(d.drawn) {
			random.Fill(d.drawn[:])
			d.used = 0
		}
		id := binary.LittleEndian.Uint32(d.drawn[d.used:])
		d.used += 4
		if id != 0 {
			return id
		}
	}
}
