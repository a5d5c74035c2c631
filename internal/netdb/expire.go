package netdb

import (
	"time"

	"allium/internal/data"
)

const (
	// fresh is the age up to which a RouterInfo says how things are now:
	// routers publish every forty minutes or so.
	fresh = time.Hour
	// enough is how many fresh ones it takes before others are too old.
	enough = 90
	// hopeless is the age at which RouterInfos go in any case.
	hopeless = 28 * 24 * time.Hour
)

// Expire forgets routers whose RouterInfo is too old. How old that is depends
// on how many fresh ones there are: MaxAge with 90 of them, and towards an
// hour the more there are. Routers that we had a session with may always be
// as old as MaxAge. With fewer fresh ones we may be cut off, or have just been
// started after days, and then old ones are better than none: all stay that
// are not four weeks old.
func (d *DB) Expire(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	young := 0
	for _, r := range d.sorted {
		if now.Sub(r.info.Load().Published()) <= fresh {
			young++
		}
	}
	d.limit = d.cfg.MaxAge
	if young >= enough {
		d.limit = min(fresh+(d.cfg.MaxAge-fresh)*enough/time.Duration(young), d.cfg.MaxAge)
	}
	gone := make(map[data.Hash]bool)
	for _, r := range d.sorted {
		limit := d.limit
		switch {
		case young < enough:
			limit = hopeless
		case r.hasMet(now):
			limit = d.cfg.MaxAge
		}
		if now.Sub(r.info.Load().Published()) > limit {
			gone[r.hash] = true
		}
	}
	if len(gone) > 0 {
		d.removeAll(gone)
	}
}
