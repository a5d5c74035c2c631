package pool

import (
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/host"
)

// Resume has all pools build and test at once after our own network was gone.
// Their tunnels count as broken until a test has passed: hops may have
// forgotten them, or no longer know the way to us.
func (b *Builder) Resume(r *host.Round) {
	for _, p := range b.open() {
		p.resume(r)
	}
}

func (p *Pool) resume(r *host.Round) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.in.retry()
	p.out.retry()
	for _, l := range p.lives() {
		if l.strikes == 0 {
			l.strike(r.Now, r.Now)
		}
		l.testAt = r.Now
	}
	p.wake(r.Now, r.Now)
}

// Neighbours are the routers next to us in the pool's tunnels. To those of
// inbound tunnels we must have a session if nobody can connect to us.
func (p *Pool) Neighbours() []data.Hash {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []data.Hash
	for _, t := range p.in.tunnels {
		all = append(all, t.hops[len(t.hops)-1])
	}
	for _, t := range p.out.tunnels {
		all = append(all, t.hops[0])
	}
	slices.SortFunc(all, data.Hash.Compare)
	return slices.Compact(all)
}

// lives are those of all tunnels that have hops. The lock is held.
func (p *Pool) lives() []*life {
	var all []*life
	for _, t := range p.in.tunnels {
		all = append(all, &t.lifetime)
	}
	for _, t := range p.out.tunnels {
		all = append(all, &t.lifetime)
	}
	return all
}

// retry ends the wait for the next build. The pool's lock is held.
func (b *builds) retry() { b.pause, b.notBefore = 0, time.Time{} }
