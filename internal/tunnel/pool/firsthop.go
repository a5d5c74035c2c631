package pool

import (
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/random"
)

const (
	// firstCount is how many routers stand next to us in the tunnels of a
	// context at a time, and firstMost how many we keep for that, with those
	// that cannot be used now.
	firstCount, firstMost = 4, 12
	// fewForFirst is how many candidates there must be: of fewer it is no
	// great matter who stands where.
	fewForFirst = 16
	// firstStays is how long one of them stays, with up to firstSpread more:
	// not for ever, as those that have seen much would see more and more.
	firstStays  = 20 * 24 * time.Hour
	firstSpread = 20 * 24 * time.Hour
	// firstMissed is how long one may be missing in the netDb.
	firstMissed = 3 * 24 * time.Hour
	// firstUnused is how long the first hops of a context are kept that is not
	// there any more, and maxFirsts of how many contexts.
	firstUnused = 45 * 24 * time.Hour
	maxFirsts   = 128
)

// firstHops are the routers that stand next to us in all tunnels of a context,
// in the order in which they came. Whoever is one of them sees that our router
// begins or ends tunnels of somebody; all others never do, however many
// tunnels we build (predecessor attack).
type firstHops struct {
	members []member
	used    time.Time
}

// member is one of the first hops.
type member struct {
	hash  data.Hash
	until time.Time // when another one takes its place
	seen  time.Time // when it was last a candidate
}

// reserved are the routers that are kept for the place next to us.
func (s *Selector) reserved(id data.Hash) []data.Hash {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.firsts[id]
	if set == nil {
		return nil
	}
	all := make([]data.Hash, len(set.members))
	for i, m := range set.members {
		all[i] = m.hash
	}
	return all
}

// first chooses the router next to us for a tunnel of a context, nil if there
// is none fit for it yet. Those in the fewest tunnels of the pool go first.
func (s *Selector) first(now time.Time, f *field, w wish) *candidate {
	if len(f.all) < fewForFirst {
		return nil
	}
	resting := make(map[data.Hash]bool)
	for _, h := range s.reserved(w.First) {
		resting[h] = !s.profiles.Usable(now, h)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.set(now, w.First)
	if set.review(now, f) {
		s.dirty[w.First] = struct{}{}
	}
	able := set.able(f, resting)
	for len(able) < firstCount {
		c := set.recruit(f, w, s.cfg.AnySubnet)
		if c == nil {
			break
		}
		until := now.Add(firstStays + random.Between(0, firstSpread))
		set.members = append(set.members, member{hash: c.hop.Hash, until: until, seen: now})
		set.trim(f)
		able = append(able, c)
		s.dirty[w.First] = struct{}{}
	}
	if len(able) == 0 {
		return nil
	}
	random.Shuffle(len(able), func(i, j int) { able[i], able[j] = able[j], able[i] })
	return slices.MinFunc(able, w.Load.compare)
}

// noteEvery is how often it is noted that a set or a member of it is still
// there: seldom, as each time it is written.
const noteEvery = 12 * time.Hour

// set gives the first hops of a context. The lock is held.
func (s *Selector) set(now time.Time, id data.Hash) *firstHops {
	set := s.firsts[id]
	if set == nil {
		set = new(firstHops)
		s.firsts[id] = set
		s.trimFirsts(id)
	}
	if now.Sub(set.used) > noteEvery {
		set.used = now
		s.dirty[id] = struct{}{}
	}
	return set
}

// review takes out those whose time is over or that are gone, and reports
// whether anything is to be written.
func (set *firstHops) review(now time.Time, f *field) (changed bool) {
	for i := range set.members {
		m := &set.members[i]
		if f.find(m.hash) != nil && now.Sub(m.seen) > noteEvery {
			m.seen, changed = now, true
		}
	}
	before := len(set.members)
	set.members = slices.DeleteFunc(set.members, func(m member) bool {
		return !now.Before(m.until) || now.Sub(m.seen) > firstMissed
	})
	return changed || len(set.members) < before
}

// able are the first of the members that can be used now.
func (set *firstHops) able(f *field, resting map[data.Hash]bool) (all []*candidate) {
	for _, m := range set.members {
		if c := f.find(m.hash); c != nil && !resting[m.hash] && c.first(f) && len(all) < firstCount {
			all = append(all, c)
		}
	}
	return all
}

// first tells a router that can stand next to us now.
func (c *candidate) first(f *field) bool {
	return c.profile.Usable && (c.profile.Met || c.profile.Proven) && f.anywhere(c)
}

// recruit draws another member from those that have carried tunnels, or at
// least were met.
func (set *firstHops) recruit(f *field, w wish, anySubnet bool) *candidate {
	var members []*candidate
	for _, m := range set.members {
		if c := f.find(m.hash); c != nil {
			members = append(members, c)
		}
	}
	for of := fast; of <= met; of++ {
		left := slices.Clone(f.byClass[of])
		for len(left) > 0 {
			i, last := random.IntN(len(left)), len(left)-1
			c := left[i]
			left[i], left = left[last], left[:last]
			alone := !slices.ContainsFunc(members, func(m *candidate) bool {
				return m.hop.Hash == c.hop.Hash || m.oneOperator(c, anySubnet)
			})
			if alone && c.first(f) && (!w.Storm || f.trusts(c, w.Length)) {
				return c
			}
		}
	}
	return nil
}

// trim makes room for the newest member: of those that cannot be used the one
// that came first goes.
func (set *firstHops) trim(f *field) {
	if len(set.members) <= min(max(len(f.all)/4, firstCount), firstMost) {
		return
	}
	i := slices.IndexFunc(set.members, func(m member) bool {
		c := f.find(m.hash)
		return c == nil || !c.first(f)
	})
	set.members = slices.Delete(set.members, max(i, 0), max(i, 0)+1)
}

// trimFirsts forgets the context that was not used for the longest time when
// there are too many with a new one. The lock is held.
func (s *Selector) trimFirsts(newest data.Hash) {
	if len(s.firsts) <= maxFirsts {
		return
	}
	var oldest data.Hash
	for id, set := range s.firsts {
		if of := s.firsts[oldest]; id != newest && (of == nil || set.used.Before(of.used) || set.used.Equal(of.used) && id.Compare(oldest) < 0) {
			oldest = id
		}
	}
	delete(s.firsts, oldest)
	s.dirty[oldest] = struct{}{}
}
