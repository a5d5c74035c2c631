package crowd

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"allium/internal/tunnel/pool"
)

// Tally is how builds of nodes went, all their pools together.
type Tally struct {
	Built, Failed, Late, Held, Dropped int
	Causes                             map[pool.Cause]int
	TestsPassed, TestsFailed           int
}

// Tally counts the builds of the nodes that are alive, since they started.
func (n *Network) Tally() Tally { return n.TallyOf(func(string) bool { return true }) }

// Explorations is the part of the tally that is the routers' own tunnels.
func (n *Network) Explorations() Tally {
	return n.TallyOf(func(pool string) bool { return pool == "exploratory" })
}

// TallyOf counts the builds of some pools.
func (n *Network) TallyOf(of func(pool string) bool) Tally {
	t := Tally{Causes: make(map[pool.Cause]int)}
	for _, nd := range n.Alive() {
		for _, p := range nd.Status().Pools {
			if !of(p.Name) {
				continue
			}
			for _, side := range []pool.Status{p.Inbound, p.Outbound} {
				t.Built += side.Built
				t.Failed += side.Failed
				t.Late += side.Late
				t.Held += side.Held
				t.Dropped += side.Dropped
				for cause, count := range side.Causes {
					t.Causes[cause] += count
				}
			}
			t.TestsPassed += p.Tests.Passed
			t.TestsFailed += p.Tests.Failed
		}
	}
	return t
}

// Since is what came after an earlier tally.
func (t Tally) Since(before Tally) Tally {
	t.Built -= before.Built
	t.Failed -= before.Failed
	t.Late -= before.Late
	t.Held -= before.Held
	t.Dropped -= before.Dropped
	t.TestsPassed -= before.TestsPassed
	t.TestsFailed -= before.TestsFailed
	causes := make(map[pool.Cause]int)
	for cause, count := range t.Causes {
		if count -= before.Causes[cause]; count > 0 {
			causes[cause] = count
		}
	}
	t.Causes = causes
	return t
}

// Success is the part of the builds that succeeded, 0 to 1.
func (t Tally) Success() float64 {
	if t.Built+t.Failed == 0 {
		return 0
	}
	return float64(t.Built) / float64(t.Built+t.Failed)
}

// String is one line with everything.
func (t Tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%.1f %% of %d builds (%d late, %d held), %d tunnels dropped, tests %d of %d",
		100*t.Success(), t.Built+t.Failed, t.Late, t.Held, t.Dropped, t.TestsPassed, t.TestsPassed+t.TestsFailed)
	for _, cause := range slices.Sorted(maps.Keys(t.Causes)) {
		fmt.Fprintf(&b, "; %s %d", cause, t.Causes[cause])
	}
	return b.String()
}

// Buckets runs the network for so many periods and tallies each.
func (n *Network) Buckets(count int, period time.Duration) []Tally {
	all := make([]Tally, count)
	before := n.Tally()
	for i := range all {
		n.Run(period)
		now := n.Tally()
		all[i] = now.Since(before)
		before = now
		n.Logf("%v", all[i])
	}
	return all
}

// Slope is how success changes from one tally to the next, by least squares.
func Slope(all []Tally) float64 {
	mean, middle := 0.0, float64(len(all)-1)/2
	for _, t := range all {
		mean += t.Success() / float64(len(all))
	}
	var up, down float64
	for i, t := range all {
		x := float64(i) - middle
		up += x * (t.Success() - mean)
		down += x * x
	}
	return up / down
}
