package pool

import (
	"time"

	"allium/internal/tunnel/build"
)

// What the tests of package pool_test look at.
const (
	RenewBefore = renewBefore + renewSpread
	MaxBuilding = maxBuilding
)

// Hops chooses the hops of a tunnel.
func (s *Selector) Hops(now time.Time, d build.Direction, least, length int, key *[32]byte) ([]build.Hop, error) {
	return s.hops(now, d, least, length, key)
}
