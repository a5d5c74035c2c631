package router_test

import (
	"testing"
	"time"

	"allium/internal/i2np"
	"allium/internal/sim"
)

// Whoever sends tunnel messages of a wrong size is left alone for some minutes.
// Whoever only passes on what others have spoilt is not.
func TestOnlyOwnFaultsGetARouterBanned(t *testing.T) {
	w := sim.New(t, 32, sim.Config{})
	n, rude, polite := start(t, w, "10.0.1.1", true), start(t, w, "10.0.2.1", false), start(t, w, "10.0.3.1", false)
	introduce(n, rude, polite)
	w.Run(5 * time.Second)
	for _, kind := range []i2np.Type{i2np.TypeGarlic, i2np.TypeTunnelGateway, i2np.TypeShortTunnelBuild, i2np.TypeDatabaseStore, 231} {
		if err := polite.tell(n.Hash(), polite.message(kind, []byte("nonsense"))); err != nil {
			t.Fatal(err)
		}
	}
	if err := rude.tell(n.Hash(), rude.message(i2np.TypeTunnelData, make([]byte, 1000))); err != nil {
		t.Fatal(err)
	}
	resting := func() int { return n.status().Candidates["resting"] }
	if !w.RunUntil(func() bool { return resting() > 0 }, 5*time.Second) {
		t.Fatal("nobody is banned")
	}
	if n := resting(); n != 1 {
		t.Errorf("%d are banned", n)
	}
	w.Run(10 * time.Minute)
	if n := resting(); n != 0 {
		t.Error("banned for ever")
	}
}
