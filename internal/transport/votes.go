package transport

import (
	"net/netip"
	"slices"
	"time"

	"allium/internal/data"
)

const (
	// ballot is how many of the latest votes count, each of another network,
	// and leastVotes how many must agree. They must also be more than half, so
	// that one who lies changes nothing, and a change is noticed as soon as
	// new votes outweigh the old.
	ballot     = 9
	leastVotes = 3
	// voteLife is how long a vote counts.
	voteLife = 24 * time.Hour
)

// vote is where one peer sees us.
type vote struct {
	peer    data.Hash
	network netip.Prefix // of the peer; zero if it does not matter
	saw     netip.Addr
	at      time.Time
}

// votes are the latest, the last one last: one for each peer and, in public,
// for each network, so that it takes more than many routers of one's own to
// tell us where we are.
type votes []vote

func (v *votes) add(n vote) {
	kept := slices.DeleteFunc(*v, func(o vote) bool {
		return o.peer == n.peer || n.network.IsValid() && o.network == n.network
	})
	if len(kept) == ballot {
		kept = slices.Delete(kept, 0, 1)
	}
	*v = append(kept, n)
}

// winner is the address that enough peers agree upon, and how many do. It is
// the zero Addr if there is none.
func (v votes) winner(now time.Time) (winner netip.Addr, agree int) {
	all := 0
	for i := range v {
		if now.Sub(v[i].at) > voteLife {
			continue
		}
		all++
		if n := v.count(now, v[i].saw); n > agree {
			winner, agree = v[i].saw, n
		}
	}
	if agree < leastVotes || 2*agree <= all {
		return netip.Addr{}, agree
	}
	return winner, agree
}

func (v votes) count(now time.Time, a netip.Addr) (n int) {
	for i := range v {
		if v[i].saw == a && now.Sub(v[i].at) <= voteLife {
			n++
		}
	}
	return n
}

// without are the votes but those for addresses that match.
func (v votes) without(match func(netip.Addr) bool) votes {
	return slices.DeleteFunc(v, func(o vote) bool { return match(o.saw) })
}
