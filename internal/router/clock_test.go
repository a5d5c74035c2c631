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
