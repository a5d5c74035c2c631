package netdb

import (
	"slices"
	"time"

	"allium/internal/data"
)

// trimPart is the part of MaxRouters that makes room at once, so that not
// every new router costs a search for another to forget.
const trimPart = 16

// rank tells how much we need a router. Lower ranks make room first.
type rank uint8

const (
	ordinary rank = iota
	floodfill
	reached
)

// candidate is a router that may have to make room.
type candidate struct {
	hash, key data.Hash // key is its routing key
	rank      rank
	hours     int // since it was published
}

// trim makes room when there are too many routers. It reports whether the
// newcomer had to go at once.
func (d *DB) trim(now time.Time, newcomer data.Hash) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	excess := len(d.sorted) - d.cfg.MaxRouters
	if excess <= 0 {
		return false
	}
	all := d.candidates(now)
	slices.SortFunc(all, d.lessNeeded)
	gone := make(map[data.Hash]bool)
	for _, c := range all[:min(excess+d.cfg.MaxRouters/trimPart, len(all))] {
		gone[c.hash] = true
	}
	d.removeAll(gone)
	return gone[newcomer]
}

// candidates are all routers with their rank. Floodfills count for more than
// others, but not once they are more than half of all: it is easy to claim to
// be one.
func (d *DB) candidates(now time.Time) []candidate {
	all := make([]candidate, len(d.sorted))
	for i, r := range d.sorted {
		ri := r.info.Load()
		c := candidate{hash: r.hash, key: RoutingKey(r.hash, now), hours: int(now.Sub(ri.Published()) / time.Hour)}
		switch {
		case r.hasMet(now):
			c.rank = reached
		case ri.Floodfill() && d.floodfills <= d.cfg.MaxRouters/2:
			c.rank = floodfill
		}
		all[i] = c
	}
	return all
}

// lessNeeded orders those first that make room first: of the same rank the
// oldest by hours, then those farthest from us, whom nobody asks us for.
func (d *DB) lessNeeded(a, b candidate) int {
	if a.rank != b.rank {
		return int(a.rank) - int(b.rank)
	}
	if a.hours != b.hours {
		return b.hours - a.hours
	}
	return d.self.Closer(b.key, a.key)
}
