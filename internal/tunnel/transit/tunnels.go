package transit

import (
	"allium/internal/data"
	"allium/internal/tunnel/build"
)

// tunnels counts the hops we are, to share what we have among neighbours.
type tunnels struct {
	max   int
	count int // with those being set up
	roles [build.OutboundEndpoint + 1]int
	// previous and next count by neighbour. Hops whose previous hop is
	// unknown are at the zero hash.
	previous, next map[data.Hash]int

	hops []*hop // that stand
}

const (
	// part is the share of what is free that one neighbour may have: n
	// neighbours that want all they can get have max/(n+part) each.
	part = 8
	// fewTunnels are not worth a look.
	fewTunnels = 16
)

func newTunnels(max int) tunnels {
	return tunnels{max: max, previous: make(map[data.Hash]int), next: make(map[data.Hash]int)}
}

// fits tells whether a neighbour that has n tunnels may have one more.
func (s *tunnels) fits(n int) bool {
	return n < fewTunnels || n < (s.max-s.count)/part
}

// fitsPrevious tells whether the neighbour may send us one more tunnel. All
// that came out of tunnels are together as many as are free.
func (s *tunnels) fitsPrevious(from data.Hash) bool {
	n := s.previous[from]
	if from.IsZero() {
		return n < fewTunnels || n < s.max-s.count
	}
	return s.fits(n)
}

// add counts a hop.
func (s *tunnels) add(h *hop) {
	s.count++
	s.roles[h.role]++
	s.previous[h.previous]++
	if h.role != build.OutboundEndpoint {
		s.next[h.nextRouter]++
	}
}

// remove counts it no more.
func (s *tunnels) remove(h *hop) {
	s.count--
	s.roles[h.role]--
	less(s.previous, h.previous)
	if h.role != build.OutboundEndpoint {
		less(s.next, h.nextRouter)
	}
}

func less(counts map[data.Hash]int, router data.Hash) {
	counts[router]--
	if counts[router] <= 0 {
		delete(counts, router)
	}
}
