package reseed

import (
	"iter"
	"net/netip"
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/random"
	"allium/internal/su3"
)

const (
	// current is how old a RouterInfo may be that is passed on: others drop it
	// at data.RouterInfoMaxAge.
	current = 12 * time.Hour
	// perSubnet is how many routers of one subnet are passed on together.
	perSubnet = 2
)

// Criteria say whom to pass on.
type Criteria struct {
	NetID uint8
	// Private is a network of one's own, where any version and address will do
	// and subnets mean nothing.
	Private bool
	Now     time.Time
}

// Choose picks at most n of all routers for somebody who knows nobody yet:
// reachable, not overloaded, of a version that everybody takes, heard of in
// the last hours, and spread over many subnets. The choice is random among
// them, so that it does not tell whom we deal with.
func Choose(all iter.Seq[*data.RouterInfo], c Criteria, n int) []su3.Entry {
	var good []*data.RouterInfo
	for ri := range all {
		if c.good(ri) {
			good = append(good, ri)
		}
	}
	random.Shuffle(len(good), func(i, j int) { good[i], good[j] = good[j], good[i] })
	var chosen []su3.Entry
	taken := map[netip.Prefix]int{}
	for _, ri := range good {
		if len(chosen) == n {
			break
		}
		subnets := ri.Subnets()
		if !c.Private && slices.ContainsFunc(subnets, func(p netip.Prefix) bool { return taken[p] >= perSubnet }) {
			continue
		}
		for _, p := range subnets {
			taken[p]++
		}
		chosen = append(chosen, su3.Entry{Name: su3.EntryName(ri.Hash()), Bytes: ri.Bytes()})
	}
	return chosen
}

// good tells who is worth being passed on.
func (c Criteria) good(ri *data.RouterInfo) bool {
	version, _ := ri.Version()
	id, _ := ri.NetID()
	age := c.Now.Sub(ri.Published())
	if id != int(c.NetID) || !c.Private && version < data.VersionPeer || age > current || age < -data.RouterInfoMaxFuture {
		return false
	}
	if ri.Hidden() || ri.Unreachable() || ri.Congestion() >= data.HighCongestion || len(ri.Bytes()) > su3.MaxEntry {
		return false
	}
	return slices.ContainsFunc(ri.Addresses(), func(a data.RouterAddress) bool {
		at, ok := a.AddrPort()
		return ok && (c.Private || ri.Reachable() && data.Routable(at.Addr()))
	})
}
