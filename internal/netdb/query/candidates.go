package query

import (
	"net/netip"
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/random"
)

const (
	// nearest is how many floodfills a search or a publication chooses from.
	// It is more than the closest few, which one attacker may own, and no more
	// than others choose from: what is stored farther away is not found.
	nearest = 20
	// lastResort is how many of those that have failed of late are kept beside.
	lastResort = 10
	// A floodfill that failed once, and never answered, has a score below
	// badScore for half an hour; one that answered has more than goodScore.
	badScore, goodScore = 0.38, 0.55
)

// candidates are floodfills to choose from, closest first.
type candidates struct {
	// all are those near a routing key, but for the failing, which have
	// disappointed us of late.
	all, failing []*data.RouterInfo
	// known are those of them that have answered us, or had a session with us.
	// Of others we know only what they say of themselves.
	known []*data.RouterInfo
}

// floodfills are those to ask or tell about what belongs at a routing key.
func (q *Queries) floodfills(now time.Time, routingKey data.Hash) (c candidates) {
	c.all = q.db.ClosestTo(routingKey, nearest, func(ri *data.RouterInfo) bool {
		if !q.eligible(ri) {
			return false
		}
		if !q.disappoints(now, ri.Hash()) {
			return true
		}
		if len(c.failing) < lastResort {
			c.failing = append(c.failing, ri)
		}
		return false
	})
	for _, ri := range c.all {
		if q.db.HasMet(now, ri.Hash()) || q.profiles.LookupScore(now, ri.Hash()) > goodScore {
			c.known = append(c.known, ri)
		}
	}
	return c
}

// disappoints tells whether a floodfill has failed us of late.
func (q *Queries) disappoints(now time.Time, h data.Hash) bool {
	return !q.profiles.UsableForLookups(now, h) || q.profiles.LookupScore(now, h) < badScore || q.isCaught(now, h)
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

// choose picks the first candidate that may be, as apart does, for the turn
// with a number. Every other turn is for one that is known, if possible: those
// that are not may all be nobody.
func (c candidates) choose(turn int, taken []*data.RouterInfo, may func(data.Hash) bool) *data.RouterInfo {
	order := [...][]*data.RouterInfo{c.all, c.failing}
	if turn%2 == 0 {
		order = [...][]*data.RouterInfo{c.known, c.all}
	}
	for _, list := range order {
		if ri := apart(list, taken, may); ri != nil {
			return ri
		}
	}
	return apart(c.failing, taken, may)
}

// search is choose for searches, which in every fourth turn ask one that is
// failing: it may have come back, after an outage for instance, and have what
// others have not.
func (c candidates) search(turn int, taken []*data.RouterInfo, may func(data.Hash) bool) *data.RouterInfo {
	if turn%4 == 3 {
		if ri := apart(c.failing, taken, may); ri != nil {
			return ri
		}
	}
	return c.choose(turn, taken, may)
}

// far are those that are not among the closest, in any order.
func (c candidates) far() candidates {
	all := slices.Clone(c.all[min(farFrom, len(c.all)):min(nearest, len(c.all))])
	for i := range all {
		j := i + random.IntN(len(all)-i)
		all[i], all[j] = all[j], all[i]
	}
	return candidates{all: all}
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
