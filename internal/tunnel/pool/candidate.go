package pool

import (
	"net/netip"
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/profile"
	"allium/internal/tunnel/build"
	"allium/internal/x25519"
)

// oldCongestion is the age at which a RouterInfo that asks to be spared no
// longer tells how things are (proposal 162).
const oldCongestion = 15 * time.Minute

// candidate is what a Selector has to know of a router that may be a hop.
type candidate struct {
	*traits
	near      bool         // we can dial it
	connected bool         // there is a session with it
	remote    netip.Prefix // the subnet of the session
	profile   profile.Standing
}

// traits are what follows from a RouterInfo. They are never changed.
type traits struct {
	hop       build.Hop
	info      *data.RouterInfo
	caps      data.Capabilities
	published time.Time
	v4, v6    bool // the kinds of addresses it can be dialled at
	statics   []x25519.PublicKey
	points    []netip.AddrPort
	subnets   []netip.Prefix
	family    string
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
	return slices.ContainsFunc(ri.Addresses(), dialable)
}

// dialable tells an address that can be connected to by NTCP2.
func dialable(a data.RouterAddress) bool {
	_, at := a.AddrPort()
	_, key := a.StaticKey()
	_, iv := a.IV()
	return at && key && iv && a.Style == data.StyleNTCP2 && a.SpeaksV2()
}

func newTraits(ri *data.RouterInfo) *traits {
	key, _ := ri.Identity().X25519()
	c := &traits{
		hop:  build.Hop{Hash: ri.Hash(), Key: key},
		info: ri, caps: ri.Capabilities(), published: ri.Published(),
		subnets: ri.Subnets(), family: ri.Family(),
	}
	for _, a := range ri.Addresses() {
		if at, ok := a.AddrPort(); ok {
			c.points = append(c.points, at)
		}
		if static, ok := a.StaticKey(); ok && !slices.Contains(c.statics, static) {
			c.statics = append(c.statics, static)
		}
		if dialable(a) {
			v4, v6 := a.Families()
			c.v4, c.v6 = c.v4 || v4, c.v6 || v6
		}
	}
	return c
}

// loaded tells a router that asks to be spared, and said so not long ago.
func (c *candidate) loaded(now time.Time) bool {
	return c.caps.Congestion == data.HighCongestion && now.Sub(c.published) < oldCongestion
}

// meek tells a router that shares too little for anybody's traffic, or says
// that it cannot be dialled, although it has an address.
func (c *candidate) meek() bool { return c.caps.Bandwidth <= 'L' || c.caps.Unreachable }

// fits tells whether c may be in one tunnel with others: they do not seem to
// have one operator, and can reach one another.
func (c *candidate) fits(others []*candidate, anySubnet bool) bool {
	for _, other := range others {
		switch {
		case c.hop.Hash == other.hop.Hash:
			return false
		case !(c.v4 && other.v4) && !(c.v6 && other.v6):
			return false
		case c.caps.Unreachable && other.caps.Unreachable:
			return false
		case c.oneOperator(other, anySubnet):
			return false
		}
	}
	return true
}

// oneOperator tells that two routers may well belong to one person.
func (c *candidate) oneOperator(other *candidate, anySubnet bool) bool {
	switch {
	case c.family != "" && c.family == other.family:
		return true
	case slices.ContainsFunc(c.statics, func(k x25519.PublicKey) bool { return slices.Contains(other.statics, k) }):
		return true
	case slices.ContainsFunc(c.points, func(a netip.AddrPort) bool { return slices.Contains(other.points, a) }):
		return true
	case anySubnet:
		return false
	}
	return c.remote.IsValid() && other.in(c.remote) ||
		slices.ContainsFunc(c.subnets, other.in)
}

// in tells whether a router publishes an address in a subnet, or is seen
// there.
func (c *candidate) in(subnet netip.Prefix) bool {
	return c.remote == subnet || slices.Contains(c.subnets, subnet)
}

// subnetOf is the part of an address that one operator may well own, as
// data.RouterInfo.Subnets has it.
func subnetOf(a netip.Addr) netip.Prefix {
	bits := 16
	if a.Is6() {
		bits = 32
	}
	// It only fails for bits that no address has.
	p, _ := a.Prefix(bits)
	return p
}
