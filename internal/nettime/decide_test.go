package nettime_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"allium/internal/nettime"
)

var (
	built = time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)
	today = built.Add(30 * 24 * time.Hour)
)

const year = 365 * 24 * time.Hour

// times are so many of one, as seconds.
func times(n int, each time.Duration) []time.Duration {
	all := make([]time.Duration, n)
	for i := range all {
		all[i] = each
	}
	return all
}

func join(all ...[]time.Duration) []time.Duration {
	var sum []time.Duration
	for _, some := range all {
		sum = append(sum, some...)
	}
	return sum
}

// TestWhoIsBelievedAtTheStart has a case for every rule.
func TestWhoIsBelievedAtTheStart(t *testing.T) {
	const s, h = time.Second, time.Hour
	for _, c := range []struct {
		name           string
		servers, peers []time.Duration
		want           nettime.Finding
	}{
		{"nobody", nil, nil, nettime.Finding{Reason: nettime.TooFew}},
		{"one server", times(1, h), nil, nettime.Finding{Reason: nettime.TooFew}},
		{"one peer", nil, times(1, h), nettime.Finding{Reason: nettime.TooFew}},
		{"four peers", nil, times(4, h), nettime.Finding{Reason: nettime.TooFew}},
		{"two servers", times(2, h), nil, nettime.Finding{Step: h, Source: nettime.Servers}},
		{"two that differ", []time.Duration{h, h + 3*s}, nil, nettime.Finding{Reason: nettime.Disagree}},
		{"two of three", []time.Duration{h, -h, h}, nil, nettime.Finding{Step: h, Source: nettime.Servers}},
		{"two of four", []time.Duration{h, -h, h, 2 * h}, nil, nettime.Finding{Reason: nettime.Disagree}},
		{"five peers", nil, times(5, h), nettime.Finding{Step: h, Source: nettime.Peers}},
		{"peers at sixes and sevens", nil, []time.Duration{-h, h, 2 * h, 3 * h, 4 * h, 5 * h}, nettime.Finding{Reason: nettime.Disagree}},
		{"both", times(2, h), times(5, h-2*s), nettime.Finding{Step: h, Source: nettime.Both}},
		{"peers deny, clock agrees with peers", times(4, h), times(5, s), nettime.Finding{Source: nettime.Peers}},
		{"servers deny, clock agrees with servers", times(2, s), times(40, h), nettime.Finding{Source: nettime.Servers}},
		{"three times, many peers", times(4, h), times(10, -h), nettime.Finding{Step: -h, Source: nettime.Peers}},
		{"three times, few peers", times(3, h), times(9, -h), nettime.Finding{Step: h, Source: nettime.Servers}},
		{"three times, divided peers", times(3, h), join(times(7, -h), times(3, h)), nettime.Finding{Step: h, Source: nettime.Servers}},
		{"three times, two servers", times(2, h), times(9, -h), nettime.Finding{Reason: nettime.Contrary}},
		{"silent servers", times(1, h), times(5, -h), nettime.Finding{Step: -h, Source: nettime.Peers}},
		{"before the program", times(4, -31*24*h), nil, nettime.Finding{Reason: nettime.Implausible}},
		{"in eleven years", nil, times(9, 11*year), nettime.Finding{Reason: nettime.Implausible}},
		{"in nine years", times(2, 9*year), nil, nettime.Finding{Step: 9 * year, Source: nettime.Servers}},
		{"impossible liars", join(times(2, h), times(9, 20*year)), nil, nettime.Finding{Step: h, Source: nettime.Servers}},
		{"servers a little off", times(2, 400*time.Millisecond), nil, nettime.Finding{Source: nettime.Servers}},
		{"servers a second off", times(2, -s), nil, nettime.Finding{Step: -s, Source: nettime.Servers}},
		{"peers a second off", nil, times(5, s), nettime.Finding{Source: nettime.Peers}},
	} {
		got := nettime.NewCourse(built).Decide(today, nettime.Evidence{Servers: c.servers, Peers: c.peers})
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestAClockYearsOffIsPutRight starts before the program was made, and at 1970.
func TestAClockYearsOffIsPutRight(t *testing.T) {
	for _, wrong := range []time.Duration{-3 * year, 3 * year, built.Sub(time.Unix(0, 0)) * -1} {
		for _, e := range []nettime.Evidence{{Servers: times(2, -wrong)}, {Peers: times(5, -wrong)}} {
			if f := nettime.NewCourse(built).Decide(today.Add(wrong), e); f.Step != -wrong {
				t.Errorf("%v wrong: %+v", wrong, f)
			}
		}
	}
}

// TestStepsAreBoundedOnceTheTimeIsKnown has the time told wrong by everybody.
func TestStepsAreBoundedOnceTheTimeIsKnown(t *testing.T) {
	c := nettime.NewCourse(built)
	c.Decide(today, nettime.Evidence{Servers: times(4, 0), Peers: times(9, 0)})
	var moved time.Duration
	uptime := time.Duration(0)
	for range 600 {
		uptime += 3 * time.Second
		f := c.Decide(today, nettime.Evidence{Uptime: uptime, Servers: times(4, time.Hour), Peers: times(9, time.Hour)})
		moved += f.Step
	}
	if moved < 280*time.Second || moved > 310*time.Second {
		t.Errorf("moved %v in half an hour", moved)
	}
}

// TestTwoInFiveLiarsMoveTheClockByLessThanFiveSeconds lets them tell whatever
// does most harm: all the same, near or far, and over a long time.
func TestTwoInFiveLiarsMoveTheClockByLessThanFiveSeconds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{5, 6, 10, 30, 64} {
		for _, lie := range []time.Duration{time.Second, 4 * time.Second, 9 * time.Second, -30 * time.Second, time.Hour, 3 * year} {
			t.Run(fmt.Sprintf("%d peers %v", n, lie), func(t *testing.T) {
				c := nettime.NewCourse(built)
				var wrong time.Duration // of our clock
				for minute := range 120 {
					peers := times(2*n/5, lie-wrong)
					for len(peers) < n {
						peers = append(peers, time.Duration(rng.Int64N(int64(3*time.Second)))-1500*time.Millisecond-wrong)
					}
					f := c.Decide(today, nettime.Evidence{Uptime: time.Duration(minute) * time.Minute, Peers: peers})
					if wrong += f.Step; wrong.Abs() >= 5*time.Second {
						t.Fatalf("wrong by %v after %d minutes", wrong, minute)
					}
				}
			})
		}
	}
}
