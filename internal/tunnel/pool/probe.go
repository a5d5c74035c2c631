package pool

import (
	"cmp"
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel"
)

const (
	// testEvery is how often a tunnel is tested, with up to testSpread more.
	testEvery  = 35 * time.Second
	testSpread = 10 * time.Second
	// retestAfter is how soon a failed tunnel is tested again, with another.
	retestAfter = 3 * time.Second
	// testWait is how long a test message may take.
	testWait = 10 * time.Second
)

// tests are the test messages under way in a pool, by the ID in them.
type tests struct {
	pending        map[uint32]*probe
	passed, failed int
}

// probe is one test: a message on its way out through one tunnel and back
// through another. One of the two may have no hops.
type probe struct {
	id   uint32
	out  *Outbound
	in   *Inbound
	sent time.Time
}

// test begins the tests that are due, each of one tunnel with another.
func (p *Pool) test(r *host.Round) {
	var due []*probe
	p.mu.Lock()
	for _, out := range p.out.tunnels {
		if in := p.testInbound(r.Now, out); in != nil && out.lifetime.testDue(r.Now) {
			due = append(due, p.begin(r.Now, out, in))
		}
	}
	for _, in := range p.in.tunnels {
		if out := p.testOutbound(r.Now, in); out != nil && in.lifetime.testDue(r.Now) {
			due = append(due, p.begin(r.Now, out, in))
		}
	}
	p.mu.Unlock()
	for _, t := range due {
		p.sendTest(r, t)
	}
}

// testInbound is a partner for an outbound tunnel, nil if there is none.
func (p *Pool) testInbound(now time.Time, of *Outbound) *Inbound {
	if t, ok := partner(p.in.tunnels, now, of.lifetime.strikes > 0); ok {
		return t
	}
	if p.zero == nil || !p.zeroAllowed(p.cfg.Inbound) {
		return nil
	}
	return p.zero.in
}

// testOutbound is a partner for an inbound tunnel, nil if there is none.
func (p *Pool) testOutbound(now time.Time, of *Inbound) *Outbound {
	if t, ok := partner(p.out.tunnels, now, of.lifetime.strikes > 0); ok {
		return t
	}
	if p.zero == nil || !p.zeroAllowed(p.cfg.Outbound) {
		return nil
	}
	return p.zero.out
}

// partner picks a tunnel to test another with: any that works, or for one in
// doubt that which was found to work last, lest it fail for its partner again.
func partner[T tunnelOf](all []T, now time.Time, doubt bool) (best T, ok bool) {
	best, of := pick(all, now)
	if !doubt || of < working {
		return best, of > unusable
	}
	for _, t := range all {
		if l := t.life(); l.rank(now) >= working && l.provedAt.After(best.life().provedAt) {
			best = t
		}
	}
	return best, true
}

// testDue tells whether the tunnel is to be tested now.
func (l *life) testDue(now time.Time) bool { return !now.Before(l.testAt) && l.usable(now) }

// begin notes a test of two tunnels and puts their next ones off. The lock is
// held.
func (p *Pool) begin(now time.Time, out *Outbound, in *Inbound) *probe {
	t := &probe{random.Nonzero32(), out, in, now}
	p.tests.pending[t.id] = t
	for _, l := range t.lives() {
		l.testAt = now.Add(testEvery + random.Between(0, testSpread))
	}
	return t
}

// lives are those of both tunnels.
func (t *probe) lives() [2]*life { return [2]*life{&t.out.lifetime, &t.in.lifetime} }

// sendTest sends a message to ourselves: out through one tunnel, back through
// the other, in garlic so that nobody on the way can tell it from others.
func (p *Pool) sendTest(r *host.Round, t *probe) {
	expiration := r.Now.Add(testWait)
	var key [32]byte
	var tag [garlic.TagSize]byte
	random.Fill(key[:])
	random.Fill(tag[:])
	p.ctx.Replies.Expect(r.Now, key, tag, testWait)
	sealed := garlic.SealOnce(&key, tag, garlic.Clove{Message: i2np.Message{
		Type: i2np.TypeDeliveryStatus, ID: t.id, Expiration: expiration,
		Body: i2np.DeliveryStatus{ID: t.id, Time: r.Now}.Append(nil),
	}})
	gateway, receive := t.in.Gateway()
	// A message that cannot leave fails the test when its time is over.
	_ = t.out.Send(r, tunnel.Delivery{Kind: tunnel.ToTunnel, Router: gateway, Tunnel: receive}, i2np.Message{
		Type: i2np.TypeGarlic, ID: random.Nonzero32(), Expiration: expiration,
		Body: i2np.Garlic{Data: sealed}.Append(nil),
	})
}

// Tested takes the ID in a DeliveryStatus that came out of an inbound tunnel of
// the pool. It reports whether that was a test message of the pool's.
func (p *Pool) Tested(r *host.Round, id uint32) bool {
	p.mu.Lock()
	t := p.tests.pending[id]
	if t == nil {
		p.mu.Unlock()
		return false
	}
	delete(p.tests.pending, id)
	p.tests.passed++
	paces := [2]float64{t.out.lifetime.pace(r.Now, t.out.sent.Load()), t.in.lifetime.pace(r.Now, t.in.received.Load())}
	for _, l := range t.lives() {
		l.strikes = 0
		l.rtt = max(r.Now.Sub(t.sent), 1)
		if t.sent.After(l.provedAt) {
			l.provedAt = t.sent
		}
	}
	p.mu.Unlock()
	for _, hop := range t.out.hops {
		p.b.profiles.TestPassed(r.Now, hop, paces[0])
	}
	for _, hop := range t.in.hops {
		p.b.profiles.TestPassed(r.Now, hop, paces[1])
	}
	return true
}

// judge ends the tests whose message did not come back. A tunnel that a later
// message has come through is not to blame, and one that is in doubt since
// then is not blamed again: it may have had two dead partners at a time.
func (p *Pool) judge(r *host.Round) {
	var lost []*probe
	p.mu.Lock()
	for id, t := range p.tests.pending {
		if r.Now.Sub(t.sent) < testWait {
			continue
		}
		delete(p.tests.pending, id)
		lost = append(lost, t)
		p.tests.failed++
		for _, l := range t.lives() {
			if !l.provedAt.After(t.sent) && !l.struckAt.After(t.sent) {
				l.strike(r.Now, r.Now.Add(retestAfter))
			}
		}
	}
	p.mu.Unlock()
	slices.SortFunc(lost, func(a, b *probe) int { return cmp.Compare(a.id, b.id) })
	for _, t := range lost {
		p.lost(r, t)
	}
}

// lost blames the hops of a test that failed, unless it could not leave: then
// the session with the first of them is gone, which speaks for itself.
func (p *Pool) lost(r *host.Round, t *probe) {
	if len(t.out.hops) > 0 {
		if _, connected := p.selector.neighbours.Remote(t.out.hops[0]); !connected {
			return
		}
	}
	p.b.profiles.TestFailed(r.Now, t.path()...)
}

// path is the hops of both tunnels.
func (t *probe) path() []data.Hash { return slices.Concat(t.out.hops, t.in.hops) }
