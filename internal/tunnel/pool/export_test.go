package pool

import (
	"time"

	"allium/internal/tunnel/build"
)

// MaxBuilding is how many builds of one direction are under way.
const MaxBuilding = maxBuilding

// Wish is the tunnel that hops are to be chosen for.
type Wish = wish

// Hops chooses the hops of a tunnel.
func (s *Selector) Hops(now time.Time, w Wish) ([]build.Hop, error) {
	hops, _, err := s.hops(now, w)
	return hops, err
}
