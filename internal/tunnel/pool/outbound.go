package pool

import (
	"errors"
	"sync/atomic"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel"
)

// ErrEnded reports a message for a tunnel that has ended, or that its pool has
// given up.
var ErrEnded = errors.New("pool: tunnel has ended")

// messageLife is how long a message may take to the next hop.
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
func (o *Outbound) Usable(now time.Time) bool { return o.lifetime.usable(now) }

// Working tells that nothing speaks against the tunnel: its last test, if any,
// came back.
func (o *Outbound) Working() bool {
	o.lifetime.pool.mu.Lock()
	defer o.lifetime.pool.mu.Unlock()
	return o.lifetime.strikes == 0
}

// Hops are the routers of the tunnel, in the order messages travel. They are
// not to be changed.
func (o *Outbound) Hops() []data.Hash { return o.hops }

// Endpoint is the last hop, our own hash for a tunnel without hops.
func (o *Outbound) Endpoint() data.Hash {
	if len(o.hops) == 0 {
		return o.lifetime.pool.b.self
	}
	return o.hops[len(o.hops)-1]
}

// Send sends m through the tunnel, to be delivered at its end as d says. The
// message is copied; messages of one round share tunnel messages. It fails
// with ErrEnded, and with tunnel.ErrSize; a tunnel without hops also as its
// Sender does.
func (o *Outbound) Send(r *host.Round, d tunnel.Delivery, m i2np.Message) error {
	if o.lifetime.over(r.Now) {
		return ErrEnded
	}
	b := o.lifetime.pool.b
	o.sent.Add(1)
	if len(o.hops) == 0 {
		return b.deliver(r, d, m)
	}
	return r.Gather(host.Encrypt, b).(*shipment).add(o, d, m)
}

// deliver does what an endpoint would: for tunnels without hops.
func (b *Builder) deliver(r *host.Round, d tunnel.Delivery, m i2np.Message) error {
	switch d.Kind {
	case tunnel.Local:
		d.Router = b.self
	case tunnel.ToTunnel:
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
