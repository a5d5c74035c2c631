package router_test

import (
	"fmt"
	"testing"
	"time"

	"allium/internal/sim"
)

// Routers that nothing is known of but a RouterInfo are met before a tunnel
// needs them, some at a time, and no more of them than may be needed: the
// others are left alone.
func TestSomeStrangersAreMetInTime(t *testing.T) {
	w := sim.New(t, 31, sim.Config{})
	n := prepare(t, w, "10.0.1.1")
	n.cfg.Exploratory = hops(0) // none of the sessions is for a tunnel
	n.start()
	var all []*node
	for i := range 40 {
		other := prepare(t, w, fmt.Sprintf("10.1.%d.1", i))
		other.cfg.Exploratory = hops(0)
		all = append(all, other.start())
	}
	for _, dead := range all[:15] {
		w.Kill(dead.h)
	}
	n.know(all...)
	met := func() int { return n.status().Transport.Sessions }
	if !w.RunUntil(func() bool { return met() >= 12 }, 15*time.Second) {
		t.Fatalf("only %d are met", met())
	}
	for range 600 {
		w.Run(time.Second)
		if s := n.status().Transport; s.Dialling > 12 {
			t.Fatalf("%d dials at a time", s.Dialling)
		}
	}
	if s := n.status().Transport; s.Dialled > 24+15*8 || s.Dialled-s.Failed != 24 {
		t.Errorf("%d were dialled, %d of them in vain", s.Dialled, s.Failed)
	}
}
