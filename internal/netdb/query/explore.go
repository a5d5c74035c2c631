package query

import (
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb"
	"allium/internal/random"
)

const (
	exploreTime = 10 * time.Second
	// exploreAsks is how many floodfills an exploration asks for an answer.
	exploreAsks = 2
	// maxExcluded is how many routers near the key, which we know, the answer
	// is asked to leave out.
	maxExcluded = 16
	// maxExplored is how many of the routers named are looked up. Floodfills
	// take only 14 lookups in two minutes for one tunnel.
	maxExplored = 6
	// outdated is the age at which a RouterInfo is worth looking up again.
	outdated = time.Hour
	// fewFloodfills is how many are worth asking for more of them.
	fewFloodfills = 30
	// keyDraws is how many keys are drawn to find one in a sparse region.
	keyDraws = 8
)

// exploreLater sets the timer of the next exploration.
func (q *Queries) exploreLater(*host.Round) {
	pause := q.explorePause()
	timer := q.h.AfterFunc(random.Between(pause*3/4, pause*5/4), func(r *host.Round) {
		if q.ownContext() == nil {
			return
		}
		q.Explore(r)
		q.exploreLater(r)
	})
	q.mu.Lock()
	closed := q.closed
	q.exploring = timer
	q.mu.Unlock()
	if closed {
		timer.Stop()
	}
}

// explorePause is how long to wait between explorations: the longer, the more
// is known. Who knows ten times as many as are many learns of others without
// asking.
func (q *Queries) explorePause() time.Duration {
	switch known := q.db.Len(); {
	case known < q.cfg.ManyRouters:
		return q.cfg.ExploreFast
	case known < 10*q.cfg.ManyRouters:
		return q.cfg.ExploreSlow
	}
	return 5 * q.cfg.ExploreSlow
}

// Explore asks a floodfill for routers near a random key, and looks up those
// we do not know.
func (q *Queries) Explore(r *host.Round) {
	c := q.ownContext()
	if c == nil {
		return
	}
	s := &search{
		ctx: c, key: q.sparseKey(r.Now), kind: i2np.LookupExploration,
		ends: r.Now.Add(exploreTime), most: exploreAsks, abreast: 1, explore: true,
	}
	// Explorations find no floodfills, ordinary lookups find nothing else.
	if q.db.Floodfills() < fewFloodfills && random.IntN(2) == 0 {
		s.kind = i2np.LookupRouterInfo
	}
	for _, ri := range q.db.Closest(r.Now, s.key, maxExcluded, nil) {
		s.exclude = append(s.exclude, ri.Hash())
	}
	q.begin(r, s, func(r *host.Round, a answer, err error) {
		if err == nil {
			q.explored(r, a)
		}
	})
}

// sparseKey is the random key, out of a few, that is farthest from any router
// we know.
func (q *Queries) sparseKey(now time.Time) (key data.Hash) {
	var farthest data.Hash
	for range keyDraws {
		var h data.Hash
		random.Fill(h[:])
		place := netdb.RoutingKey(h, now)
		near := q.db.ClosestTo(place, 1, nil)
		if len(near) == 0 {
			return h
		}
		if d := place.XOR(near[0].Hash()); d.Compare(farthest) >= 0 {
			key, farthest = h, d
		}
	}
	return key
}

// explored looks up the routers that were named.
func (q *Queries) explored(r *host.Round, a answer) {
	news := slices.ContainsFunc(a.peers, func(h data.Hash) bool { return h != q.self && q.db.RouterInfo(h) == nil })
	q.mu.Lock()
	q.nothingNew++
	if news {
		q.nothingNew = 0
	}
	q.mu.Unlock()
	n := 0
	for _, h := range a.peers {
		ri := q.db.RouterInfo(h)
		if h == q.self || ri != nil && r.Now.Sub(ri.Published()) < outdated {
			continue
		}
		if n++; n > maxExplored {
			return
		}
		q.fetch(r, h, a.from, func(*host.Round) {})
	}
}
