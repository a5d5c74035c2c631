package router_test

import (
	"testing"
	"time"

	"allium/internal/i2np"
	"allium/internal/sim"
	"allium/internal/tunnel/build"
	"allium/internal/tunnel/transit"
)

// ask has from ask a router to be the end of a tunnel, and to answer to reply.
func ask(from, hop, reply *node) {
	from.t.Helper()
	key, _ := hop.RouterInfo(from.w.Now()).Identity().X25519()
	_, records, err := build.Create(from.w.Now(), build.Path{
		Direction: build.Outbound, Hops: []build.Hop{{Hash: hop.Hash(), Key: key}},
		EndRouter: reply.Hash(), EndTunnel: 5,
	})
	if err != nil {
		from.t.Fatal(err)
	}
	if err := from.tell(hop.Hash(), from.message(i2np.TypeShortTunnelBuild, records)); err != nil {
		from.t.Fatal(err)
	}
}

// A quota that is used up too fast is left to our own, over a restart, until
// its month has come so far.
func TestTunnelsOfOthersAreRefusedWhileTheQuotaWouldNotLast(t *testing.T) {
	w := sim.New(t, 31, sim.Config{}) // begins on the first of March, at noon
	a, b, c := prepare(t, w, "10.0.1.1"), start(t, w, "10.0.2.1", false), start(t, w, "10.0.3.1", false)
	const quota = 600_000_000
	a.cfg.MonthlyQuota, a.cfg.QuotaDay = quota, 1
	a.start()
	introduce(a, b, c)
	accepts := func() bool {
		before := a.status().Transit
		for range 5 {
			ask(b, a, c)
			w.Run(2 * time.Second)
		}
		after := a.status().Transit
		if after.Requests == before.Requests {
			t.Fatal("nobody was asked")
		}
		return after.Refused[transit.Stopped] == before.Refused[transit.Stopped]
	}
	w.Run(2 * time.Minute)
	if !accepts() {
		t.Error("refused from the beginning")
	}
	// Half a day has gone by, which is a sixtieth; a twentieth may go ahead.
	for range 210 {
		for range 10 {
			if err := a.tell(b.Hash(), a.message(i2np.TypeData, make([]byte, 20_000))); err != nil {
				t.Fatal(err)
			}
		}
		w.Run(250 * time.Millisecond)
	}
	w.Run(2 * time.Minute)
	left := a.status().Bandwidth.Quota.Left
	if accepts() || left > quota*94/100 {
		t.Errorf("accepted with %d of %d left", left, quota)
	}
	restart := func(after time.Duration) {
		for _, n := range []*node{a, b, c} {
			n.Close()
		}
		w.Run(after)
		for _, n := range []*node{a, b, c} {
			n.h = w.Restart(n.h)
			n.start()
		}
		introduce(a, b, c)
		w.Run(2 * time.Minute)
	}
	restart(time.Minute)
	if again := a.status().Bandwidth.Quota.Left; accepts() || again > left {
		t.Errorf("after a restart %d are left", again)
	}
	restart(24 * time.Hour)
	if !accepts() {
		t.Errorf("still refused when the month has come so far: %+v", a.status().Bandwidth.Quota)
	}
}
