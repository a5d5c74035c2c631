package netdb

import (
	"iter"

	"allium/internal/data"
)

// All yields the routers in the order of their hashes, as they were when it
// began. The loop may use the DB.
func (d *DB) All() iter.Seq[*data.RouterInfo] {
	return func(yield func(*data.RouterInfo) bool) {
		for _, r := range d.view() {
			if !yield(r.info.Load()) {
				return
			}
		}
	}
}

// Select are the routers that keep accepts, in the order of their hashes.
// keep may use the DB.
func (d *DB) Select(keep func(*data.RouterInfo) bool) []*data.RouterInfo {
	var found []*data.RouterInfo
	for ri := range d.All() {
		if keep(ri) {
			found = append(found, ri)
		}
	}
	return found
}
