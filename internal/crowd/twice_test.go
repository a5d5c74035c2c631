package crowd_test

import (
	"testing"
	"time"

	"allium/internal/sim"
)

// small is a test that plays scenarios in forms too small for what they
// demand: that is only noted.
type small struct{ testing.TB }

// Errorf implements testing.TB.
func (s small) Errorf(format string, args ...any) {
	s.Helper()
	s.Logf(format, args...)
}

func TestSameSeedGivesTheSameScenario(t *testing.T) {
	unhurried(t)
	for _, scenario := range []struct {
		name string
		play func(tb testing.TB, w *sim.World)
	}{
		{"partition", func(tb testing.TB, w *sim.World) { partition(tb, w, 20, 2, 3*time.Minute) }},
		{"loss", func(tb testing.TB, w *sim.World) { loss(tb, w, 20, 2) }},
		{"start", func(tb testing.TB, w *sim.World) { start(tb, w, 20, 3) }},
		{"neglect", func(tb testing.TB, w *sim.World) { neglect(tb, w, 30, 30*time.Minute) }},
		{"eclipse", func(tb testing.TB, w *sim.World) { eclipse(tb, w, 20, 1) }},
		{"falsify", func(tb testing.TB, w *sim.World) { falsify(tb, w, 20, 1) }},
		{"siege", func(tb testing.TB, w *sim.World) { siege(tb, w, 10, 1, 10) }},
	} {
		t.Run(scenario.name, func(t *testing.T) {
			sim.Twice(t, 7, sim.Config{Link: sim.Link{Loss: 0.01}}, func(w *sim.World) { scenario.play(small{t}, w) })
		})
	}
}
