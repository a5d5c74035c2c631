package query

import (
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/random"
)

const (
	// refreshEvery is how often some old RouterInfos are looked up again, and
	// refreshAtOnce how many.
	refreshEvery  = 10 * time.Second
	refreshAtOnce = 4
)

// refresh is a walk through all routers we know, in the order of their hashes.
type refresh struct {
	timer host.Timer
	after data.Hash // how far it is
}

// Refresh begins to look up anew the RouterInfos that have become old: of
// floodfills, and of routers that we had a session with. It is for a router
// that was off, or cut off, and would try addresses in vain that were left
// long ago. It takes its time and ends by itself.
func (q *Queries) Refresh(r *host.Round) {
	q.mu.Lock()
	q.refresh.after = data.Hash{}
	under := q.refresh.timer != nil
	q.mu.Unlock()
	if !under {
		q.refreshLater()
	}
}

func (q *Queries) refreshLater() {
	timer := q.h.AfterFunc(random.Between(refreshEvery*3/4, refreshEvery*5/4), q.refreshSome)
	q.mu.Lock()
	closed := q.closed
	q.refresh.timer = timer
	q.mu.Unlock()
	if closed {
		timer.Stop()
	}
}

// refreshSome looks up the next few.
func (q *Queries) refreshSome(r *host.Round) {
	if q.ownContext() == nil {
		return
	}
	q.mu.Lock()
	after := q.refresh.after
	q.mu.Unlock()
	old := q.outdatedAfter(r.Now, after)
	q.mu.Lock()
	if len(old) > 0 {
		q.refresh.after = old[len(old)-1]
	} else {
		q.refresh.timer = nil
	}
	q.mu.Unlock()
	if len(old) == 0 {
		return
	}
	for _, h := range old {
		q.fetch(r, h, data.Hash{}, func(*host.Round) {})
	}
	q.refreshLater()
}

// outdatedAfter are the next routers to look up anew.
func (q *Queries) outdatedAfter(now time.Time, after data.Hash) (old []data.Hash) {
	for ri := range q.db.All() {
		h := ri.Hash()
		if h.Compare(after) <= 0 || now.Sub(ri.Published()) < outdated || !ri.Floodfill() && !q.db.HasMet(now, h) {
			continue
		}
		if old = append(old, h); len(old) == refreshAtOnce {
			break
		}
	}
	return old
}
