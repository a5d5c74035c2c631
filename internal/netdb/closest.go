package netdb

import (
	"slices"
	"sort"
	"time"

	"allium/internal/data"
)

// Closest are up to n routers that keep accepts, closest first to where key
// belongs on the UTC day of now. keep is called for the closest routers in
// order until there are enough; it may be nil, and may use the DB.
func (d *DB) Closest(now time.Time, key data.Hash, n int, keep func(*data.RouterInfo) bool) []*data.RouterInfo {
	return d.ClosestTo(RoutingKey(key, now), n, keep)
}

// ClosestTo is Closest for a routing key, such as one of PublishKeys.
func (d *DB) ClosestTo(routingKey data.Hash, n int, keep func(*data.RouterInfo) bool) []*data.RouterInfo {
	if n <= 0 {
		return nil
	}
	var found []*data.RouterInfo
	walk(d.view(), &routingKey, 0, func(r *router) bool {
		if ri := r.info.Load(); keep == nil || keep(ri) {
			found = append(found, ri)
		}
		return len(found) < n
	})
	return found
}

// view is the routers in the order of their hashes, as they are now. It is
// shared and never changed.
func (d *DB) view() []*router {
	if s := d.snapshot.Load(); s != nil {
		return *s
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := slices.Clone(d.sorted)
	d.snapshot.Store(&s)
	return s
}

// walk calls visit for routers in the order of their distance from key, until
// it returns false. The routers are sorted and agree in the bits before bit,
// so they are a tree: those that agree with key in this bit too are closer
// than all the others.
func walk(routers []*router, key *data.Hash, bit int, visit func(*router) bool) bool {
	switch len(routers) {
	case 0:
		return true
	case 1:
		return visit(routers[0])
	}
	ones := sort.Search(len(routers), func(i int) bool { return bitOf(&routers[i].hash, bit) == 1 })
	near, far := routers[:ones], routers[ones:]
	if bitOf(key, bit) == 1 {
		near, far = far, near
	}
	return walk(near, key, bit+1, visit) && walk(far, key, bit+1, visit)
}

// bitOf is a bit of a hash, the highest being number 0.
func bitOf(h *data.Hash, bit int) byte { return h[bit/8] >> (7 - bit%8) & 1 }
