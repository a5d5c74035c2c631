package netdb

import (
	"net/netip"
	"slices"

	"allium/internal/data"
	"allium/internal/x25519"
)

const (
	// maxRivals is how many routers may claim the same, as long as none has
	// proven that it is its own.
	maxRivals = 3
	// maxClaims bounds what one router may claim. Honest ones have at most
	// two addresses for each of two transports.
	maxClaims = 16
)

// claim is something that only one router can truly have: a static key, or
// else a port of an address for one transport.
//
// Anybody can write the key and the addresses of another into a RouterInfo of
// his own. So who was there first is never pushed out by a claim, and who
// comes later is not shut out by one: both are kept, but not any number of
// them, which would have us and everybody knock at one door. What decides is
// what we see ourselves: see [DB.Proven] and [DB.Missed].
type claim struct {
	static x25519.PublicKey
	style  string
	at     netip.AddrPort
}

// claimsOf is what a RouterInfo claims.
func claimsOf(ri *data.RouterInfo) []claim {
	var all []claim
	add := func(c claim) {
		if len(all) < maxClaims && !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	for _, a := range ri.Addresses() {
		if a.Style != data.StyleNTCP2 && a.Style != data.StyleSSU2 {
			continue
		}
		if static, ok := a.StaticKey(); ok {
			add(claim{static: static})
		}
		if at, ok := a.AddrPort(); ok {
			add(claim{style: a.Style, at: at})
		}
	}
	return all
}

// contested reports whether a router claims what is another's, or what too
// many claim already.
func (d *DB) contested(h data.Hash, claims []claim) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, c := range claims {
		rivals := 0
		for _, r := range d.claims[c] {
			if r.hash == h {
				continue
			}
			if rivals++; rivals >= maxRivals || r.proven == c {
				return true
			}
		}
	}
	return false
}

// claim notes what a router claims. The lock is held.
func (d *DB) claim(r *router, claims []claim) {
	r.claims = claims
	for _, c := range claims {
		d.claims[c] = append(d.claims[c], r)
	}
}

// release undoes claim. The lock is held.
func (d *DB) release(r *router) {
	for _, c := range r.claims {
		others := slices.DeleteFunc(d.claims[c], func(other *router) bool { return other == r })
		if len(others) == 0 {
			delete(d.claims, c)
		} else {
			d.claims[c] = others
		}
	}
	r.claims = nil
}
