package netdb

import (
	"time"

	"allium/internal/data"
)

const (
	// metLasts is for how long it counts that we had a session with a router.
	metLasts = 3 * 24 * time.Hour
	// metAgain is how much later it is noted again.
	metAgain = time.Hour
)

// Reached notes that we had a session with a router: there is somebody behind
// this RouterInfo, so it is the last to make room for others.
func (d *DB) Reached(now time.Time, h data.Hash) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.routers[h]; r != nil && now.Sub(r.met) >= metAgain {
		r.met = now
		d.dirty[h] = struct{}{}
	}
}

// HasMet reports whether we had a session with a router in the last days.
func (d *DB) HasMet(now time.Time, h data.Hash) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	r := d.routers[h]
	return r != nil && r.hasMet(now)
}

func (r *router) hasMet(now time.Time) bool { return !r.met.IsZero() && now.Sub(r.met) < metLasts }

// Proven takes the RouterInfo that a router has sent us itself, in an NTCP2
// session. Others that claim its static key lie, or are what the router was
// called before, and go. Errors are those of AddRouter.
func (d *DB) Proven(now time.Time, ri *data.RouterInfo) (Added, error) {
	key, ok := sessionKey(ri)
	if ok {
		d.makeWay(ri.Hash(), key)
	}
	added, err := d.AddRouter(now, ri)
	if ok {
		d.mu.Lock()
		defer d.mu.Unlock()
		if r := d.routers[ri.Hash()]; r != nil {
			r.proven = key
		}
	}
	return added, err
}

// sessionKey is the static key that a router must have had in a session. Which
// of several it was we cannot tell.
func sessionKey(ri *data.RouterInfo) (key claim, ok bool) {
	for _, a := range ri.Addresses() {
		if a.Style != data.StyleNTCP2 {
			continue
		}
		static, has := a.StaticKey()
		if c := (claim{static: static}); !has || ok && c != key {
			return claim{}, false
		} else {
			key, ok = c, true
		}
	}
	return key, ok
}

// makeWay forgets all others that claim a key.
func (d *DB) makeWay(h data.Hash, key claim) {
	d.mu.Lock()
	defer d.mu.Unlock()
	gone := make(map[data.Hash]bool)
	for _, r := range d.claims[key] {
		gone[r.hash] = r.hash != h
	}
	if len(gone) > 0 {
		d.removeAll(gone)
	}
}

// Missed notes that a router could not be reached at any of its addresses. If
// others claim one of them and we never had a session with this one, then it
// is most likely the one that lies.
func (d *DB) Missed(now time.Time, h data.Hash) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.routers[h]
	if r == nil || r.hasMet(now) {
		return
	}
	for _, c := range r.claims {
		if len(d.claims[c]) > 1 {
			d.removeAll(map[data.Hash]bool{h: true})
			return
		}
	}
}
