package pool

import (
	"errors"
	"sync"
	"sync/atomic"
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

const (
	// answerWait is how long a build may take.
	answerWait = 10 * time.Second
	// lateWait is how long an answer to a build that was given up is still
	// understood: the tunnel stands, and often comes in useful.
	lateWait = 60 * time.Second
	// buildLife is the life of a build message.
	buildLife = 60 * time.Second
)

// errNoRoute reports that there is no tunnel for a build to go or come back
// through.
var errNoRoute = errors.New("pool: no tunnel for the build message")

// Builder carries builds through for all pools of a router.
type Builder struct {
	h        host.Host
	self     data.Hash
	table    *tunnel.Table
	replays  *tunnel.Replays
	memory   *tunnel.Reassembly
	send     tunnel.Sender
	profiles Profiles

	dropped, unsent atomic.Uint64

	mu      sync.Mutex
	flights map[uint32]*flight
}

// Profiles remembers how peers have answered.
type Profiles interface {
	// Usable tells whether a peer may be asked now.
	Usable(now time.Time, peer data.Hash) bool
	// Score orders peers: a higher one has accepted more of late.
	Score(now time.Time, peer data.Hash) float64
	TunnelAccepted(now time.Time, peer data.Hash)
	TunnelRefused(now time.Time, peer data.Hash, code uint8)
	TunnelTimeout(now time.Time, peer data.Hash)
	TestPassed(now time.Time, peer data.Hash)
	TestFailed(now time.Time, peer data.Hash)
}

// NewBuilder makes the builder of the router self. Inbound tunnels enter
// table; tunnel messages of all kinds leave through send.
func NewBuilder(h host.Host, self data.Hash, table *tunnel.Table, replays *tunnel.Replays, memory *tunnel.Reassembly, send tunnel.Sender, profiles Profiles) *Builder {
	return &Builder{
		h: h, self: self, table: table, replays: replays, memory: memory, send: send, profiles: profiles,
		flights: make(map[uint32]*flight),
	}
}

// flight is one build under way.
type flight struct {
	pool      *Pool
	direction build.Direction
	hops      []build.Hop
	build     *build.Build
	receive   tunnel.ID // of an inbound tunnel
	started   time.Time
	timer     host.Timer
	late      bool
}

// start begins a build for p, whose count of builds includes it already. It
// chooses hops and makes the records on a worker.
func (b *Builder) start(r *host.Round, p *Pool, d build.Direction) {
	if !b.h.Spawn(func(r *host.Round) { b.launch(r, p, d) }) {
		p.failed(r, d, CauseBusy)
	}
}

// launch makes the request and sends it off.
func (b *Builder) launch(r *host.Round, p *Pool, d build.Direction) {
	f := &flight{pool: p, direction: d, started: r.Now}
	length := p.cfg.Inbound
	if d == build.Outbound {
		length = p.cfg.Outbound
	}
	var err error
	f.hops, err = p.selector.hops(r.Now, d, length.draw(), p.ctx.Key)
	if err != nil {
		p.failed(r, d, CauseNoPeers)
		return
	}
	if d == build.Outbound {
		err = b.launchOutbound(r, f)
	} else {
		err = b.launchInbound(r, f)
	}
	switch {
	case err == nil:
	case errors.Is(err, errNoRoute):
		p.failed(r, d, CauseNoRoute)
	default:
		b.land(r, f, CauseUnreachable)
		b.profiles.TunnelTimeout(r.Now, f.hops[0].Hash)
	}
}

// launchOutbound sends the request to the first hop. The answer comes back
// through an inbound tunnel, in garlic under a key that is known beforehand.
func (b *Builder) launchOutbound(r *host.Round, f *flight) error {
	back, ok := f.pool.route(r.Now).Inbound(r.Now)
	if !ok {
		return errNoRoute
	}
	gateway, id := back.Gateway()
	made, records, err := build.Create(r.Now, build.Path{
		Direction: build.Outbound, Hops: f.hops, EndRouter: gateway, EndTunnel: id,
	})
	if err != nil {
		return err
	}
	f.build = made
	key, tag := made.ReplyKey()
	back.lifetime.pool.ctx.Replies.Expect(r.Now, key, tag, lateWait)
	b.register(r, f)
	return b.send(r, f.hops[0].Hash, buildMessage(r.Now, records), bandwidth.Own)
}

// launchInbound sends the request through an outbound tunnel to the gateway
// of the tunnel to be, in garlic so that the tunnel's endpoint cannot tell
// what it is.
func (b *Builder) launchInbound(r *host.Round, f *flight) error {
	out, ok := f.pool.route(r.Now).Outbound(r.Now)
	if !ok {
		return errNoRoute
	}
	f.receive = b.table.NewID()
	made, records, err := build.Create(r.Now, build.Path{
		Direction: build.Inbound, Hops: f.hops, EndRouter: b.self, EndTunnel: f.receive,
	})
	if err != nil {
		b.table.Remove(f.receive)
		return err
	}
	f.build = made
	b.register(r, f)
	m := buildMessage(r.Now, records)
	gateway := f.hops[0]
	if len(out.hops) > 0 && out.Endpoint() != gateway.Hash {
		sealed, err := garlic.SealRouter(r.Now, &gateway.Key, garlic.Clove{Message: m})
		if err != nil {
			return err
		}
		m = i2np.Message{
			Type:       i2np.TypeGarlic,
			ID:         random.Nonzero32(),
			Expiration: m.Expiration,
			Body:       i2np.Garlic{Data: sealed}.Append(nil),
		}
	}
	return out.Send(r, tunnel.Delivery{Kind: tunnel.ToRouter, Router: gateway.Hash}, m)
}

// route is the pool whose tunnels carry this pool's build messages: its own
// once it has both directions, else the router's.
func (p *Pool) route(now time.Time) *Pool {
	if p.fallback == nil {
		return p
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, in := pick(p.in.tunnels, now)
	_, out := pick(p.out.tunnels, now)
	if in && out {
		return p
	}
	return p.fallback
}

func buildMessage(now time.Time, records i2np.ShortTunnelBuild) i2np.Message {
	return i2np.Message{
		Type:       i2np.TypeShortTunnelBuild,
		ID:         random.Nonzero32(),
		Expiration: now.Add(buildLife),
		Body:       records,
	}
}

// register notes the build before it leaves, and that it may not come back.
func (b *Builder) register(r *host.Round, f *flight) {
	id := f.build.MessageID()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flights[id] = f
	f.timer = b.h.AfterFunc(answerWait, func(r *host.Round) { b.overdue(r, f) })
}

// overdue gives a build up, but keeps what it takes to understand a late
// answer.
func (b *Builder) overdue(r *host.Round, f *flight) {
	b.mu.Lock()
	if b.flights[f.build.MessageID()] != f {
		b.mu.Unlock()
		return
	}
	f.late = true
	f.timer = b.h.AfterFunc(lateWait-answerWait, func(r *host.Round) { b.land(r, f, CauseNoAnswer) })
	b.mu.Unlock()
	for _, hop := range f.hops {
		b.profiles.TunnelTimeout(r.Now, hop.Hash)
	}
	f.pool.failed(r, f.direction, CauseNoAnswer)
}

// land forgets a build that failed, once, and tells its pool the cause unless
// it was given up before.
func (b *Builder) land(r *host.Round, f *flight, cause Cause) {
	if f.build != nil && !b.take(f) {
		return
	}
	if f.receive != 0 {
		b.table.Remove(f.receive)
	}
	if !f.late {
		f.pool.failed(r, f.direction, cause)
	}
}

// take removes a build from those under way. It reports false when it was
// removed already.
func (b *Builder) take(f *flight) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.flights[f.build.MessageID()] != f {
		return false
	}
	delete(b.flights, f.build.MessageID())
	f.timer.Stop()
	return true
}

// Reply takes a ShortTunnelBuild or OutboundTunnelBuildReply message. It
// reports whether it was the answer to a build of ours.
func (b *Builder) Reply(r *host.Round, m i2np.Message) bool {
	b.mu.Lock()
	f := b.flights[m.ID]
	b.mu.Unlock()
	if f == nil || (f.direction == build.Inbound) != (m.Type == i2np.TypeShortTunnelBuild) {
		return false
	}
	records, err := i2np.ParseShortTunnelBuild(m.Body)
	if err != nil {
		b.land(r, f, CauseTampered)
		return true
	}
	replies, err := f.build.Open(records)
	if err != nil {
		b.land(r, f, CauseTampered)
		return true
	}
	if cause := b.credit(r.Now, replies); cause != "" {
		b.land(r, f, cause)
		return true
	}
	if b.take(f) {
		b.stand(r, f)
	}
	return true
}

// credit remembers what each hop has answered. It gives the cause of failure
// if one refused.
func (b *Builder) credit(now time.Time, replies []build.HopReply) (cause Cause) {
	for i, reply := range replies {
		if reply.Code == build.Accept {
			b.profiles.TunnelAccepted(now, reply.Hash)
			continue
		}
		b.profiles.TunnelRefused(now, reply.Hash, uint8(reply.Code))
		if cause == "" {
			cause = refusedBy(i, reply.Code)
		}
	}
	return cause
}

// stand puts a tunnel that all hops have accepted into use.
func (b *Builder) stand(r *host.Round, f *flight) {
	hops := make([]data.Hash, len(f.hops))
	for i := range f.hops {
		hops[i] = f.hops[i].Hash
	}
	lifetime := newLife(f.pool, f.started)
	if f.direction == build.Outbound {
		f.pool.addOutbound(r, &Outbound{
			lifetime: lifetime, hops: hops, layers: f.build.Layers(), next: f.build.Gateway(),
		}, f.late)
		f.pool.fill(r)
		return
	}
	in := &Inbound{
		lifetime: lifetime, hops: hops, layers: f.build.Layers(), gateway: f.build.Gateway(),
		receive: f.receive, end: tunnel.NewEndpoint(b.memory),
	}
	b.table.Enter(f.receive, in)
	if !f.pool.addInbound(r, in, f.late) {
		in.close()
	}
	f.pool.fill(r)
}

// PeerFailed tells that a router cannot be reached: builds that were to go
// through it first have failed.
func (b *Builder) PeerFailed(r *host.Round, peer data.Hash) {
	var lost []*flight
	b.mu.Lock()
	for _, f := range b.flights {
		if !f.late && f.direction == build.Outbound && f.hops[0].Hash == peer {
			lost = append(lost, f)
		}
	}
	b.mu.Unlock()
	sortFlights(lost)
	for _, f := range lost {
		b.land(r, f, CauseUnreachable)
	}
	if len(lost) > 0 {
		b.profiles.TunnelTimeout(r.Now, peer)
	}
}

// Building is how many builds are under way.
func (b *Builder) Building() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, f := range b.flights {
		if !f.late {
			n++
		}
	}
	return n
}
