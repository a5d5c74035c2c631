package pool

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/profile"
	"allium/internal/tunnel"
	"allium/internal/tunnel/build"
)

const (
	// answerWait is how long a build may take.
	answerWait = 10 * time.Second
	// lateWait is how long an answer to a build that was given up is still
	// understood: the tunnel stands, and often comes in useful.
	lateWait = 60 * time.Second
)

// Builder carries builds through for all pools of a router. Safe for
// concurrent use.
type Builder struct {
	h        host.Host
	self     data.Hash
	table    *tunnel.Table
	replays  *tunnel.Replays
	memory   *tunnel.Reassembly
	send     tunnel.Sender
	meet     Meet
	profiles Profiles
	weather  weather

	mu      sync.Mutex
	pools   []*Pool
	flights map[uint32]*flight
}

// Profiles remembers how peers have answered.
type Profiles interface {
	// Banned tells whether a peer must not be asked.
	Banned(now time.Time, peer data.Hash) bool
	// Usable tells whether a peer had better be asked now: it is not resting
	// after failures.
	Usable(now time.Time, peer data.Hash) bool
	// Standing is what has become of dealings with a peer.
	Standing(now time.Time, peer data.Hash) profile.Standing
	TunnelAccepted(now time.Time, peer data.Hash, took time.Duration)
	TunnelRefused(now time.Time, peer data.Hash, code uint8)
	TunnelTimeout(now time.Time, hops ...data.Hash)
	TestPassed(now time.Time, peer data.Hash, pace float64)
	TestFailed(now time.Time, hops ...data.Hash)
}

// Meet sees to it that a peer can send to us, even when nobody can connect to
// us. It reports false when that takes a moment.
type Meet func(r *host.Round, peer data.Hash) bool

// NewBuilder makes the builder of the router self. Inbound tunnels enter
// table; tunnel messages of all kinds leave through send. meet is called for
// peers that are to answer us directly; nil where everybody can connect to us.
func NewBuilder(h host.Host, self data.Hash, table *tunnel.Table, replays *tunnel.Replays, memory *tunnel.Reassembly, send tunnel.Sender, meet Meet, profiles Profiles) *Builder {
	return &Builder{
		h: h, self: self, table: table, replays: replays, memory: memory, send: send, meet: meet, profiles: profiles,
		flights: make(map[uint32]*flight),
	}
}

// flight is one build under way. The Builder's lock guards timer and late
// until it is taken from the flights.
type flight struct {
	pool      *Pool
	direction build.Direction
	hops      []build.Hop
	newcomer  bool // one of the hops has never carried a tunnel of ours
	build     *build.Build
	started   time.Time
	receive   tunnel.ID // of an inbound tunnel
	back      *Pool     // whose tunnel the answer to an outbound build takes
	first     data.Hash // the router the request is handed to
	legs      int       // how often request and answer are handed on
	timer     host.Timer
	late      bool
}

// enlist has the builder know a pool.
func (b *Builder) enlist(p *Pool) {
	b.mu.Lock()
	b.pools = append(b.pools, p)
	b.mu.Unlock()
}

// discharge forgets a pool and its builds.
func (b *Builder) discharge(p *Pool) {
	b.mu.Lock()
	b.pools = slices.DeleteFunc(b.pools, func(other *Pool) bool { return other == p })
	gone := b.takeAll(func(f *flight) bool { return f.pool == p })
	b.mu.Unlock()
	for _, f := range gone {
		b.release(f)
	}
}

// takeAll removes the builds that match from those under way. The lock is
// held. The order does not depend on the map's.
func (b *Builder) takeAll(match func(f *flight) bool) (taken []*flight) {
	for id, f := range b.flights {
		if match(f) {
			f.timer.Stop()
			delete(b.flights, id)
			taken = append(taken, f)
		}
	}
	slices.SortFunc(taken, func(x, y *flight) int { return cmp.Compare(x.build.MessageID(), y.build.MessageID()) })
	return taken
}

// register notes the build before it leaves, and that it may not come back. It
// reports false when the pool is closed.
func (b *Builder) register(f *flight) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(b.pools, f.pool) {
		return false
	}
	b.flights[f.build.MessageID()] = f
	f.timer = b.h.AfterFunc(answerWait, func(r *host.Round) { b.overdue(r, f) })
	return true
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

// overdue gives a build up, but keeps what it takes to understand a late
// answer.
func (b *Builder) overdue(r *host.Round, f *flight) {
	b.mu.Lock()
	if b.flights[f.build.MessageID()] != f {
		b.mu.Unlock()
		return
	}
	f.late = true
	f.timer = b.h.AfterFunc(lateWait-answerWait, func(r *host.Round) {
		if b.take(f) {
			b.release(f)
		}
	})
	b.mu.Unlock()
	b.ended(r.Now, f, false)
	if _, connected := f.pool.selector.neighbours.Remote(f.first); !connected {
		// The request has not left. If that is the router's fault, its dial
		// says so in time.
		f.pool.failed(r, f.direction, CauseUnreached)
		return
	}
	b.profiles.TunnelTimeout(r.Now, f.path()...)
	f.pool.failed(r, f.direction, CauseNoAnswer)
}

// path is the hashes of the hops.
func (f *flight) path() []data.Hash {
	hops := make([]data.Hash, len(f.hops))
	for i := range f.hops {
		hops[i] = f.hops[i].Hash
	}
	return hops
}

// fail ends a build that is no longer among those under way, and tells its
// pool the cause unless it was given up before.
func (b *Builder) fail(r *host.Round, f *flight, cause Cause) {
	b.release(f)
	if f.late {
		return
	}
	if !cause.local() {
		b.ended(r.Now, f, false)
	}
	f.pool.failed(r, f.direction, cause)
}

// ended notes for the weather how a build has ended. While nobody at all is
// heard it is our own network that fails.
func (b *Builder) ended(now time.Time, f *flight, ok bool) {
	if ok || !f.pool.selector.neighbours.Heard().Before(now.Add(-answerWait)) {
		b.weather.ended(now, ok, f.newcomer)
	}
}

// release gives back what a build held.
func (b *Builder) release(f *flight) {
	if f.receive != 0 {
		b.table.Remove(f.receive)
	}
}

// Reply takes a ShortTunnelBuild or OutboundTunnelBuildReply message that did
// not come out of a tunnel of ours; see [Pool.Reply] for those that did. It
// reports whether it was the answer to a build of ours.
func (b *Builder) Reply(r *host.Round, m i2np.Message) bool { return b.reply(r, m, nil) }

// Reply is [Builder.Reply] for a message that came out of an inbound tunnel of
// the pool. Answers that were to come through the tunnels of another pool are
// none: whoever sent one would learn that both belong to one router.
func (p *Pool) Reply(r *host.Round, m i2np.Message) bool { return p.b.reply(r, m, p) }

func (b *Builder) reply(r *host.Round, m i2np.Message, through *Pool) bool {
	b.mu.Lock()
	f := b.flights[m.ID]
	if f == nil || m.Type != f.answer() || through != nil && through != f.back {
		b.mu.Unlock()
		return false
	}
	delete(b.flights, m.ID)
	f.timer.Stop()
	b.mu.Unlock()

	records, err := i2np.ParseShortTunnelBuild(m.Body)
	if err != nil {
		b.fail(r, f, CauseTampered)
		return true
	}
	replies, err := f.build.Open(records)
	if err != nil {
		b.fail(r, f, CauseTampered)
		return true
	}
	if cause := b.credit(r.Now, f, replies); cause != "" {
		b.fail(r, f, cause)
		return true
	}
	b.stand(r, f)
	return true
}

// answer is the type of message the answers come in.
func (f *flight) answer() i2np.Type {
	if f.direction == build.Inbound {
		return i2np.TypeShortTunnelBuild
	}
	return i2np.TypeOutboundTunnelBuildReply
}

// credit remembers what each hop has answered, and how soon. It gives the
// cause of failure if one refused.
func (b *Builder) credit(now time.Time, f *flight, replies []build.HopReply) (cause Cause) {
	took := now.Sub(f.started) / time.Duration(f.legs)
	for i, reply := range replies {
		if reply.Code == build.Accept {
			b.profiles.TunnelAccepted(now, reply.Hash, took)
			continue
		}
		b.profiles.TunnelRefused(now, reply.Hash, uint8(reply.Code))
		if cause == "" {
			cause = refusedBy(i, reply.Code)
		}
	}
	return cause
}

// stand puts a tunnel that all hops have accepted into use. Pools that had no
// way to build may have one now.
func (b *Builder) stand(r *host.Round, f *flight) {
	if !f.late {
		b.ended(r.Now, f, true)
	}
	hops := f.path()
	if f.direction == build.Outbound {
		out := &Outbound{hops: hops, layers: f.build.Layers(), next: f.build.Gateway()}
		out.lifetime.begin(f.pool, f.started)
		f.pool.addOutbound(r, out, f.late)
	} else {
		in := &Inbound{
			hops: hops, layers: f.build.Layers(), gateway: f.build.Gateway(),
			receive: f.receive, end: tunnel.NewEndpoint(b.memory),
		}
		in.lifetime.begin(f.pool, f.started)
		b.table.Enter(f.receive, in)
		if !f.pool.addInbound(r, in, f.late) {
			in.close()
		}
	}
	for _, p := range b.open() {
		if p == f.pool || p.fallback == f.pool {
			p.fill(r)
		}
	}
}

// open are the pools there are.
func (b *Builder) open() []*Pool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.pools)
}

// PeerFailed tells that a router cannot be reached: builds that were handed to
// it have failed, and tunnels that begin there are in doubt.
func (b *Builder) PeerFailed(r *host.Round, peer data.Hash) {
	b.mu.Lock()
	lost := b.takeAll(func(f *flight) bool { return f.first == peer && !f.late })
	b.mu.Unlock()
	for _, f := range lost {
		b.fail(r, f, CauseUnreachable)
	}
	for _, p := range b.open() {
		p.firstHopFailed(r, peer)
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
