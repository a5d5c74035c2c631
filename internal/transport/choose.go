package transport

import (
	"cmp"
	"net/netip"
	"slices"

	"allium/internal/data"
	"allium/internal/x25519"
)

// candidate is a way to dial a router. Two of them are the same when dialling
// one is as good as dialling the other.
type candidate struct {
	local  netip.Addr // to dial from, the zero Addr for any
	to     netip.AddrPort
	static x25519.PublicKey
}

// candidates are the ways to dial a router, the ones it likes best first. This
// is where every transport bids.
func (t *Transport) candidates(ri *data.RouterInfo) []candidate {
	addresses := slices.Clone(ri.Addresses())
	slices.SortStableFunc(addresses, func(a, b data.RouterAddress) int { return cmp.Compare(a.Cost, b.Cost) })
	var all []candidate
	for _, a := range addresses {
		if c, ok := t.bidNTCP2(a); ok {
			all = append(all, c)
		}
	}
	return all
}

// bidNTCP2 tells whether NTCP2 can dial an address.
func (t *Transport) bidNTCP2(a data.RouterAddress) (candidate, bool) {
	to, published := a.AddrPort()
	static, hasStatic := a.StaticKey()
	_, hasIV := a.IV()
	if a.Style != data.StyleNTCP2 || !a.SpeaksV2() || !published || !hasStatic || !hasIV || !t.dialable(to) {
		return candidate{}, false
	}
	return candidate{t.source(to.Addr()), to, static}, true
}

// dialable tells addresses that can be reached from here and are not our own.
// In public, ports of other services are left alone: whoever publishes one
// might want all routers to knock at somebody else's door.
func (t *Transport) dialable(to netip.AddrPort) bool {
	a := to.Addr()
	if a.IsMulticast() || slices.Contains(t.own, to) {
		return false
	}
	if !t.cfg.AllowPrivate && (!data.Routable(a) || !data.PublishablePort(to.Port())) {
		return false
	}
	if len(t.cfg.Listen) == 0 {
		return a.Is4()
	}
	return slices.ContainsFunc(t.cfg.Listen, func(l netip.AddrPort) bool { return l.Addr().Is4() == a.Is4() })
}

// source is the local address to dial from: the one we listen on, because
// peers refuse connections that come from elsewhere than our RouterInfo says.
func (t *Transport) source(to netip.Addr) netip.Addr {
	for _, l := range t.cfg.Listen {
		if l.Addr().Is4() == to.Is4() && !l.Addr().IsUnspecified() {
			return l.Addr()
		}
	}
	return netip.Addr{}
}

// Dialable tells whether a router has an address that can be dialled from
// here.
func (t *Transport) Dialable(ri *data.RouterInfo) bool {
	return slices.ContainsFunc(ri.Addresses(), func(a data.RouterAddress) bool {
		_, ok := t.bidNTCP2(a)
		return ok
	})
}
