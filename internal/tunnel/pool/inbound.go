package pool

import (
	"sync/atomic"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/tunnel"
)

// Inbound is an inbound tunnel of ours: we are its endpoint.
type Inbound struct {
	lifetime life
	hops     []data.Hash
	layers   tunnel.Layers
	gateway  tunnel.ID        // at the first hop
	receive  tunnel.ID        // here
	end      *tunnel.Endpoint // nil for a tunnel without hops
	received atomic.Uint64    // tunnel messages
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

// Hops are the routers of the tunnel, in the order messages travel. They are
// not to be changed.
func (i *Inbound) Hops() []data.Hash { return i.hops }

// close takes the tunnel out of the table and forgets its fragments.
func (i *Inbound) close() {
	i.lifetime.gone.Store(true)
	i.lifetime.pool.b.table.Remove(i.receive)
	if i.end != nil {
		i.end.Close()
	}
}

// Class implements tunnel.Receiver.
func (i *Inbound) Class() bandwidth.Class { return bandwidth.Own }

// TunnelData implements tunnel.Receiver.
func (i *Inbound) TunnelData(r *host.Round, from data.Hash, message i2np.TunnelData) {
	b := i.lifetime.pool.b
	if len(i.hops) == 0 || from != i.hops[len(i.hops)-1] || b.replays.Seen(r.Now, message) {
		i.lifetime.pool.unwanted.Add(1)
		return
	}
	i.received.Add(1)
	r.Gather(host.Encrypt, b).(*shipment).open(i, message)
}

// TunnelGateway implements tunnel.Receiver: only a tunnel without hops begins
// where it ends.
func (i *Inbound) TunnelGateway(r *host.Round, _ data.Hash, message []byte) {
	m, _, err := i2np.ParseStandard(message)
	if len(i.hops) != 0 || err != nil {
		i.lifetime.pool.unwanted.Add(1)
		return
	}
	i.received.Add(1)
	i.deliver(r, tunnel.Delivery{}, m)
}

// deliver hands out what came through the tunnel. Nothing of that goes on to
// others.
func (i *Inbound) deliver(r *host.Round, d tunnel.Delivery, m i2np.Message) {
	p := i.lifetime.pool
	if d.Kind != tunnel.Local || i.lifetime.gone.Load() {
		p.unwanted.Add(1)
		return
	}
	p.ctx.Deliver(r, m)
}

// zeroHop is the pair of tunnels without hops of a pool. They last as long as
// the pool.
type zeroHop struct {
	out *Outbound
	in  *Inbound
}

func newZeroHop(p *Pool) *zeroHop {
	z := &zeroHop{
		out: &Outbound{lifetime: life{pool: p}},
		in:  &Inbound{lifetime: life{pool: p}, receive: p.b.table.NewID()},
	}
	p.b.table.Enter(z.in.receive, z.in)
	return z
}

// inbound is the inbound one as a lease that begins now.
func (z *zeroHop) inbound(now time.Time) *Inbound {
	return &Inbound{
		lifetime: life{pool: z.in.lifetime.pool, expires: now.Add(tunnel.Lifetime)},
		receive:  z.in.receive,
	}
}

func (z *zeroHop) close() {
	z.out.lifetime.gone.Store(true)
	z.in.close()
}
