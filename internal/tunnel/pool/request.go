package pool

import (
	"errors"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel"
	"allium/internal/tunnel/build"
)

// buildLife is the life of a build message.
const buildLife = 60 * time.Second

// start begins a build for p, whose count of builds includes it already. It
// chooses hops and makes the records on a worker.
func (b *Builder) start(r *host.Round, p *Pool, d build.Direction) {
	if !b.h.Spawn(func(r *host.Round) { b.request(r, p, d) }) {
		p.failed(r, d, CauseBusy)
	}
}

// request chooses hops and sends them the request.
func (b *Builder) request(r *host.Round, p *Pool, d build.Direction) {
	length := p.cfg.of(d).draw()
	least := length
	if p.fallback == nil {
		least = 1 // a short tunnel of the router's own is better than none
	}
	storm, caution := b.weather.chooses(r.Now)
	hops, newcomer, err := p.selector.hops(r.Now, wish{
		Direction: d, Least: least, Length: length, Key: p.ctx.Key,
		First: p.first, Explore: p.fallback == nil,
		Storm: storm, Caution: caution,
		Load: b.load(r.Now, p, d, p.selector.size()),
	})
	if err != nil {
		p.failed(r, d, CauseNoPeers)
		return
	}
	f := &flight{pool: p, direction: d, hops: hops, newcomer: newcomer, started: r.Now}
	if d == build.Outbound {
		b.requestOutbound(r, f)
	} else {
		b.requestInbound(r, f)
	}
}

// otherGateways is how often another reply tunnel of a pool is drawn when its
// gateway is the last hop of the tunnel to be built.
const otherGateways = 4

// requestOutbound sends the request to the first hop. The answer comes back
// through an inbound tunnel, in garlic under a key that is known beforehand.
func (b *Builder) requestOutbound(r *host.Round, f *flight) {
	back, ok := f.pool.replyRouteFrom(r.Now, f.hops[len(f.hops)-1].Hash)
	if !ok {
		b.fail(r, f, CauseNoRoute)
		return
	}
	gateway, id := back.Gateway()
	made, records, err := build.Create(r.Now, build.Path{
		Direction: build.Outbound, Hops: f.hops, EndRouter: gateway, EndTunnel: id,
	})
	if err != nil {
		b.unaskable(r, f)
		return
	}
	f.build, f.back, f.first = made, back.lifetime.pool, f.hops[0].Hash
	f.legs = len(f.hops) + len(back.hops) + 1
	key, tag := made.ReplyKey()
	f.back.ctx.Replies.Expect(r.Now, key, tag, lateWait)
	if !b.register(f) {
		return
	}
	m := buildMessage(r.Now, records)
	hand := func(r *host.Round) {
		if err := b.send(r, f.first, m, bandwidth.Own); err != nil {
			b.unsent(r, f, err)
		}
	}
	if len(back.hops) > 0 {
		hand(r)
		return
	}
	b.whenMet(r, f.hops[len(f.hops)-1].Hash, hand)
}

// meetTime is how long it takes to connect to most peers.
const meetTime = time.Second

// whenMet does something for which a peer has to know the way to us: it has to
// answer us itself.
func (b *Builder) whenMet(r *host.Round, peer data.Hash, do func(r *host.Round)) {
	if b.meet == nil || b.meet(r, peer) {
		do(r)
		return
	}
	b.h.AfterFunc(meetTime, do)
}

// requestInbound sends the request through an outbound tunnel to the gateway
// of the tunnel to be, in garlic so that the tunnel's endpoint cannot tell
// what it is.
func (b *Builder) requestInbound(r *host.Round, f *flight) {
	out, ok := f.pool.requestRoute(r.Now)
	if !ok {
		b.fail(r, f, CauseNoRoute)
		return
	}
	f.receive = b.table.NewID()
	made, records, err := build.Create(r.Now, build.Path{
		Direction: build.Inbound, Hops: f.hops, EndRouter: b.self, EndTunnel: f.receive,
	})
	if err != nil {
		b.unaskable(r, f)
		return
	}
	f.build, f.legs = made, len(out.hops)+len(f.hops)+1
	m := buildMessage(r.Now, records)
	gateway := &f.hops[0]
	f.first = gateway.Hash
	if len(out.hops) > 0 {
		f.first = out.hops[0]
	}
	if len(out.hops) > 0 && out.Endpoint() != gateway.Hash {
		sealed, err := garlic.SealRouter(r.Now, &gateway.Key, garlic.Clove{Message: m})
		if err != nil {
			b.unaskable(r, f)
			return
		}
		m = i2np.Message{
			Type:       i2np.TypeGarlic,
			ID:         random.Nonzero32(),
			Expiration: m.Expiration,
			Body:       i2np.Garlic{Data: sealed}.Append(nil),
		}
	}
	if !b.register(f) {
		b.release(f)
		return
	}
	b.whenMet(r, f.hops[len(f.hops)-1].Hash, func(r *host.Round) {
		if err := out.Send(r, tunnel.Delivery{Kind: tunnel.ToRouter, Router: gateway.Hash}, m); err != nil {
			b.unsent(r, f, err)
		}
	})
}

// unaskable ends a build one of whose hops has a key that is none. Nobody
// knows which.
func (b *Builder) unaskable(r *host.Round, f *flight) {
	b.profiles.TunnelTimeout(r.Now, f.path()...)
	b.fail(r, f, CauseBadKey)
}

// unsent ends a build whose request could not be handed over. The router it
// was for is to blame unless we had no room for it, or its tunnel has just
// ended.
func (b *Builder) unsent(r *host.Round, f *flight, err error) {
	if !b.take(f) {
		return
	}
	switch {
	case errors.Is(err, host.ErrFull), errors.Is(err, host.ErrClosed):
		b.fail(r, f, CauseBusy)
	case errors.Is(err, ErrEnded):
		b.fail(r, f, CauseNoRoute)
	default:
		b.profiles.TunnelTimeout(r.Now, f.first)
		b.fail(r, f, CauseUnreachable)
	}
}

func buildMessage(now time.Time, records i2np.ShortTunnelBuild) i2np.Message {
	return i2np.Message{
		Type:       i2np.TypeShortTunnelBuild,
		ID:         random.Nonzero32(),
		Expiration: now.Add(buildLife),
		Body:       records,
	}
}

// replyRouteFrom is the reply route whose gateway is not the last hop of the
// tunnel to be built, if there is one, even if it must be one of the router's.
// A last hop that is the gateway too would see both ends of the answer's way,
// and i2pd 2.45 keeps such an answer until the tunnel has something else to
// carry. With the order of hops fixed, that may be so in all tunnels of a pool.
func (p *Pool) replyRouteFrom(now time.Time, last data.Hash) (*Inbound, bool) {
	back, ok := p.replyRoute(now)
	for i := 0; ok && i < 2*otherGateways; i++ {
		if gateway, _ := back.Gateway(); gateway != last {
			break
		}
		if p.fallback == nil || i < otherGateways {
			back, ok = p.replyRoute(now)
		} else if t, rank := p.fallback.bestInbound(now); rank >= working {
			back = t
		}
	}
	return back, ok
}

// replyRoute is the inbound tunnel for the answer to an outbound build: one of
// the pool's own while it works, else one of the router's, but none without
// hops unless it is meant to be so. The endpoint of a Destination's tunnel
// would learn from that whose it is. The router's own pool does without hops
// rather than wait for a tunnel that seems broken.
func (p *Pool) replyRoute(now time.Time) (*Inbound, bool) {
	if t, rank := p.bestInbound(now); rank >= working {
		return t, true
	}
	if p.fallback != nil {
		if t, rank := p.fallback.bestInbound(now); rank >= failing {
			return t, true
		}
		if p.fallback.cfg.Inbound.Length == 0 {
			return p.fallback.Inbound(now)
		}
		return p.Inbound(now)
	}
	return p.zero.inbound(now), true
}

// requestRoute is the outbound tunnel for the request of an inbound build,
// chosen like replyRoute.
func (p *Pool) requestRoute(now time.Time) (*Outbound, bool) {
	if t, rank := p.bestOutbound(now); rank >= working {
		return t, true
	}
	if p.fallback != nil {
		if t, rank := p.fallback.bestOutbound(now); rank >= failing {
			return t, true
		}
		if p.fallback.cfg.Outbound.Length == 0 {
			return p.fallback.Outbound(now)
		}
		return p.Outbound(now)
	}
	return p.zero.out, true
}

// bestInbound picks a tunnel that has hops.
func (p *Pool) bestInbound(now time.Time) (*Inbound, rank) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return pick(p.in.tunnels, now)
}

// bestOutbound picks a tunnel that has hops.
func (p *Pool) bestOutbound(now time.Time) (*Outbound, rank) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return pick(p.out.tunnels, now)
}
