package query

import (
	"encoding/binary"
	"math"
	"time"

	"allium/internal/data"
	"allium/internal/netdb"
)

// The sign that somebody owns the floodfills around a key, so as to hide what
// belongs there: there are too many of them to be there by chance. Searches
// then go wider at once and publications farther; nobody is blamed for being
// close.
const (
	// crowd is how many floodfills around a key are looked at, and likely how
	// many of them must be expected there. That eight are where one is
	// expected happens by chance at one key of a hundred thousand.
	crowd  = 8
	likely = 1
	// crowdLeast is how many floodfills must be known to say so.
	crowdLeast = 24
)

// crowded reports whether floodfills are too close to a routing key to be
// there by chance.
func (q *Queries) crowded(routingKey data.Hash) bool {
	all := q.db.Floodfills()
	if all < crowdLeast {
		return false
	}
	near := q.db.ClosestTo(routingKey, crowd, q.eligible)
	if len(near) < crowd {
		return false
	}
	d := routingKey.XOR(near[crowd-1].Hash())
	return float64(all)*float64(binary.BigEndian.Uint64(d[:]))/math.MaxUint64 < likely
}

// besieged reports whether the surroundings of a key smell, and counts it.
func (q *Queries) besieged(now time.Time, key data.Hash) bool {
	if !q.crowded(netdb.RoutingKey(key, now)) {
		return false
	}
	q.eclipses.Add(1)
	return true
}

// widen has a search go beyond the closest floodfills.
func (s *search) widen() {
	s.most, s.abreast = askWide, askAbreastWide
}
