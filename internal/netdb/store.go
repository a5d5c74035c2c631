package netdb

import (
	"slices"
	"time"

	"allium/internal/data"
)

// AddRouter takes a RouterInfo from anywhere, checks it and keeps it if it is
// newer than what we have. The signature, which takes the time, is checked
// last, and not at all when ours is as new. Errors wrap one of this package or
// data.ErrSignature.
func (d *DB) AddRouter(now time.Time, ri *data.RouterInfo) (Added, error) {
	h := ri.Hash()
	err := d.check(ri)
	if err == nil {
		err = d.checkAge(now, ri)
	}
	if err != nil {
		return Known, refused(err, h)
	}
	if have := d.RouterInfo(h); have != nil && !ri.Published().After(have.Published()) {
		return Known, nil
	}
	if err := ri.Verify(); err != nil {
		return Known, err
	}
	added := d.put(ri)
	if added == First && d.trim(now, h) {
		return Known, refused(ErrFull, h)
	}
	return added, nil
}

// put keeps a RouterInfo that has been checked.
func (d *DB) put(ri *data.RouterInfo) Added {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := ri.Hash()
	r, added := d.routers[h], Newer
	if r != nil {
		have := r.info.Load()
		if !ri.Published().After(have.Published()) {
			return Known
		}
		d.countFloodfill(have, -1)
	} else {
		r, added = &router{hash: h}, First
		d.routers[h] = r
		d.sorted = slices.Insert(d.sorted, d.place(h), r)
		d.snapshot.Store(nil)
	}
	r.info.Store(ri)
	d.countFloodfill(ri, 1)
	d.dirty[h] = struct{}{}
	return added
}

func (d *DB) countFloodfill(ri *data.RouterInfo, n int) {
	if ri.Floodfill() {
		d.floodfills += n
	}
}

// place is where a router is in sorted, or would be.
func (d *DB) place(h data.Hash) int {
	i, _ := slices.BinarySearchFunc(d.sorted, h, func(r *router, h data.Hash) int { return r.hash.Compare(h) })
	return i
}

// Reached notes that we had a session with a router: there is one behind this
// RouterInfo, so it is the last to make room for others.
func (d *DB) Reached(h data.Hash) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.routers[h]; r != nil {
		r.reached = true
	}
}

// Remove forgets a router.
func (d *DB) Remove(h data.Hash) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.routers[h]; r != nil {
		d.forget(r)
		i := d.place(h)
		d.sorted = slices.Delete(d.sorted, i, i+1)
	}
}

// forget removes a router from everything but sorted.
func (d *DB) forget(r *router) {
	d.countFloodfill(r.info.Load(), -1)
	delete(d.routers, r.hash)
	d.dirty[r.hash] = struct{}{}
	d.snapshot.Store(nil)
}

// removeAll forgets those of the routers that are in gone.
func (d *DB) removeAll(gone map[data.Hash]bool) {
	d.sorted = slices.DeleteFunc(d.sorted, func(r *router) bool {
		if gone[r.hash] {
			d.forget(r)
		}
		return gone[r.hash]
	})
}

const (
	// keepAtLeast is how many routers survive even when they are too old, so
	// that whoever was away for days has somebody to begin with.
	keepAtLeast = 90
	// hopeless is the age beyond which not even they do.
	hopeless = 28 * 24 * time.Hour
)

// Expire forgets routers whose RouterInfo is older than MaxAge, the oldest
// first, but not the last 90 unless they are four weeks old.
func (d *DB) Expire(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var old []*data.RouterInfo
	for _, r := range d.sorted {
		if ri := r.info.Load(); now.Sub(ri.Published()) > d.cfg.MaxAge {
			old = append(old, ri)
		}
	}
	slices.SortStableFunc(old, func(a, b *data.RouterInfo) int { return a.Published().Compare(b.Published()) })
	left := len(d.sorted)
	gone := make(map[data.Hash]bool)
	for _, ri := range old {
		if left > keepAtLeast || now.Sub(ri.Published()) > hopeless {
			gone[ri.Hash()] = true
			left--
		}
	}
	d.removeAll(gone)
}

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
		case r.reached:
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
