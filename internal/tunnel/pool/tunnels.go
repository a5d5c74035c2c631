package pool

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel"
)

// messageLife is how long a message may take through tunnels.
const messageLife = 60 * time.Second

// Outbound is an outbound tunnel of ours: we are its gateway.
type Outbound struct {
	lifetime life
	hops     []data.Hash
	layers   tunnel.Layers
	next     tunnel.ID // at the first hop
	sent     atomic.Uint64
}

func (o *Outbound) life() *life { return &o.lifetime }

// Usable tells whether messages may still be given to the tunnel.
func (o *Outbound) Usable(now time.Time) bool {
	return len(o.hops) == 0 || o.lifetime.usable(now)
}

// Working tells whether the tunnel's last test, if any, came back.
func (o *Outbound) Working() bool {
	o.lifetime.pool.mu.Lock()
	defer o.lifetime.pool.mu.Unlock()
	return o.lifetime.failures == 0
}

// Hops are the routers of the tunnel, in the order messages travel.
func (o *Outbound) Hops() []data.Hash { return o.hops }

// Endpoint is the last hop, our own hash for a tunnel without hops.
func (o *Outbound) Endpoint() data.Hash {
	if len(o.hops) == 0 {
		return o.lifetime.pool.b.self
	}
	return o.hops[len(o.hops)-1]
}

// Send sends m through the tunnel, to be delivered at its end as d says. The
// message is copied; messages of one round share tunnel messages.
func (o *Outbound) Send(r *host.Round, d tunnel.Delivery, m i2np.Message) error {
	b := o.lifetime.pool.b
	o.sent.Add(1)
	if len(o.hops) == 0 {
		return b.deliver(r, d, m)
	}
	return r.Gather(host.Encrypt, b).(*shipment).add(o, d, m)
}

// deliver does what an endpoint would: for tunnels without hops.
func (b *Builder) deliver(r *host.Round, d tunnel.Delivery, m i2np.Message) error {
	if d.Kind == tunnel.ToTunnel {
		var err error
		m, err = gatewayMessage(d.Tunnel, m)
		if err != nil {
			return err
		}
	}
	return b.send(r, d.Router, m, bandwidth.Own)
}

// gatewayMessage wraps m for the gateway of a tunnel.
func gatewayMessage(id tunnel.ID, m i2np.Message) (i2np.Message, error) {
	if m.StandardLen() > tunnel.MaxI2NPSize {
		return i2np.Message{}, tunnel.ErrSize
	}
	g := i2np.TunnelGateway{TunnelID: uint32(id), Message: m.AppendStandard(nil)}
	return i2np.Message{
		Type:       i2np.TypeTunnelGateway,
		ID:         random.Nonzero32(),
		Expiration: m.Expiration,
		Body:       g.Append(nil),
	}, nil
}

// Inbound is an inbound tunnel of ours: we are its endpoint.
type Inbound struct {
	lifetime life
	hops     []data.Hash
	layers   tunnel.Layers
	gateway  tunnel.ID // at the first hop
	receive  tunnel.ID // here
	end      *tunnel.Endpoint
	received atomic.Uint64
}

func (i *Inbound) life() *life { return &i.lifetime }

// Gateway is where messages enter the tunnel: what a lease names.
func (i *Inbound) Gateway() (data.Hash, tunnel.ID) {
	if len(i.hops) == 0 {
		return i.lifetime.pool.b.self, i.receive
	}
	return i.hops[0], i.gateway
}

// Expires is when the hops forget the tunnel.
func (i *Inbound) Expires() time.Time { return i.lifetime.expires }

// Hops are the routers of the tunnel, in the order messages travel.
func (i *Inbound) Hops() []data.Hash { return i.hops }

// close takes the tunnel out of the table and forgets its fragments.
func (i *Inbound) close() {
	i.lifetime.pool.b.table.Remove(i.receive)
	i.end.Close()
}

// TunnelData implements tunnel.Receiver.
func (i *Inbound) TunnelData(r *host.Round, from data.Hash, message i2np.TunnelData) {
	b := i.lifetime.pool.b
	if len(i.hops) == 0 || from != i.hops[len(i.hops)-1] || b.replays.Seen(r.Now, message) {
		b.dropped.Add(1)
		return
	}
	i.received.Add(1)
	r.Gather(host.Encrypt, b).(*shipment).open(i, message)
}

// TunnelGateway implements tunnel.Receiver: only a tunnel without hops begins
// where it ends.
func (i *Inbound) TunnelGateway(r *host.Round, _ data.Hash, message []byte) {
	b := i.lifetime.pool.b
	m, _, err := i2np.ParseStandard(message)
	if len(i.hops) != 0 || err != nil {
		b.dropped.Add(1)
		return
	}
	i.received.Add(1)
	i.lifetime.pool.ctx.Deliver(r, m)
}

// longest lists the usable tunnels, those that end last first.
func longest[T tunnelOf](all []T, now time.Time) []T {
	var usable []T
	for _, t := range all {
		if t.life().usable(now) {
			usable = append(usable, t)
		}
	}
	slices.SortStableFunc(usable, func(a, b T) int {
		if c := cmp.Compare(min(a.life().failures, 1), min(b.life().failures, 1)); c != 0 {
			return c
		}
		return b.life().expires.Compare(a.life().expires)
	})
	return usable
}

// zeroHop is the pair of tunnels without hops of a pool.
type zeroHop struct {
	out *Outbound
	in  *Inbound
}

func newZeroHop(p *Pool) *zeroHop {
	z := &zeroHop{
		out: &Outbound{lifetime: life{pool: p}},
		in: &Inbound{
			lifetime: life{pool: p},
			receive:  p.b.table.NewID(),
			end:      tunnel.NewEndpoint(p.b.memory),
		},
	}
	p.b.table.Enter(z.in.receive, z.in)
	return z
}

// inbound is the inbound one as a lease that begins now.
func (z *zeroHop) inbound(now time.Time) *Inbound {
	return &Inbound{
		lifetime: life{pool: z.in.lifetime.pool, expires: now.Add(tunnel.Lifetime)},
		receive:  z.in.receive,
		end:      z.in.end,
	}
}

func (z *zeroHop) close() { z.in.close() }
