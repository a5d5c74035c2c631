package transit

import (
	"net/netip"

	"allium/internal/data"
	"allium/internal/tunnel/build"
)

// tunnels counts the hops we are, to share what we have among neighbours.
type tunnels struct {
	max   int
	count int // with those being set up
	roles [build.OutboundEndpoint + 1]int
	// previous and next count by neighbour. Hops whose previous hop is
	// unknown are at the zero hash. subnets counts by that of the previous
	// hop, where it matters.
	previous, next map[data.Hash]int
	subnets        map[netip.Prefix]int

	hops []*hop // that stand
}

const (
	// part is the share of what is free that one neighbour may have, or all of
	// one subnet: n that want all they can get have max/(n+part) each.
	part = 8
	// fewTunnels are not worth a look.
	fewTunnels = 16
)

func newTunnels(max int) tunnels {
	return tunnels{
		max: max, previous: make(map[data.Hash]int), next: make(map[data.Hash]int), subnets: make(map[netip.Prefix]int),
	}
}

// fits tells whether a neighbour that has n tunnels may have one more.
func (s *tunnels) fits(n int) bool {
	return n < fewTunnels || n < (s.max-s.count)/part
}

// fitsPrevious tells whether the neighbour in the subnet may send us one more
// tunnel. All that came out of tunnels are together as many as are free.
func (s *tunnels) fitsPrevious(from data.Hash, subnet netip.Prefix) bool {
	n := s.previous[from]
	if from.IsZero() {
		return n < fewTunnels || n < s.max-s.count
	}
	return s.fits(n) && (!subnet.IsValid() || s.fits(s.subnets[subnet]))
}

// add counts a hop.
func (s *tunnels) add(h *hop) {
	s.count++
	s.roles[h.role]++
	s.previous[h.previous]++
	if h.subnet.IsValid() {
		s.subnets[h.subnet]++
	}
	if h.role != build.OutboundEndpoint {
		s.next[h.nextRouter]++
	}
}

// remove counts it no more.
func (s *tunnels) remove(h *hop) {
	s.count--
	s.roles[h.role]--
	less(s.previous, h.previous)
	if h.subnet.IsValid() {
		less(s.subnets, h.subnet)
	}
	if h.role != build.OutboundEndpoint {
		less(s.next, h.nextRouter)
	}
}

func less[K comparable](counts map[K]int, key K) {
	counts[key]--
	if counts[key] <= 0 {
		delete(counts, key)
	}
}
