// Package pool keeps our own tunnels: enough of them, fresh ones before the
// old end, and none that no longer works.
//
// A [Pool] holds the inbound and outbound tunnels of one [Context]: the
// router's own, or one local Destination's. Its tick compares what is wanted
// with what is good and building, and starts builds. [Builder], one for the
// router, carries a build through: hops from a [Selector], records made on a
// worker, reply keys registered before the request leaves, the answers
// matched by message ID. What succeeds enters the tunnel table and the pool;
// what fails is counted by its cause and makes the next try wait a little
// longer.
//
// A tunnel is replaced well before it ends, and goes on working beside its
// successor until then. In between it is tested: a message goes out through
// one tunnel and comes back through another. Two that fail together cannot
// say which of them is dead, but their next tests, with others, do.
//
// Until a first real tunnel stands, the router's own pool has tunnels without
// hops, by which the first builds are answered. Other pools build through its
// real ones until they have some: a hop of theirs must not learn whose they
// are.
package pool

import (
	"crypto/sha256"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/tunnel/build"
)

// Context is whose tunnels a pool keeps. What comes out of them is for it
// alone.
type Context struct {
	// Name is for logs and status.
	Name string
	// Replies are the one-time keys expected through the inbound tunnels.
	Replies *garlic.Replies
	// Deliver takes each message that comes out of an inbound tunnel. Its
	// body is lent.
	Deliver func(r *host.Round, m i2np.Message)
	// Changed tells that an inbound tunnel came or went: a Destination
	// publishes its leases anew. It may be nil.
	Changed func(r *host.Round)
	// Key orders the hops of each tunnel, so that a router keeps its place in
	// all tunnels of the context, and those next to us are the same as in the
	// last context with the key. Nil for a random order, and the first hops of
	// the router itself.
	Key *[32]byte
}

// tickEvery is how often a pool looks after its tunnels.
const tickEvery = time.Second

// Pool is the tunnels of one context. Safe for concurrent use.
type Pool struct {
	cfg      Config
	b        *Builder
	ctx      Context
	selector *Selector
	first    data.Hash // names the context to the selector
	fallback *Pool     // whose tunnels help to build the first ones; nil for the router's own
	zero     *zeroHop  // nil for a pool that never does without hops

	unwanted, unsent atomic.Uint64

	mu        sync.Mutex
	closed    bool
	announced bool // that there is an inbound tunnel without hops
	timer     host.Timer
	next      time.Time // when timer fires
	in        side[*Inbound]
	out       side[*Outbound]
	tests     tests
}

// Open makes the pool of ctx and begins to fill it. fallback is the router's
// own pool, nil for that pool itself.
func (b *Builder) Open(r *host.Round, cfg Config, ctx Context, selector *Selector, fallback *Pool) *Pool {
	p := &Pool{cfg: cfg, b: b, ctx: ctx, selector: selector, fallback: fallback}
	if ctx.Key != nil {
		// What the store shows must not be the key.
		p.first = sha256.Sum256(append([]byte("first hops"), ctx.Key[:]...))
	}
	p.tests.pending = make(map[uint32]*probe)
	if cfg.Inbound.Length > 0 {
		p.in.want = cfg.Inbound.Quantity
	}
	if cfg.Outbound.Length > 0 {
		p.out.want = cfg.Outbound.Quantity
	}
	if p.zeroAllowed(cfg.Inbound) || p.zeroAllowed(cfg.Outbound) {
		p.zero = newZeroHop(p)
	}
	b.enlist(p)
	p.fill(r)
	p.mu.Lock()
	p.wake(r.Now, r.Now.Add(tickEvery))
	p.mu.Unlock()
	return p
}

// Close gives up all tunnels, those being built too. Their hops forget them in
// time. Nothing is delivered after it.
func (p *Pool) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	in, out := p.in.tunnels, p.out.tunnels
	p.in.tunnels, p.out.tunnels = nil, nil
	clear(p.tests.pending)
	p.mu.Unlock()
	p.b.discharge(p)
	for _, t := range in {
		t.close()
	}
	for _, t := range out {
		t.lifetime.gone.Store(true)
	}
	if p.zero != nil {
		p.zero.close()
	}
}

// wake has the pool look after its tunnels at a point in time, and not at the
// one arranged before. The lock is held.
func (p *Pool) wake(now, at time.Time) {
	if p.closed {
		return
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	p.next = at
	p.timer = p.b.h.AfterFunc(at.Sub(now), p.tick)
}

// tick looks after the pool and arranges for the next look: when a build may
// be tried again, in a second at the latest.
func (p *Pool) tick(r *host.Round) {
	p.judge(r)
	p.expire(r)
	p.fill(r)
	p.test(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	at := r.Now.Add(tickEvery)
	for _, again := range [...]time.Time{p.in.notBefore, p.out.notBefore} {
		if again.After(r.Now) && again.Before(at) {
			at = again
		}
	}
	p.wake(r.Now, at)
}

// expire takes out tunnels that have ended or fail, and of the others the
// fragments that have waited too long.
func (p *Pool) expire(r *host.Round) {
	p.mu.Lock()
	gone := p.in.expired(r.Now)
	for _, t := range p.out.expired(r.Now) {
		t.lifetime.gone.Store(true)
	}
	stay := slices.Clone(p.in.tunnels)
	first := !p.announced && p.cfg.Inbound.Length == 0
	p.announced = true
	p.mu.Unlock()
	for _, t := range gone {
		t.close()
	}
	for _, t := range stay {
		t.end.Expire(r.Now)
	}
	if len(gone) > 0 || first {
		p.changed(r)
	}
}

// fill starts the builds that are missing, as long as there is a way for
// requests and answers.
func (p *Pool) fill(r *host.Round) {
	_, reply := p.replyRoute(r.Now)
	_, request := p.requestRoute(r.Now)
	var in, out int
	p.mu.Lock()
	if reply && !p.closed {
		out = p.out.missing(r.Now)
		p.out.building += out
	}
	if request && !p.closed {
		in = p.in.missing(r.Now)
		p.in.building += in
	}
	p.mu.Unlock()
	for range out {
		p.b.start(r, p, build.Outbound)
	}
	for range in {
		p.b.start(r, p, build.Inbound)
	}
}

// failed takes the end of a build without a tunnel.
func (p *Pool) failed(r *host.Round, d build.Direction, cause Cause) {
	p.mu.Lock()
	defer p.mu.Unlock()
	builds := &p.out.builds
	if d == build.Inbound {
		builds = &p.in.builds
	}
	builds.ended(r.Now, cause)
	if builds.notBefore.Before(p.next) && r.Now.Before(p.next) {
		p.wake(r.Now, builds.notBefore)
	}
}

// addInbound takes a new tunnel. late tells that its build was given up
// before. It reports whether the tunnel is wanted.
func (p *Pool) addInbound(r *host.Round, t *Inbound, late bool) bool {
	p.mu.Lock()
	ok := p.in.stood(r.Now, late) && !p.closed
	if ok {
		p.in.tunnels = append(p.in.tunnels, t)
	}
	p.mu.Unlock()
	if ok {
		p.changed(r)
	}
	return ok
}

// addOutbound is addInbound for the other direction.
func (p *Pool) addOutbound(r *host.Round, t *Outbound, late bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out.stood(r.Now, late) && !p.closed {
		p.out.tunnels = append(p.out.tunnels, t)
	}
}

// firstHopFailed puts outbound tunnels in doubt whose first hop could not be
// reached: they are tested at once, and others are built.
func (p *Pool) firstHopFailed(r *host.Round, peer data.Hash) {
	found := false
	p.mu.Lock()
	for _, t := range p.out.tunnels {
		if t.hops[0] == peer {
			t.lifetime.strike(r.Now, r.Now)
			found = true
		}
	}
	p.mu.Unlock()
	if found {
		p.expire(r)
		p.fill(r)
	}
}

func (p *Pool) changed(r *host.Round) {
	if p.ctx.Changed != nil {
		p.ctx.Changed(r)
	}
}

// zeroAllowed: the router's own pool may do without hops at the start, others
// only where their length is none.
func (p *Pool) zeroAllowed(c Direction) bool { return p.fallback == nil || c.Length == 0 }

// Outbound picks a tunnel to send through, preferring those that stay longer
// and work. Without any it is one without hops where the pool allows that.
func (p *Pool) Outbound(now time.Time) (*Outbound, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t, rank := pick(p.out.tunnels, now); rank >= failing {
		return t, true
	}
	if p.closed || !p.zeroAllowed(p.cfg.Outbound) {
		return nil, false
	}
	return p.zero.out, true
}

// Inbound picks a tunnel for answers to come back through, as Outbound does.
func (p *Pool) Inbound(now time.Time) (*Inbound, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t, rank := pick(p.in.tunnels, now); rank >= failing {
		return t, true
	}
	if p.closed || !p.zeroAllowed(p.cfg.Inbound) {
		return nil, false
	}
	return p.zero.inbound(now), true
}

// Outbounds are all usable outbound tunnels, those that stay longest first.
func (p *Pool) Outbounds(now time.Time) []*Outbound {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cfg.Outbound.Length == 0 && !p.closed {
		return []*Outbound{p.zero.out}
	}
	return longest(p.out.tunnels, now)
}

// Inbounds are all usable inbound tunnels, those that stay longest first: the
// leases of a Destination.
func (p *Pool) Inbounds(now time.Time) []*Inbound {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cfg.Inbound.Length == 0 && !p.closed {
		return []*Inbound{p.zero.inbound(now)}
	}
	return longest(p.in.tunnels, now)
}
