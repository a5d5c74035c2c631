package crowd_test

import (
	"testing"
	"time"

	"allium/internal/sim"
)

func TestSameSeedGivesTheSameScenario(t *testing.T) {
	unhurried(t)
	for _, scenario := range []struct {
		name string
		play func(tb testing.TB, w *sim.World)
	}{
		{"partition", func(tb testing.TB, w *sim.World) { partition(tb, w, 20, 2, 3*time.Minute) }},
		{"loss", func(tb testing.TB, w *sim.World) { loss(tb, w, 20, 2) }},
		{"start", func(tb testing.TB, w *sim.World) { start(tb, w, 20, 3) }},
	} {
		t.Run(scenario.name, func(t *testing.T) {
			sim.Twice(t, 7, sim.Config{Link: sim.Link{Loss: 0.01}}, func(w *sim.World) { scenario.play(t, w) })
		})
	}
}
