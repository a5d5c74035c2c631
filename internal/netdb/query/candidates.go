package query

import (
	"net/netip"
	"slices"
	"time"

	"allium/internal/data"
)

// nearest is how many floodfills a search or a publication chooses from. It is
// more than the closest few, which one attacker may own, and no more than
// others choose from: what is stored farther away is not found.
const nearest = 20

// floodfills are those to ask or tell about what belongs at a routing key:
// the nearest, closest first, but those that have failed of late at the end.
func (q *Queries) floodfills(now time.Time, routingKey data.Hash) []*data.RouterInfo {
	all := q.db.ClosestTo(routingKey, nearest, q.eligible)
	found := make([]*data.RouterInfo, 0, len(all))
	var failing []*data.RouterInfo
	for _, ri := range all {
		if q.profiles.UsableForLookups(now, ri.Hash()) {
			found = append(found, ri)
		} else {
			failing = append(failing, ri)
		}
	}
	return append(found, failing...)
}

// eligible tells floodfills that can be reached and understand us.
func (q *Queries) eligible(ri *data.RouterInfo) bool {
	c := ri.Capabilities()
	if !c.Floodfill || c.Hidden || c.Unreachable || ri.Hash() == q.self {
		return false
	}
	version, ok := ri.Version()
	_, x25519 := ri.Identity().X25519()
	return ok && x25519 && version >= q.minVersion
}

// apart picks the first candidate that is not taken, preferring one that
// shares no subnet with those that are: one operator may well own many
// hashes, and has seldom as many subnets. It is nil when there is none.
func apart(candidates, taken []*data.RouterInfo, may func(data.Hash) bool) *data.RouterInfo {
	var used []netip.Prefix
	for _, ri := range taken {
		used = append(used, ri.Subnets()...)
	}
	var first *data.RouterInfo
	for _, ri := range candidates {
		if !may(ri.Hash()) {
			continue
		}
		if !slices.ContainsFunc(ri.Subnets(), func(p netip.Prefix) bool { return slices.Contains(used, p) }) {
			return ri
		}
		if first == nil {
			first = ri
		}
	}
	return first
}
