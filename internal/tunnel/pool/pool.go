// Package pool keeps our own tunnels: enough of them, fresh ones before the
// old end, and none that no longer works.
//
// A [Pool] holds the inbound and outbound tunnels of one [Context]: the
// router's own, or one local Destination's. Its tick compares what is wanted
// with what is good and building, and starts builds. [Builder], one for the
// router, carries a build through: hops from a [Selector], records made on a
// worker, reply keys registered before the request leaves, the answers
// matched by message id. What succeeds enters the tunnel table and the pool;
// what fails is counted by its cause and makes the next try wait a little
// longer.
//
// A tunnel is replaced well before it ends, and goes on working beside its
// successor until then. In between it is tested: a message goes out through
// one tunnel and comes back through another. Two that fail together cannot
// say which of them is dead, but their next tests, with others, do.
//
// Until a first real tunnel stands, the router's own pool has tunnels without
// hops, by which the first builds are answered.
package pool

import (
	"sync"
	"time"

	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel"
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
	// all tunnels of the context. Nil for a random order.
	Key *[32]byte
}

const (
	// tickEvery is how often a pool looks after its tunnels.
	tickEvery = time.Second
	// renewBefore is how long before its end a tunnel is replaced, with up to
	// renewSpread more so that tunnels do not all end together.
	renewBefore = 120 * time.Second
	renewSpread = 60 * time.Second
	// retireBefore is how long before its end a tunnel is used no more: what
	// enters it then might not get out.
	retireBefore = 15 * time.Second
	// maxPause is the longest wait after builds have failed, and minPause the
	// first.
	minPause = 250 * time.Millisecond
	maxPause = 10 * time.Second
	// maxBuilding is how many builds of one direction are under way.
	maxBuilding = 4
)

// Pool is the tunnels of one context.
type Pool struct {
	cfg      Config
	b        *Builder
	ctx      Context
	selector *Selector
	fallback *Pool // whose tunnels help to build the first ones; nil for the router's own
	zero     *zeroHop

	mu     sync.Mutex
	closed bool
	timer  host.Timer
	in     side[*Inbound]
	out    side[*Outbound]
	tests  tests
}

// side is one direction of a pool.
type side[T tunnelOf] struct {
	direction build.Direction
	want      int
	tunnels   []T
	building  int
	pause     time.Duration
	notBefore time.Time
	stats     DirectionStats
}

// tunnelOf is what both directions have in common.
type tunnelOf interface{ life() *life }

// life is the age and health of one tunnel.
type life struct {
	pool     *Pool
	expires  time.Time
	renewAt  time.Time
	testAt   time.Time
	failures int           // tests in a row
	rtt      time.Duration // of the last test, both tunnels together; 0 untested
}

func newLife(p *Pool, built time.Time) life {
	expires := built.Add(tunnel.Lifetime)
	return life{
		pool:    p,
		expires: expires,
		renewAt: expires.Add(-renewBefore - random.Between(0, renewSpread)),
		testAt:  built.Add(random.Between(time.Second, 5*time.Second)),
	}
}

// usable tells a tunnel that messages may be given to.
func (l *life) usable(now time.Time) bool {
	return now.Before(l.expires.Add(-retireBefore))
}

// fresh tells a tunnel that needs no successor yet.
func (l *life) fresh(now time.Time) bool { return now.Before(l.renewAt) }

// Open makes the pool of ctx and begins to fill it. fallback is the router's
// own pool, nil for that pool itself.
func (b *Builder) Open(r *host.Round, cfg Config, ctx Context, selector *Selector, fallback *Pool) *Pool {
	p := &Pool{cfg: cfg, b: b, ctx: ctx, selector: selector, fallback: fallback}
	p.in.direction, p.in.want = build.Inbound, cfg.Inbound.Quantity
	p.out.direction, p.out.want = build.Outbound, cfg.Outbound.Quantity
	if fallback == nil || cfg.Inbound.Length == 0 || cfg.Outbound.Length == 0 {
		p.zero = newZeroHop(p)
	}
	if cfg.Inbound.Length == 0 {
		p.in.want = 0
	}
	if cfg.Outbound.Length == 0 {
		p.out.want = 0
	}
	p.tick(r)
	return p
}

// Close gives up all tunnels. Their hops forget them in time.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	in := p.in.tunnels
	p.in.tunnels, p.out.tunnels = nil, nil
	p.mu.Unlock()
	for _, t := range in {
		t.close()
	}
	if p.zero != nil {
		p.zero.close()
	}
}

// tick looks after the pool and arranges for the next look.
func (p *Pool) tick(r *host.Round) {
	p.expire(r)
	p.fill(r)
	p.test(r)
	p.mu.Lock()
	if !p.closed {
		p.timer = p.b.h.AfterFunc(tickEvery, p.tick)
	}
	p.mu.Unlock()
}

// expire takes out tunnels that have ended or fail.
func (p *Pool) expire(r *host.Round) {
	p.mu.Lock()
	gone := expired(&p.in, r.Now)
	expired(&p.out, r.Now)
	p.mu.Unlock()
	for _, t := range gone {
		t.close()
	}
	if len(gone) > 0 {
		p.changed(r)
	}
}

// expired removes and returns the tunnels of a side that are over.
func expired[T tunnelOf](s *side[T], now time.Time) (gone []T) {
	kept := s.tunnels[:0]
	for _, t := range s.tunnels {
		l := t.life()
		switch {
		case !now.Before(l.expires):
			gone = append(gone, t)
		case l.failures >= maxFailures:
			s.stats.Dropped++
			gone = append(gone, t)
		default:
			kept = append(kept, t)
		}
	}
	clear(s.tunnels[len(kept):])
	s.tunnels = kept
	return gone
}

// fill starts the builds that are missing.
func (p *Pool) fill(r *host.Round) {
	p.mu.Lock()
	in := p.in.missing(r.Now)
	out := p.out.missing(r.Now)
	if p.closed {
		in, out = 0, 0
	}
	p.in.building += in
	p.out.building += out
	p.mu.Unlock()
	for range out {
		p.b.start(r, p, build.Outbound)
	}
	for range in {
		p.b.start(r, p, build.Inbound)
	}
}

// missing is how many builds to start now.
func (s *side[T]) missing(now time.Time) int {
	if now.Before(s.notBefore) {
		return 0
	}
	fresh := 0
	for _, t := range s.tunnels {
		if l := t.life(); l.fresh(now) && l.failures == 0 {
			fresh++
		}
	}
	return max(min(s.want-fresh, maxBuilding)-s.building, 0)
}

// ended notes how a build went: cause is "" for success.
func (s *side[T]) ended(now time.Time, cause Cause) {
	s.building--
	s.stats.count(cause)
	if cause == "" {
		s.pause = 0
		s.notBefore = time.Time{}
		return
	}
	s.pause = min(max(2*s.pause, minPause), maxPause)
	s.notBefore = now.Add(random.Between(s.pause/2, s.pause))
}

// failed takes the end of a build without a tunnel.
func (p *Pool) failed(r *host.Round, d build.Direction, cause Cause) {
	p.mu.Lock()
	if d == build.Inbound {
		p.in.ended(r.Now, cause)
	} else {
		p.out.ended(r.Now, cause)
	}
	p.mu.Unlock()
}

// addInbound takes a new tunnel. late tells that its build was given up
// before. It reports whether the tunnel is wanted.
func (p *Pool) addInbound(r *host.Round, t *Inbound, late bool) bool {
	p.mu.Lock()
	ok := add(p, &p.in, t, r.Now, late)
	p.mu.Unlock()
	if ok {
		p.changed(r)
	}
	return ok
}

// addOutbound is addInbound for the other direction.
func (p *Pool) addOutbound(r *host.Round, t *Outbound, late bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return add(p, &p.out, t, r.Now, late)
}

func add[T tunnelOf](p *Pool, s *side[T], t T, now time.Time, late bool) bool {
	if late {
		s.stats.Late++
	} else {
		s.ended(now, "")
	}
	if p.closed || late && s.missing(now) == 0 && len(s.tunnels) >= s.want {
		return false
	}
	s.tunnels = append(s.tunnels, t)
	return true
}

func (p *Pool) changed(r *host.Round) {
	if p.ctx.Changed != nil {
		p.ctx.Changed(r)
	}
}

// Outbound picks a tunnel to send through, preferring those that stay longer
// and work. Without any it is one without hops where the pool allows that.
func (p *Pool) Outbound(now time.Time) (*Outbound, bool) {
	p.mu.Lock()
	t, ok := pick(p.out.tunnels, now)
	p.mu.Unlock()
	if !ok && p.zero != nil && p.zeroAllowed(p.cfg.Outbound) {
		return p.zero.out, true
	}
	return t, ok
}

// Inbound picks a tunnel for answers to come back through.
func (p *Pool) Inbound(now time.Time) (*Inbound, bool) {
	p.mu.Lock()
	t, ok := pick(p.in.tunnels, now)
	p.mu.Unlock()
	if !ok && p.zero != nil && p.zeroAllowed(p.cfg.Inbound) {
		return p.zero.inbound(now), true
	}
	return t, ok
}

// zeroAllowed: the router's own pool may do without hops at the start, others
// only where their length is none.
func (p *Pool) zeroAllowed(c Direction) bool { return p.fallback == nil || c.Length == 0 }

// pick takes a random one of the best kind there is: fresh and working, else
// working, else any that is usable.
func pick[T tunnelOf](all []T, now time.Time) (best T, ok bool) {
	rank, n := -1, 0
	for _, t := range all {
		l := t.life()
		if !l.usable(now) {
			continue
		}
		k := 0
		if l.failures == 0 {
			k = 1
			if l.fresh(now) {
				k = 2
			}
		}
		if k > rank {
			rank, n = k, 0
		}
		if k == rank {
			n++
			if random.IntN(n) == 0 {
				best, ok = t, true
			}
		}
	}
	return best, ok
}

// Outbounds are all usable outbound tunnels, those that stay longest first.
func (p *Pool) Outbounds(now time.Time) []*Outbound {
	p.mu.Lock()
	defer p.mu.Unlock()
	return longest(p.out.tunnels, now)
}

// Inbounds are all usable inbound tunnels, those that stay longest first: the
// leases of a Destination.
func (p *Pool) Inbounds(now time.Time) []*Inbound {
	if p.cfg.Inbound.Length == 0 && p.zero != nil {
		return []*Inbound{p.zero.inbound(now)}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return longest(p.in.tunnels, now)
}
