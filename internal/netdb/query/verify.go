package query

import (
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
)

const (
	// verifyTime bounds a verification, and verifyAsks how many floodfills are
	// asked that were not told.
	verifyTime = 15 * time.Second
	verifyAsks = 3
	// auditTime is how long one that has confirmed has to show the entry.
	auditTime = 8 * time.Second
	// enoughHolders is how many that have it are enough, even if none of those
	// has it that it should have been flooded to.
	enoughHolders = 3
)

// verify looks for the LeaseSet, at each floodfill that has confirmed it, and
// at others that should have it from those. They cannot tell these lookups
// from anybody's.
func (q *Queries) verify(r *host.Round, p *publication) {
	q.mu.Lock()
	confirmed := p.confirmed()
	p.elsewhere, p.alone = false, false
	p.checking = len(confirmed) + 1
	avoid := slices.Concat(p.names(), p.doubted, p.holders)
	q.mu.Unlock()
	for _, t := range confirmed {
		s := q.audit(r, p)
		s.only, s.most, s.abreast, s.side = t.to.Hash(), 1, 1, true
		s.ends = r.Now.Add(auditTime)
		q.begin(r, s, func(r *host.Round, _ answer, err error) { q.audited(r, p, t, err) })
	}
	others := q.floodfills(r.Now, p.goals[0])
	if others.choose(0, nil, func(h data.Hash) bool { return !slices.Contains(avoid, h) }) == nil {
		q.mu.Lock()
		p.alone = true
		q.mu.Unlock()
		q.checked(r, p)
		return
	}
	s := q.audit(r, p)
	s.avoid, s.most, s.abreast = avoid, verifyAsks, 1
	q.begin(r, s, func(r *host.Round, _ answer, err error) { q.sought(r, p, s, err) })
}

// audit is a search for a LeaseSet that was published.
func (q *Queries) audit(r *host.Round, p *publication) *search {
	return &search{
		ctx: p.ctx, key: p.key, kind: i2np.LookupLeaseSet, ends: r.Now.Add(verifyTime),
		proves: func(ls data.LeaseSetEntry) bool {
			return !ls.Published().Before(p.ls.Published()) && ls.Verify() == nil
		},
	}
}

// audited notes whether one that had confirmed the LeaseSet has it. One that
// was told of something far from it may have dropped it with good reason.
func (q *Queries) audited(r *host.Round, p *publication, t told, err error) {
	h := t.to.Hash()
	lied := err == ErrNotFound && !p.far(t)
	q.mu.Lock()
	switch {
	case err == nil:
		p.holders = append(p.holders, h)
	case err == ErrNotFound || err == ErrNoAnswer:
		p.doubted = append(p.doubted, h)
	}
	if lied {
		q.caught.note(r.Now, h)
	}
	q.mu.Unlock()
	if lied {
		q.profiles.LookupFailed(r.Now, h)
	}
	q.checked(r, p)
}

// sought notes whether one that was not told has it. Those that have not may
// not have been told either, and nobody is to blame.
func (q *Queries) sought(r *host.Round, p *publication, s *search, err error) {
	q.mu.Lock()
	p.elsewhere = err == nil
	for i := range s.asked {
		if s.asked[i].state == denied {
			p.doubted = append(p.doubted, s.asked[i].to.Hash())
		}
	}
	q.mu.Unlock()
	q.checked(r, p)
}

// checked goes on when all have answered: when too few have the LeaseSet, it
// is stored with others.
func (q *Queries) checked(r *host.Round, p *publication) {
	q.mu.Lock()
	p.checking--
	if p.over || p.checking > 0 {
		q.mu.Unlock()
		return
	}
	closed := q.closed || p.ctx.closed
	held := len(p.holders) > 0
	good := p.elsewhere || len(p.holders) >= enoughHolders || p.alone && held
	again := !closed && !good && p.again(r.Now)
	q.mu.Unlock()
	switch {
	case closed:
		q.conclude(r, p, ErrClosed)
	case again:
		q.proceed(r, p)
	case good || held:
		q.conclude(r, p, nil)
	default:
		q.conclude(r, p, ErrUnverified)
	}
}
