package router_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"allium/internal/host"
	"allium/internal/sim"
)

// TestAJumpThatIsToldTwiceIsOne lets two watchers see the same jump.
func TestAJumpThatIsToldTwiceIsOne(t *testing.T) {
	w := sim.New(t, 31, sim.Config{})
	n := prepare(t, w, "10.0.1.1")
	var log bytes.Buffer
	n.log = slog.New(slog.NewTextHandler(&log, nil))
	n.start()
	for i, c := range []struct{ after, by time.Duration }{
		{time.Second, 8 * time.Hour},
		{3 * time.Second, -8 * time.Hour},
		{time.Minute, -8 * time.Hour},
	} {
		w.Run(c.after)
		n.h.Do(func(r *host.Round) { n.Jumped(r, c.by) })
		w.Run(4 * time.Second)
		n.h.Do(func(r *host.Round) { n.Jumped(r, c.by+3*time.Second) })
		if jumps := strings.Count(log.String(), "the clock has jumped"); jumps != i+1 {
			t.Errorf("%d jumps seen, want %d", jumps, i+1)
		}
	}
}

// TestAClockYearsWrongIsFoundOutByPeers starts a router again whose clock has
// gone mad meanwhile. No time server is asked: what keeps the time moves the
// clock as soon as five peers have told theirs.
func TestAClockYearsWrongIsFoundOutByPeers(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, wrong := range []time.Duration{3 * year, -3 * year} {
		w := sim.New(t, 34, sim.Config{})
		n := company(t, w, nil)
		w.Run(time.Minute)
		n.Close()
		n.h = w.Restart(n.h)
		n.h.Skew(wrong)
		n.start()
		began := w.Now()
		if !w.RunUntil(func() bool { return len(n.ClockSkews()) >= 5 }, returns) {
			t.Fatalf("%v wrong: %d peers have told the time", wrong, len(n.ClockSkews()))
		}
		skews := n.ClockSkews()
		by := skews[len(skews)/2]
		if left := (wrong + by).Abs(); left > 5*time.Second {
			t.Errorf("%v wrong: still by %v", wrong, left)
		}
		n.h.Skew(wrong + by)
		n.ClockStepped(by)
		n.ForgetClockSkews()
		n.h.Do(func(r *host.Round) { n.Jumped(r, by) })
		if !w.RunUntil(func() bool { return n.status().Ready }, returns-w.Now().Sub(began)) {
			t.Errorf("%v wrong: not ready", wrong)
		}
	}
}
