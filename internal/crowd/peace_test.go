package crowd_test

import (
	"testing"
	"time"

	"allium/internal/sim"
)

func TestPagesCrossASmallNetwork(t *testing.T) {
	sim.Twice(t, 1, sim.Config{}, func(w *sim.World) {
		n := found(t, w, 10, 1)
		if _, pages := n.watch("peace", 2*time.Minute); pages.Missed > 0 || pages.Came < 4 {
			n.Errorf("%v", pages)
		}
	})
}
