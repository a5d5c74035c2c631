package query

import (
	"time"

	"allium/internal/data"
)

// silence is a floodfill that did not answer what it was asked or told.
type silence struct {
	of   data.Hash
	from time.Time
}

// blame notes who has been silent, but only if anybody answered meanwhile: else
// our tunnels, or our connection, may be at fault.
func (q *Queries) blame(now time.Time, fell []silence) {
	q.mu.Lock()
	heard := q.heard
	q.mu.Unlock()
	for _, s := range fell {
		if heard.After(s.from) {
			q.profiles.LookupFailed(now, s.of)
		}
	}
}

// hear notes that somebody answered.
func (q *Queries) hear(now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.After(q.heard) {
		q.heard = now
	}
}
