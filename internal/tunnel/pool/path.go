package pool

import (
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"time"

	"allium/internal/data"
	"allium/internal/random"
	"allium/internal/tunnel/build"
)

// ErrNoPeers reports that there are not enough routers for a tunnel.
var ErrNoPeers = errors.New("pool: not enough peers")

// PathConfig says which routers may be hops, and which may be together in one
// tunnel.
type PathConfig struct {
	// MinVersion is the least router version, as data.ParseVersion counts.
	MinVersion int
	// AnySubnet lets hops share a subnet: for private networks.
	AnySubnet bool
	// Peers, if any, are the only routers to choose from, for tests.
	Peers []data.Hash
}

// RouterInfos is where a Selector finds peers.
type RouterInfos interface {
	// Select gives the RouterInfos that keep lets through, in an order that
	// is always the same.
	Select(keep func(*data.RouterInfo) bool) []*data.RouterInfo
}

// Selector chooses the hops of tunnels. Safe for concurrent use.
type Selector struct {
	cfg      PathConfig
	self     data.Hash
	known    RouterInfos
	profiles Profiles

	mu         sync.Mutex
	candidates []*candidate
	lookedAt   time.Time
}

// NewSelector makes a Selector for the router self.
func NewSelector(cfg PathConfig, self data.Hash, known RouterInfos, profiles Profiles) *Selector {
	return &Selector{cfg: cfg, self: self, known: known, profiles: profiles}
}

// hops chooses the hops of a tunnel, in the order messages travel: length of
// them, or fewer but least if there are no more. It fails with ErrNoPeers.
func (s *Selector) hops(now time.Time, d build.Direction, least, length int, key *[32]byte) ([]build.Hop, error) {
	chosen := s.choose(now, length)
	if len(chosen) < least {
		return nil, ErrNoPeers
	}
	if key != nil {
		order(chosen, key)
	} else {
		random.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	}
	if d == build.Inbound {
		slices.Reverse(chosen) // the same router is next to us both ways
	}
	hops := make([]build.Hop, len(chosen))
	for i, c := range chosen {
		hops[i] = c.hop
	}
	return hops, nil
}

// reluctance is how unwilling we are to choose a router. Others come first.
type reluctance int

const (
	gladly  reluctance = iota
	slow               // it shares little, has some load, or has to be introduced
	loaded             // it asks to be spared
	resting            // it has failed of late
	reluctances

	never = reluctances // it is banned
)

func (s *Selector) reluctance(now time.Time, c *candidate) reluctance {
	switch {
	case s.profiles.Banned(now, c.hop.Hash):
		return never
	case !s.profiles.Usable(now, c.hop.Hash):
		return resting
	}
	return c.says
}

// choose draws up to length routers that may be together in one tunnel. Each
// is asked about when it is drawn, so that the cost does not grow with how
// many there are.
func (s *Selector) choose(now time.Time, length int) (chosen []*candidate) {
	var left [reluctances][]*candidate
	left[gladly] = slices.Clone(s.eligible(now))
	for at := range reluctances {
		rest := left[at]
		for len(rest) > 0 && len(chosen) < length {
			i := s.better(now, rest)
			c := rest[i]
			last := len(rest) - 1
			rest[i], rest = rest[last], rest[:last]
			switch of := s.reluctance(now, c); {
			case of == never:
			case of > at:
				left[of] = append(left[of], c)
			case c.fits(chosen, s.cfg.AnySubnet):
				chosen = append(chosen, c)
			}
		}
	}
	return chosen
}

// better draws two and gives the index of the one with the higher score: the
// good are chosen more often, and none much more than others as good.
func (s *Selector) better(now time.Time, all []*candidate) int {
	i, j := random.IntN(len(all)), random.IntN(len(all))
	if s.profiles.Score(now, all[j].hop.Hash) > s.profiles.Score(now, all[i].hop.Hash) {
		return j
	}
	return i
}

// order sorts routers by the hash of a secret key and their own: a router
// always stands on the same side of another in all tunnels of a context, so
// that none can learn from changing neighbours how near it is to the creator.
func order(chosen []*candidate, key *[32]byte) {
	rank := func(c *candidate) data.Hash {
		return sha256.Sum256(append(key[:len(key):len(key)], c.hop.Hash[:]...))
	}
	slices.SortFunc(chosen, func(a, b *candidate) int { return rank(a).Compare(rank(b)) })
}
