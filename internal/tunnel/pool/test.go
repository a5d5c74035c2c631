package pool

import (
	"time"

	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel"
)

const (
	// testEvery is how often a tunnel is tested, with up to testSpread more.
	testEvery  = 30 * time.Second
	testSpread = 15 * time.Second
	// retestAfter is how soon a failed tunnel is tested again, with another.
	retestAfter = 3 * time.Second
	// testWait is how long a test message may take.
	testWait = 10 * time.Second
	// maxFailures is how many tests in a row a tunnel may fail: its partner
	// may be the one to blame, but not each time.
	maxFailures = 3
)

// tests are the test messages under way in a pool.
type tests struct {
	pending        map[uint32]*probe
	passed, failed int
}

// probe is one test: a message on its way out through one tunnel and back
// through another.
type probe struct {
	out  *Outbound
	in   *Inbound
	sent time.Time
}

// test begins the tests that are due and ends those that are overdue.
func (p *Pool) test(r *host.Round) {
	p.mu.Lock()
	failed := p.overdueTests(r.Now)
	var due []*probe
	for _, out := range p.out.tunnels {
		if in := partner(p.in.tunnels, r.Now); in != nil && out.lifetime.testDue(r.Now) {
			due = append(due, &probe{out, in, r.Now})
			in.lifetime.tested(r.Now)
		}
	}
	for _, in := range p.in.tunnels {
		if out := partner(p.out.tunnels, r.Now); out != nil && in.lifetime.testDue(r.Now) {
			due = append(due, &probe{out, in, r.Now})
		}
	}
	p.mu.Unlock()
	for _, t := range failed {
		p.blame(r.Now, t)
	}
	for _, t := range due {
		p.sendTest(r, t)
	}
}

// partner picks a tunnel of the other direction for a test, one that works if
// there is any.
func partner[T tunnelOf](all []T, now time.Time) (best T) {
	t, _ := pick(all, now)
	return t
}

// testDue reports whether the tunnel is to be tested now, and puts the next
// test off.
func (l *life) testDue(now time.Time) bool {
	if now.Before(l.testAt) || !l.usable(now) {
		return false
	}
	l.tested(now)
	return true
}

func (l *life) tested(now time.Time) {
	l.testAt = now.Add(testEvery + random.Between(0, testSpread))
}

// sendTest sends a message to ourselves: out through one tunnel, back through
// the other, in garlic so that nobody on the way can tell it from others.
func (p *Pool) sendTest(r *host.Round, t *probe) {
	id := random.Nonzero32()
	expiration := r.Now.Add(testWait)
	var key [32]byte
	var tag [garlic.TagSize]byte
	random.Fill(key[:])
	random.Fill(tag[:])
	p.ctx.Replies.Expect(r.Now, key, tag, testWait)
	status := i2np.Message{
		Type: i2np.TypeDeliveryStatus, ID: id, Expiration: expiration,
		Body: i2np.DeliveryStatus{ID: id, Time: r.Now}.Append(nil),
	}
	sealed := garlic.SealOnce(&key, tag, garlic.Clove{Message: status})

	p.mu.Lock()
	if p.tests.pending == nil {
		p.tests.pending = make(map[uint32]*probe)
	}
	p.tests.pending[id] = t
	p.mu.Unlock()
	gateway, receive := t.in.Gateway()
	// A message that cannot leave fails the test when its time is over.
	_ = t.out.Send(r, tunnel.Delivery{Kind: tunnel.ToTunnel, Router: gateway, Tunnel: receive}, i2np.Message{
		Type: i2np.TypeGarlic, ID: random.Nonzero32(), Expiration: expiration,
		Body: i2np.Garlic{Data: sealed}.Append(nil),
	})
}

// Status of a test: Tested takes the id of a DeliveryStatus that came out of
// an inbound tunnel of the pool. It reports whether it was a test message.
func (p *Pool) Tested(r *host.Round, id uint32) bool {
	p.mu.Lock()
	t := p.tests.pending[id]
	if t == nil {
		p.mu.Unlock()
		return false
	}
	delete(p.tests.pending, id)
	p.tests.passed++
	for _, l := range []*life{&t.out.lifetime, &t.in.lifetime} {
		l.failures = 0
		l.rtt = max(r.Now.Sub(t.sent), 1)
	}
	p.mu.Unlock()
	for _, hop := range t.out.hops {
		p.b.profiles.TestPassed(r.Now, hop)
	}
	for _, hop := range t.in.hops {
		p.b.profiles.TestPassed(r.Now, hop)
	}
	return true
}

// overdueTests takes out the tests whose message did not come back.
func (p *Pool) overdueTests(now time.Time) (lost []*probe) {
	for id, t := range p.tests.pending {
		if now.Sub(t.sent) < testWait {
			continue
		}
		delete(p.tests.pending, id)
		p.tests.failed++
		for _, l := range []*life{&t.out.lifetime, &t.in.lifetime} {
			l.failures++
			l.testAt = now.Add(retestAfter)
		}
		lost = append(lost, t)
	}
	sortProbes(lost)
	return lost
}

// blame notes a failed test in the profiles of the hops, for what it says.
func (p *Pool) blame(now time.Time, t *probe) {
	for _, hop := range t.out.hops {
		p.b.profiles.TestFailed(now, hop)
	}
	for _, hop := range t.in.hops {
		p.b.profiles.TestFailed(now, hop)
	}
}
