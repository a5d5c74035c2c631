package pool

import (
	"time"

	"allium/internal/tunnel/build"
)

// MaxBuilding is how many builds of one direction are under way.
const MaxBuilding = maxBuilding

// Hops chooses the hops of a tunnel.
func (s *Selector) Hops(now time.Time, d build.Direction, least, length int, key *[32]byte) ([]build.Hop, error) {
	return s.hops(now, d, least, length, key)
}
