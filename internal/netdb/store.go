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
	claims := claimsOf(ri)
	if d.contested(h, claims) {
		return Known, refused(ErrDuplicate, h)
	}
	if err := ri.Verify(); err != nil {
		return Known, err
	}
	added := d.put(ri, claims)
	if added == First && d.trim(now, h) {
		return Known, refused(ErrFull, h)
	}
	return added, nil
}

// put keeps a RouterInfo that has been checked.
func (d *DB) put(ri *data.RouterInfo, claims []claim) Added {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := ri.Hash()
	r, added, save := d.routers[h], Newer, true
	if r != nil {
		have := r.info.Load()
		if !ri.Published().After(have.Published()) {
			return Known
		}
		save = r.worthSaving(ri, claims)
		d.countFloodfill(have, -1)
		d.release(r)
	} else {
		r, added = &router{hash: h}, First
		d.routers[h] = r
		d.sorted = slices.Insert(d.sorted, d.place(h), r)
		d.snapshot.Store(nil)
	}
	r.info.Store(ri)
	d.countFloodfill(ri, 1)
	d.claim(r, claims)
	if save {
		d.dirty[h] = struct{}{}
	}
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
	d.release(r)
	delete(d.routers, r.hash)
	d.snapshot.Store(nil)
	if r.written {
		d.dirty[r.hash] = struct{}{}
	} else {
		delete(d.dirty, r.hash)
	}
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
