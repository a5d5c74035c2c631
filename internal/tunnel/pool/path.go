package pool

import (
	"crypto/sha256"
	"errors"
	"net/netip"
	"slices"
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

// Selector chooses the hops of tunnels.
type Selector struct {
	cfg      PathConfig
	self     data.Hash
	known    RouterInfos
	profiles Profiles
}

// NewSelector makes a Selector for the router self.
func NewSelector(cfg PathConfig, self data.Hash, known RouterInfos, profiles Profiles) *Selector {
	return &Selector{cfg: cfg, self: self, known: known, profiles: profiles}
}

// hops chooses the hops of a tunnel, in the order messages travel. It fails
// with ErrNoPeers.
func (s *Selector) hops(now time.Time, d build.Direction, length int, key *[32]byte) ([]build.Hop, error) {
	candidates := s.known.Select(s.eligible)
	var chosen []*data.RouterInfo
	for _, strict := range []bool{true, false} {
		chosen = s.choose(now, candidates, length, strict)
		if len(chosen) == length {
			break
		}
	}
	if len(chosen) < length || length == 0 {
		return nil, ErrNoPeers
	}
	if key != nil {
		order(chosen, key)
	}
	if d == build.Inbound {
		slices.Reverse(chosen) // the same router is next to us both ways
	}
	hops := make([]build.Hop, len(chosen))
	for i, ri := range chosen {
		encryption, _ := ri.Identity().X25519()
		hops[i] = build.Hop{Hash: ri.Hash(), Key: encryption}
	}
	return hops, nil
}

// eligible tells routers that may be hops at all.
func (s *Selector) eligible(ri *data.RouterInfo) bool {
	version, ok := ri.Version()
	if _, x25519 := ri.Identity().X25519(); !ok || !x25519 || version < s.cfg.MinVersion {
		return false
	}
	c := ri.Capabilities()
	if ri.Hash() == s.self || c.Bandwidth == 0 || c.Hidden || c.Congestion == data.RejectsTunnels {
		return false
	}
	if len(s.cfg.Peers) > 0 && !slices.Contains(s.cfg.Peers, ri.Hash()) {
		return false
	}
	return dialable(ri)
}

// dialable tells routers that can be connected to over NTCP2.
func dialable(ri *data.RouterInfo) bool {
	for _, a := range ri.Addresses() {
		if _, ok := a.AddrPort(); !ok || a.Style != data.StyleNTCP2 || !a.SpeaksV2() {
			continue
		}
		_, key := a.StaticKey()
		_, iv := a.IV()
		if key && iv {
			return true
		}
	}
	return false
}

// choose draws length routers that may be together in one tunnel. Strict
// leaves out those that are slow, loaded or have failed of late.
func (s *Selector) choose(now time.Time, candidates []*data.RouterInfo, length int, strict bool) []*data.RouterInfo {
	pool := make([]*data.RouterInfo, 0, len(candidates))
	for _, ri := range candidates {
		if !strict || s.preferred(now, ri) {
			pool = append(pool, ri)
		}
	}
	var chosen []*data.RouterInfo
	for len(chosen) < length && len(pool) > 0 {
		i := s.better(now, pool)
		ri := pool[i]
		pool[i] = pool[len(pool)-1]
		pool = pool[:len(pool)-1]
		if s.cfg.AnySubnet || !sharesSubnet(ri, chosen) {
			chosen = append(chosen, ri)
		}
	}
	return chosen
}

// preferred tells routers that are likely to accept and to carry well.
func (s *Selector) preferred(now time.Time, ri *data.RouterInfo) bool {
	c := ri.Capabilities()
	slow := c.Bandwidth == 'K' || c.Bandwidth == 'L'
	return !slow && c.Congestion != data.HighCongestion && !c.Unreachable && s.profiles.Usable(now, ri.Hash())
}

// better draws two and gives the index of the one with the higher score: the
// good are chosen more often, and none always.
func (s *Selector) better(now time.Time, pool []*data.RouterInfo) int {
	i, j := random.IntN(len(pool)), random.IntN(len(pool))
	if s.profiles.Score(now, pool[j].Hash()) > s.profiles.Score(now, pool[i].Hash()) {
		return j
	}
	return i
}

// sharesSubnet tells whether any two published addresses are of one subnet:
// the first 16 bits of IPv4 and 32 of IPv6, which one operator may well own.
func sharesSubnet(ri *data.RouterInfo, others []*data.RouterInfo) bool {
	for _, other := range others {
		for _, a := range subnets(ri) {
			if slices.Contains(subnets(other), a) {
				return true
			}
		}
	}
	return false
}

func subnets(ri *data.RouterInfo) []netip.Prefix {
	var all []netip.Prefix
	for _, a := range ri.Addresses() {
		addr, ok := a.Host()
		if !ok {
			continue
		}
		bits := 16
		if addr.Is6() {
			bits = 32
		}
		if p, err := addr.Prefix(bits); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// order sorts routers by the hash of a secret key and their own: a router
// always stands on the same side of another in all tunnels of a context, so
// that none can learn from changing neighbours how near it is to the creator.
func order(chosen []*data.RouterInfo, key *[32]byte) {
	rank := func(ri *data.RouterInfo) data.Hash {
		h := ri.Hash()
		return sha256.Sum256(append(key[:len(key):len(key)], h[:]...))
	}
	slices.SortFunc(chosen, func(a, b *data.RouterInfo) int { return rank(a).Compare(rank(b)) })
}
