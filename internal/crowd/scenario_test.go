package crowd_test

import (
	"fmt"
	"os"
	"testing"

	"allium/internal/sim"
)

// full asks for the full forms of scenarios: larger, longer, of more seeds.
var full = os.Getenv("ALLIUM_CROWD") == "full"

// scale is the value for the usual form of a scenario or for the full one.
func scale[T any](usual, large T) T {
	if full {
		return large
	}
	return usual
}

// unhurried skips a test where time is short, or nothing is to be found.
func unhurried(t *testing.T) {
	t.Helper()
	if testing.Short() || racing {
		t.Skip("takes a while")
	}
}

// play runs a scenario in a world of each seed: one, or three in full form.
func play(t *testing.T, cfg sim.Config, scenario func(tb testing.TB, w *sim.World)) {
	t.Helper()
	unhurried(t)
	for seed := range uint64(scale(1, 3)) {
		t.Run(fmt.Sprintf("seed %d", seed+1), func(t *testing.T) {
			scenario(t, sim.New(t, seed+1, cfg))
		})
	}
}
