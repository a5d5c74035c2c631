package pool

import (
	"cmp"
	"time"

	"allium/internal/data"
	"allium/internal/tunnel/build"
)

const (
	// sideShare is in one of how many tunnels of one direction of a pool a
	// router may be: when it fails, the others go on.
	sideShare = 3
	// allShare is the same for all our tunnels, as long as we know few
	// routers. Of many it is fairShare times what would be even: one that is
	// in many of our tunnels sees much of what we do.
	allShare  = 3
	fairShare = 4
	// leastShare is in how many it may be however few there are.
	leastShare = 2
)

// load is which routers our tunnels go through, those being built too.
type load struct {
	side, all map[data.Hash]int
	// sideMost and allMost are how many of each a router may be in.
	sideMost, allMost int
}

// full tells that a router is in as many of our tunnels as it may be.
func (l *load) full(h data.Hash) bool {
	return l != nil && (l.side[h] >= l.sideMost || l.all[h] >= l.allMost)
}

// compare tells which of two routers is in fewer tunnels of the pool and the
// direction wished for, and then in fewer of all.
func (l *load) compare(a, b *candidate) int {
	if l == nil {
		return 0
	}
	x, y := a.hop.Hash, b.hop.Hash
	return cmp.Or(cmp.Compare(l.side[x], l.side[y]), cmp.Compare(l.all[x], l.all[y]))
}

// load is that of all pools and of one direction of p, when n routers may be
// hops.
func (b *Builder) load(now time.Time, p *Pool, d build.Direction, n int) *load {
	l := &load{side: make(map[data.Hash]int), all: make(map[data.Hash]int)}
	tunnels, hops := 0, 0
	add := func(of *Pool, direction build.Direction, path []data.Hash) {
		tunnels++
		hops += len(path)
		for _, h := range path {
			l.all[h]++
			if of == p && direction == d {
				l.side[h]++
			}
		}
	}
	b.mu.Lock()
	for _, f := range b.flights {
		if !f.late {
			add(f.pool, f.direction, f.path())
		}
	}
	b.mu.Unlock()
	for _, of := range b.open() {
		of.paths(now, func(direction build.Direction, path []data.Hash) { add(of, direction, path) })
	}
	l.sideMost = (p.cfg.of(d).Quantity + sideShare - 1) / sideShare
	l.allMost = max(min(tunnels/allShare, fairShare*hops/max(n, 1)), leastShare)
	return l
}

// paths gives the hops of each tunnel that works.
func (p *Pool) paths(now time.Time, each func(d build.Direction, hops []data.Hash)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.out.tunnels {
		if t.lifetime.good(now) {
			each(build.Outbound, t.hops)
		}
	}
	for _, t := range p.in.tunnels {
		if t.lifetime.good(now) {
			each(build.Inbound, t.hops)
		}
	}
}
