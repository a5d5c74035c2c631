package pool

import (
	"fmt"
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/tunnel/build"
)

// Cause is why a build failed, in words for people. Empty for success.
type Cause string

// The causes. A refusal names its hop and code instead.
const (
	CauseNoAnswer    Cause = "no answer"
	CauseUnreachable Cause = "first hop unreachable"
	CauseUnreached   Cause = "first hop not reached in time"
	CauseTampered    Cause = "answer tampered with"
	CauseBadKey      Cause = "hop with a bad key"
	CauseNoPeers     Cause = "not enough peers"
	CauseNoRoute     Cause = "no tunnel for the request"
	CauseBusy        Cause = "too busy"
)

func refusedBy(hop int, code build.Code) Cause {
	return Cause(fmt.Sprintf("refused by hop %d with code %d", hop+1, code))
}

// local tells causes for which nobody else was bothered.
func (c Cause) local() bool { return c == CauseNoPeers || c == CauseNoRoute || c == CauseBusy }

// DirectionStats counts the builds of one direction.
type DirectionStats struct {
	Built int `json:"built"`
	// Late ones were given up before their answer came, and count as failed.
	Late   int `json:"late"`
	Failed int `json:"failed"`
	// Held builds were never sent, for want of peers, of a tunnel for the
	// request, or of a worker. They say nothing about the network.
	Held int `json:"held"`
	// Causes is why builds failed or were held, by the words of Cause.
	Causes map[Cause]int `json:"causes,omitempty"`
	// Dropped tunnels stood, and were found not to work later.
	Dropped int `json:"dropped"`
}

func (s *DirectionStats) count(cause Cause) {
	if cause == "" {
		s.Built++
		return
	}
	if cause.local() {
		s.Held++
	} else {
		s.Failed++
	}
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
	// Tunnels are those that are usable, the oldest first.
	Tunnels []TunnelStatus `json:"tunnels"`
}

// TunnelStatus is the state of one tunnel.
type TunnelStatus struct {
	Hops     []string      `json:"hops"` // hashes, in the order messages travel
	Expires  time.Time     `json:"expires"`
	Working  bool          `json:"working"`
	RTT      time.Duration `json:"rtt_ns"` // of its last test; 0 untested
	Messages uint64        `json:"messages"`
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
	// Unwanted is what came for inbound tunnels and was no good, Unsent the
	// tunnel messages that the first hop was not given.
	Unwanted uint64 `json:"unwanted"`
	Unsent   uint64 `json:"unsent"`
}

// Status tells how the pool is at now.
func (p *Pool) Status(now time.Time) PoolStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := PoolStatus{
		Name: p.ctx.Name, Inbound: p.in.status(now), Outbound: p.out.status(now),
		Unwanted: p.unwanted.Load(), Unsent: p.unsent.Load(),
	}
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
		if !l.usable(now) {
			continue
		}
		hops, messages := t.carried()
		one := TunnelStatus{Expires: l.expires, Working: l.strikes == 0, RTT: l.rtt, Messages: messages}
		for _, hop := range hops {
			one.Hops = append(one.Hops, hop.String())
		}
		st.Tunnels = append(st.Tunnels, one)
		if one.Working {
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

// carried is where the tunnel goes and how many messages it was given.
func (o *Outbound) carried() ([]data.Hash, uint64) { return o.hops, o.sent.Load() }

// carried is where the tunnel goes and how many tunnel messages came.
func (i *Inbound) carried() ([]data.Hash, uint64) { return i.hops, i.received.Load() }
