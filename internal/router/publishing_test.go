package router_test

import (
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/router"
	"allium/internal/setting"
	"allium/internal/sim"
)

func TestOwnRouterInfoIsStoredEveryHalfHourOrSo(t *testing.T) {
	w := sim.New(t, 61, sim.Config{})
	n, ff := prepare(t, w, "10.0.1.1"), start(t, w, "10.0.2.1", true)
	var all []time.Time
	var err error
	n.Router, err = router.New(n.cfg, n.h, n.kept, n.log, func(r *host.Round, _ *data.RouterInfo) { all = append(all, r.Now) })
	if err != nil {
		t.Fatal(err)
	}
	n.know(ff)
	w.Run(6 * time.Hour)
	gaps := make(map[time.Duration]bool)
	for i := 2; i < len(all); i++ {
		gap := all[i].Sub(all[i-1])
		if gap < 29*time.Minute || gap > 46*time.Minute {
			t.Errorf("stored %v after the time before", gap)
		}
		gaps[gap.Round(time.Minute)] = true
	}
	if len(all) < 8 || len(gaps) < 4 {
		t.Errorf("stored at %v", all)
	}
	if age := w.Now().Sub(ff.NetDB().RouterInfo(n.Hash()).Published()); age > 46*time.Minute {
		t.Errorf("the floodfill has one %v old", age)
	}
}

func TestOwnRouterInfoIsStoredAsSoonAsSomebodyTakesIt(t *testing.T) {
	w := sim.New(t, 62, sim.Config{})
	n, ff := start(t, w, "10.0.1.1", false), start(t, w, "10.0.2.1", true)
	n.know(ff)
	ff.Close()
	w.Run(3 * time.Hour)
	ff.h = w.Restart(ff.h)
	ff.start()
	if !w.RunUntil(func() bool { return ff.NetDB().RouterInfo(n.Hash()) != nil }, 6*time.Minute) {
		t.Error("not stored six minutes after a floodfill came back")
	}
}

func TestRouterInfoTellsTheBandwidthThatIsLent(t *testing.T) {
	w := sim.New(t, 63, sim.Config{})
	for share, limits := range map[byte][3]int{
		'X': {3e6, 0, 0},
		'O': {3e6, 200e3, 0},
		'N': {3e6, 200e3, 100e3},
		'L': {20e3, 0, 0},
	} {
		n := prepare(t, w, "10.0.3."+string(rune('1'+share%8)))
		n.cfg.Share, n.cfg.LimitIn, n.cfg.LimitOut = setting.Bandwidth(limits[0]), setting.Bandwidth(limits[1]), setting.Bandwidth(limits[2])
		n.start()
		if got := n.RouterInfo(w.Now()).Capabilities().Bandwidth; got != share {
			t.Errorf("%v: says %c, not %c", limits, got, share)
		}
		n.Close()
	}
}

// A router says nothing of its load in the first minutes, and nothing when it
// stops (attack A11).
func TestRestartShowsNoChangeOfCapabilities(t *testing.T) {
	w := sim.New(t, 64, sim.Config{})
	n, ff := start(t, w, "10.0.1.1", false), start(t, w, "10.0.2.1", true)
	n.know(ff)
	w.Run(20 * time.Minute)
	caps := ff.NetDB().RouterInfo(n.Hash()).Capabilities()
	for range 3 {
		published := ff.NetDB().RouterInfo(n.Hash()).Published()
		n.Close()
		w.Run(time.Minute)
		if got := ff.NetDB().RouterInfo(n.Hash()).Published(); !got.Equal(published) {
			t.Error("published when it stopped")
		}
		n.h = w.Restart(n.h)
		n.start()
		for range 10 {
			w.Run(time.Minute)
			if got := ff.NetDB().RouterInfo(n.Hash()).Capabilities(); got != caps || got.Congestion != data.NotCongested {
				t.Fatalf("said %v and says %v", caps, got)
			}
		}
	}
}
