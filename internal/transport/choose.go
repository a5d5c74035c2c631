package transport

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

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

// candidates are the ways to dial a router, the ones it likes best first, and
// of those it likes as well the ones that work best from here. This is where
// every transport bids. The lock is held.
func (t *Transport) candidates(now time.Time, ri *data.RouterInfo) []candidate {
	type bid struct {
		candidate
		cost uint8
	}
	var bids []bid
	for _, a := range ri.Addresses() {
		if c, ok := t.bidNTCP2(now, a); ok {
			bids = append(bids, bid{c, a.Cost})
		}
	}
	slices.SortStableFunc(bids, func(a, b bid) int {
		return cmp.Or(cmp.Compare(a.cost, b.cost), cmp.Compare(t.rank(now, a.family()), t.rank(now, b.family())))
	})
	all := make([]candidate, len(bids))
	for i, b := range bids {
		all[i] = b.candidate
	}
	return all
}

// family is that of the address.
func (c candidate) family() Family { return familyOf(c.to.Addr()) }

// bidNTCP2 tells whether NTCP2 can dial an address.
func (t *Transport) bidNTCP2(now time.Time, a data.RouterAddress) (candidate, bool) {
	to, published := a.AddrPort()
	static, hasStatic := a.StaticKey()
	_, hasIV := a.IV()
	if a.Style != data.StyleNTCP2 || !a.SpeaksV2() || !published || !hasStatic || !hasIV || !t.dialable(now, to) {
		return candidate{}, false
	}
	return candidate{t.source(to.Addr()), to, static}, true
}

// dialable tells addresses that can be reached from here and are not our own.
// In public, ports of other services are left alone: whoever publishes one
// might want all routers to knock at somebody else's door.
func (t *Transport) dialable(now time.Time, to netip.AddrPort) bool {
	a := to.Addr()
	if a.IsMulticast() || data.Overlay(a) || t.ours(to) {
		return false
	}
	if !t.cfg.AllowPrivate && (!data.Routable(a) || !data.PublishablePort(to.Port())) {
		return false
	}
	return t.open(now, familyOf(a))
}

// ours tells an address that leads back to us.
func (t *Transport) ours(to netip.AddrPort) bool {
	return slices.ContainsFunc(t.own, func(own netip.AddrPort) bool {
		everywhere := own.Addr().IsUnspecified() && slices.Contains(t.here.addrs, to.Addr())
		return own.Port() == to.Port() && (own.Addr() == to.Addr() || everywhere)
	})
}

// source is the local address to dial from: the one we listen on or publish,
// because peers refuse connections that come from elsewhere than our
// RouterInfo says.
func (t *Transport) source(to netip.Addr) netip.Addr {
	f := familyOf(to)
	for _, l := range t.cfg.Listen {
		if familyOf(l.Addr()) == f && !l.Addr().IsUnspecified() {
			return l.Addr()
		}
	}
	if at := t.external[f].at.Addr(); at.IsValid() && slices.Contains(t.here.addrs, at) {
		return at
	}
	return netip.Addr{}
}

// Dialable tells whether a router has an address that can be dialled from
// here.
func (t *Transport) Dialable(ri *data.RouterInfo) bool {
	now := t.h.Now()
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.ContainsFunc(ri.Addresses(), func(a data.RouterAddress) bool {
		_, ok := t.bidNTCP2(now, a)
		return ok
	})
}
