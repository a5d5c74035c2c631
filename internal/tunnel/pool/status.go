package pool

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"allium/internal/tunnel/build"
)

// Cause is why a build failed, in words for people. Empty for success.
type Cause string

// The causes. A refusal names its hop and code as well.
const (
	CauseNoAnswer    Cause = "no answer"
	CauseUnreachable Cause = "first hop unreachable"
	CauseTampered    Cause = "answer tampered with"
	CauseNoPeers     Cause = "not enough peers"
	CauseNoRoute     Cause = "no tunnel for the request"
	CauseBusy        Cause = "too busy"
)

func refusedBy(hop int, code build.Code) Cause {
	return Cause(fmt.Sprintf("refused by hop %d with code %d", hop+1, code))
}

// DirectionStats counts the builds of one direction.
type DirectionStats struct {
	Built int `json:"built"`
	// Late ones were given up before their answer came, and count as failed.
	Late   int `json:"late"`
	Failed int `json:"failed"`
	// Causes is why builds failed, by the words of Cause.
	Causes map[Cause]int `json:"causes,omitempty"`
	// Dropped tunnels stood, and failed their tests later.
	Dropped int `json:"dropped"`
}

func (s *DirectionStats) count(cause Cause) {
	if cause == "" {
		s.Built++
		return
	}
	s.Failed++
	if s.Causes == nil {
		s.Causes = make(map[Cause]int)
	}
	s.Causes[cause]++
}

// Status is the state of one direction of a pool.
type Status struct {
	Wanted   int `json:"wanted"`
	Good     int `json:"good"`
	Building int `json:"building"`
	DirectionStats
	// RTT is the median round trip of the tunnels' last tests, outbound and
	// inbound together.
	RTT time.Duration `json:"rtt_ns"`
}

// PoolStatus is the state of a pool.
type PoolStatus struct {
	Name     string `json:"name"`
	Inbound  Status `json:"inbound"`
	Outbound Status `json:"outbound"`
	Tests    struct {
		Passed int `json:"passed"`
		Failed int `json:"failed"`
	} `json:"tests"`
}

// Status tells how the pool is at now.
func (p *Pool) Status(now time.Time) PoolStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := PoolStatus{Name: p.ctx.Name, Inbound: p.in.status(now), Outbound: p.out.status(now)}
	s.Tests.Passed, s.Tests.Failed = p.tests.passed, p.tests.failed
	return s
}

func (s *side[T]) status(now time.Time) Status {
	st := Status{Wanted: s.want, Building: s.building, DirectionStats: s.stats}
	st.Causes = make(map[Cause]int, len(s.stats.Causes))
	for cause, n := range s.stats.Causes {
		st.Causes[cause] = n
	}
	var rtts []time.Duration
	for _, t := range s.tunnels {
		l := t.life()
		if l.usable(now) && l.failures == 0 {
			st.Good++
		}
		if l.rtt > 0 {
			rtts = append(rtts, l.rtt)
		}
	}
	if slices.Sort(rtts); len(rtts) > 0 {
		st.RTT = rtts[len(rtts)/2]
	}
	return st
}

// sortFlights puts builds into an order that does not depend on a map.
func sortFlights(all []*flight) {
	slices.SortFunc(all, func(a, b *flight) int { return cmp.Compare(a.build.MessageID(), b.build.MessageID()) })
}

// sortProbes does the same for tests.
func sortProbes(all []*probe) {
	slices.SortFunc(all, func(a, b *probe) int { return cmp.Compare(a.out.next, b.out.next) })
}
