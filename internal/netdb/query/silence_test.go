package query_test

import (
	"testing"
	"time"
)

// When nobody answers, it is hardly the fault of them all.
func TestNobodyIsBlamedForAnOutageOfOurOwn(t *testing.T) {
	n := newNetwork(t, 41, 20, 1)
	n.knowAll(n.nodes...)
	x := n.nodes[20].start()
	c := x.open(nil)
	x.dead = true
	for range 10 {
		n.wait(c.leaseSet(newDestination(t).hash()), time.Minute)
		c.publish(newDestination(t).leaseSet(t, n.w.Now()))
	}
	n.w.Run(5 * time.Minute)
	for _, ff := range n.nodes[:20] {
		if s := x.profiles.LookupScore(n.w.Now(), ff.hash); s != 0.5 {
			t.Fatalf("score %v", s)
		}
	}
	x.dead = false
	silent := n.closest(x, newDestination(t).hash(), 3)
	for _, ff := range silent {
		ff.dead = true
	}
	for range 30 {
		c.publish(newDestination(t).leaseSet(t, n.w.Now()))
		n.w.Run(20 * time.Second)
	}
	for _, ff := range silent {
		if s := x.profiles.LookupScore(n.w.Now(), ff.hash); s > 0.45 {
			t.Errorf("one that is silent has score %v", s)
		}
	}
}
