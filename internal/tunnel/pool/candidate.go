package pool

import (
	"net/netip"
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/tunnel/build"
)

const (
	// lookEvery is how often the netDb is gone through for candidates. While
	// they are fewer than fewCandidates, as after the start, it is done every
	// lookEveryFew.
	lookEvery     = 10 * time.Second
	fewCandidates = 100
	lookEveryFew  = time.Second
)

// candidate is what a Selector has to know of a router that may be a hop.
type candidate struct {
	hop     build.Hop
	says    reluctance // for what it says of itself
	v4, v6  bool       // the kinds of addresses it can be dialled at
	subnets []netip.Prefix
	family  string
}

// eligible are the routers that may be hops at all, as of some seconds ago.
// They are not to be changed.
func (s *Selector) eligible(now time.Time) []*candidate {
	s.mu.Lock()
	known := s.candidates
	every := lookEvery
	if len(known) < fewCandidates {
		every = lookEveryFew
	}
	age := now.Sub(s.lookedAt)
	if known != nil && age >= 0 && age < every {
		s.mu.Unlock()
		return known
	}
	s.lookedAt = now
	s.mu.Unlock()

	infos := s.known.Select(s.admits)
	known = make([]*candidate, len(infos))
	for i, ri := range infos {
		known[i] = newCandidate(ri)
	}
	s.mu.Lock()
	s.candidates = known
	s.mu.Unlock()
	return known
}

// admits tells routers that may be hops at all.
func (s *Selector) admits(ri *data.RouterInfo) bool {
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
	v4, v6 := dialable(ri)
	return v4 || v6
}

// dialable tells over which kinds of addresses a router can be connected to by
// NTCP2.
func dialable(ri *data.RouterInfo) (v4, v6 bool) {
	for _, a := range ri.Addresses() {
		at, ok := a.AddrPort()
		if !ok || a.Style != data.StyleNTCP2 || !a.SpeaksV2() {
			continue
		}
		_, key := a.StaticKey()
		_, iv := a.IV()
		if key && iv {
			v4 = v4 || at.Addr().Is4()
			v6 = v6 || at.Addr().Is6()
		}
	}
	return v4, v6
}

func newCandidate(ri *data.RouterInfo) *candidate {
	key, _ := ri.Identity().X25519()
	c := &candidate{
		hop:     build.Hop{Hash: ri.Hash(), Key: key},
		subnets: ri.Subnets(),
		family:  ri.Family(),
	}
	c.v4, c.v6 = dialable(ri)
	switch caps := ri.Capabilities(); {
	case caps.Congestion == data.HighCongestion:
		c.says = loaded
	case caps.Congestion == data.MediumCongestion, caps.Unreachable, caps.Bandwidth == 'K', caps.Bandwidth == 'L':
		c.says = slow
	}
	return c
}

// fits tells whether c may be in one tunnel with others: they do not seem to
// have one operator, and can reach one another.
func (c *candidate) fits(others []*candidate, anySubnet bool) bool {
	for _, other := range others {
		switch {
		case c.hop.Hash == other.hop.Hash:
			return false
		case !(c.v4 && other.v4) && !(c.v6 && other.v6):
			return false
		case c.family != "" && c.family == other.family:
			return false
		case !anySubnet && slices.ContainsFunc(c.subnets, func(p netip.Prefix) bool { return slices.Contains(other.subnets, p) }):
			return false
		}
	}
	return true
}
