package transport_test

import (
	"fmt"
	"testing"
	"time"

	"allium/internal/sim"
	"allium/internal/transport"
)

func TestClockSkewIsTheMedianOfPeers(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	a := simNodes(t, w, 1)[0]
	if d, n := a.tr.ClockSkew(); d != 0 || n != 0 {
		t.Errorf("%v of %d", d, n)
	}
	for i, skew := range []time.Duration{-20, 50, 12, 30, -55} {
		p := simNode(t, w, a.known, fmt.Sprintf("10.0.1.%d", i+1), nil)
		p.h.(*sim.Host).Skew(skew * time.Second)
		if i%2 == 0 {
			join(t, w, a, p)
		} else {
			join(t, w, p, a)
		}
	}
	near := func(want time.Duration, peers int) {
		t.Helper()
		if d, n := a.tr.ClockSkew(); n != peers || (d-want).Abs() > time.Second {
			t.Errorf("%v of %d peers, want %v of %d", d, n, want, peers)
		}
	}
	near(12*time.Second, 5)
	// A peer so far off that there is no session tells the time as well.
	p := simNode(t, w, a.known, "10.0.1.9", nil)
	p.h.(*sim.Host).Skew(10 * time.Minute)
	must(t, a.connect(p.hash))
	until(t, w, "a failure", func() bool { return len(a.failed) == 1 })
	near(21*time.Second, 6)
	w.Run(2 * time.Hour)
	near(0, 0)
}

func TestOneNetworkCannotTellTheTime(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	db := newKnown()
	public := func(c *transport.Config) { c.AllowPrivate = false }
	a := simNode(t, w, db, "9.0.0.1", public)
	for i := range 10 {
		p := simNode(t, w, db, fmt.Sprintf("9.1.%d.1", i), public)
		p.h.(*sim.Host).Skew(40 * time.Second)
		join(t, w, p, a)
	}
	for i := range 2 {
		join(t, w, simNode(t, w, db, fmt.Sprintf("9.%d.0.1", 2+i), public), a)
	}
	if d, n := a.tr.ClockSkew(); n != 3 || d.Abs() > time.Second {
		t.Errorf("%v of %d", d, n)
	}
}

// TestSkewsFollowOurClock moves it as its keeper does.
func TestSkewsFollowOurClock(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	a := simNodes(t, w, 1)[0]
	for i, skew := range []time.Duration{20, 30, 40} {
		p := simNode(t, w, a.known, fmt.Sprintf("10.0.1.%d", i+1), nil)
		p.h.(*sim.Host).Skew(skew * time.Second)
		join(t, w, a, p)
	}
	a.h.(*sim.Host).Skew(2 * time.Hour)
	a.tr.ClockStepped(2 * time.Hour)
	all := a.tr.ClockSkews()
	for i, want := range []time.Duration{20, 30, 40} {
		if len(all) != 3 || (all[i]-want*time.Second+2*time.Hour).Abs() > time.Second {
			t.Fatalf("skews %v", all)
		}
	}
	a.tr.ForgetClockSkews()
	if all := a.tr.ClockSkews(); len(all) != 0 {
		t.Errorf("skews %v", all)
	}
}
