package query

import (
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb"
)

// How long a search may take, and how many floodfills it asks.
const (
	routerInfoTime = 15 * time.Second
	leaseSetTime   = 20 * time.Second
	sideTime       = 8 * time.Second
	askMost        = 12
	askMostSide    = 3
	askWide        = nearest
	askAbreast     = 2
	askAbreastWide = 4
	// closestFew is how many floodfills should have an entry if anybody has.
	closestFew = 6
	// maxNamed is how many of the routers that one reply names are looked at,
	// and maxHeard how many unknown ones a search looks up on the side.
	maxNamed = 4
	maxHeard = 8
)

// RouterInfo finds the RouterInfo of a router, in our netdb.DB or through the
// router's own context, and has it kept there. done is called once, at once
// or in a later round, with the RouterInfo or one of the errors of this
// package. Searches for the same router are one.
func (q *Queries) RouterInfo(r *host.Round, key data.Hash, done func(r *host.Round, ri *data.RouterInfo, err error)) {
	if ri := q.db.RouterInfo(key); ri != nil {
		done(r, ri, nil)
		return
	}
	c := q.ownContext()
	if c == nil {
		done(r, nil, ErrClosed)
		return
	}
	s := &search{
		ctx: c, key: key, kind: i2np.LookupRouterInfo,
		ends: r.Now.Add(routerInfoTime), most: askMost, abreast: askAbreast, missing: true,
	}
	q.begin(r, s, func(r *host.Round, a answer, err error) { done(r, a.router, err) })
}

// fetch looks for the RouterInfo of a router that hint named. Nothing
// depends on it: when there is much to do already, it is left.
func (q *Queries) fetch(r *host.Round, key, hint data.Hash, done func(r *host.Round)) {
	s := &search{
		ctx: q.ownContext(), key: key, kind: i2np.LookupRouterInfo,
		ends: r.Now.Add(sideTime), most: askMostSide, abreast: 1, first: hint, side: true,
		missing: q.db.RouterInfo(key) == nil,
	}
	if s.ctx == nil {
		done(r)
		return
	}
	q.begin(r, s, func(r *host.Round, _ answer, _ error) { done(r) })
}

// LeaseSet asks the network for the LeaseSet of a Destination, through the
// tunnels of the context, and has it kept in the LeaseSets of the context
// alone: look there first. done is called once, at once or in a later round,
// with the newest that is known by then or one of the errors of this package.
// Searches for the same key are one.
func (c *Context) LeaseSet(r *host.Round, key data.Hash, done func(r *host.Round, ls data.LeaseSetEntry, err error)) {
	s := &search{
		ctx: c, key: key, kind: i2np.LookupLeaseSet,
		ends: r.Now.Add(leaseSetTime), most: askWide, abreast: askAbreast,
	}
	if c.q.besieged(r.Now, key) {
		s.widen()
	}
	c.q.begin(r, s, func(r *host.Round, a answer, err error) { done(r, a.leaseSet, err) })
}

// begin starts a search, or joins the one for the same key.
func (q *Queries) begin(r *host.Round, s *search, done func(r *host.Round, a answer, err error)) {
	q.mu.Lock()
	joined, err := q.enter(r.Now, s, done)
	q.mu.Unlock()
	switch {
	case err != nil:
		done(r, answer{}, err)
	case !joined:
		q.advance(r, s)
		q.wake()
	}
}

// enter puts a search among those under way, unless there is one to join.
func (q *Queries) enter(now time.Time, s *search, done func(r *host.Round, a answer, err error)) (joined bool, err error) {
	if q.closed || s.ctx.closed {
		return false, ErrClosed
	}
	ofContext := 0
	for _, other := range q.searches {
		if other.ctx != s.ctx {
			continue
		}
		ofContext++
		if other.key == s.key && other.kind == s.kind && other.proves == nil && s.proves == nil && (s.side || !other.side) {
			other.done = append(other.done, done)
			return true, nil
		}
	}
	side := s.side || s.explore
	switch {
	case s.proves == nil && s.ctx.absences.absent(now, s.key):
		return false, ErrNotFound
	case len(q.searches) >= maxSearches, ofContext >= maxContextSearches, side && len(q.searches) >= maxSideSearches:
		return false, ErrBusy
	}
	s.done = append(s.done, done)
	q.searches = append(q.searches, s)
	return false, nil
}

// advance moves a search on.
func (q *Queries) advance(r *host.Round, s *search) {
	if s.missing {
		if ri := q.db.RouterInfo(s.key); ri != nil {
			q.finish(r, s, answer{router: ri}, nil)
			return
		}
	}
	held := !s.ctx.ready(r.Now)
	var from candidates
	if !held {
		from = q.candidates(r.Now, s)
	}
	q.mu.Lock()
	if s.over {
		q.mu.Unlock()
		return
	}
	if held && r.Now.Before(s.ends) {
		q.mu.Unlock()
		return
	}
	ask, fell, err := s.step(r.Now, from)
	if held && len(s.asked) == 0 {
		err = ErrNoTunnels
	}
	q.mu.Unlock()
	q.blame(r.Now, fell)
	if err != nil {
		q.finish(r, s, answer{}, err)
		return
	}
	for _, ri := range ask {
		q.ask(r, s, ri)
	}
}

// candidates are whom a search can ask.
func (q *Queries) candidates(now time.Time, s *search) candidates {
	if !s.only.IsZero() {
		if ri := q.db.RouterInfo(s.only); ri != nil {
			return candidates{all: []*data.RouterInfo{ri}}
		}
		return candidates{}
	}
	c := q.floodfills(now, netdb.RoutingKey(s.key, now))
	if ri := q.db.RouterInfo(s.first); ri != nil && q.eligible(ri) {
		c.all, c.known = slices.Insert(c.all, 0, ri), nil
	}
	return c
}

// ask asks one floodfill. When that cannot be done, the next one is asked at
// the next tick, and nobody is to blame.
func (q *Queries) ask(r *host.Round, s *search, to *data.RouterInfo) {
	q.mu.Lock()
	excluded := s.excluded(to.Hash())
	q.mu.Unlock()
	lookup := i2np.DatabaseLookup{Key: s.key, Kind: s.kind, Excluded: excluded}
	sent := q.h.Spawn(func(r *host.Round) {
		q.mu.Lock()
		over := s.over
		q.mu.Unlock()
		if !over && s.ctx.lookup(r, s, to, lookup) != nil {
			q.unsent(s, to)
		}
	})
	if !sent {
		q.unsent(s, to)
	}
}

func (q *Queries) unsent(s *search, to *data.RouterInfo) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w := s.question(to.Hash()); w != nil && w.state == waiting {
		w.state = silent
	}
}

// finish ends a search and tells everybody who waits for it.
func (q *Queries) finish(r *host.Round, s *search, a answer, err error) {
	q.mu.Lock()
	if s.over {
		q.mu.Unlock()
		return
	}
	s.over = true
	q.searches = slices.DeleteFunc(q.searches, func(other *search) bool { return other == s })
	if s.proves == nil && !s.explore && (err == nil || err == ErrNotFound) {
		s.ctx.absences.note(r.Now, s.key, err == nil)
	}
	q.mu.Unlock()
	for _, done := range s.done {
		done(r, a, err)
	}
}

// succeed ends a search with an entry from a floodfill, if it is known from
// which.
func (q *Queries) succeed(r *host.Round, s *search, by data.Hash, a answer) {
	q.mu.Lock()
	credit := !s.over && s.question(by) != nil
	q.mu.Unlock()
	if credit {
		q.profiles.LookupAnswered(r.Now, by)
	}
	q.finish(r, s, a, nil)
}

// named takes a reply that has no entry but names floodfills.
func (q *Queries) named(r *host.Round, s *search, reply i2np.DatabaseSearchReply) {
	q.mu.Lock()
	w := s.question(reply.From)
	if w == nil || w.state == denied || s.over {
		q.mu.Unlock()
		return
	}
	w.state = denied
	q.mu.Unlock()
	q.profiles.LookupAnswered(r.Now, reply.From)
	if s.explore {
		q.finish(r, s, answer{peers: reply.Peers, from: reply.From}, nil)
		return
	}
	if !s.side {
		q.follow(r, s, reply)
	}
	q.advance(r, s)
}

// follow looks up the floodfills that a reply named and we do not know. They
// are asked only if they exist, and are closer than others we know.
func (q *Queries) follow(r *host.Round, s *search, reply i2np.DatabaseSearchReply) {
	for i, h := range reply.Peers[:min(len(reply.Peers), maxNamed)] {
		if h == q.self || h == s.key || slices.Contains(reply.Peers[:i], h) || q.db.RouterInfo(h) != nil {
			continue
		}
		q.mu.Lock()
		more := s.heard < maxHeard
		if more {
			s.heard++
			s.fetching++
		}
		q.mu.Unlock()
		if !more {
			return
		}
		q.fetch(r, h, reply.From, func(r *host.Round) {
			q.mu.Lock()
			s.fetching--
			q.mu.Unlock()
			q.advance(r, s)
		})
	}
}
