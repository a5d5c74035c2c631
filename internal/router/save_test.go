package router_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"allium/internal/sim"
	"allium/internal/store"
	"allium/internal/tunnel/pool"
)

// TestARouterThatIsKilledKnowsNineTenthsOfWhatItKnew has one learn of others in
// its first seconds, or later, and cuts its power.
func TestARouterThatIsKilledKnowsNineTenthsOfWhatItKnew(t *testing.T) {
	for _, c := range []struct {
		learns, killed time.Duration
	}{
		{100 * time.Millisecond, 1500 * time.Millisecond},
		{3 * time.Second, 5 * time.Second},
		{5 * time.Minute, 7 * time.Minute},
	} {
		w := sim.New(t, 32, sim.Config{})
		n := start(t, w, "10.0.1.1", false)
		var others []*node
		for i := range 20 {
			o := start(t, w, fmt.Sprintf("10.0.2.%d", i+1), false)
			others = append(others, o)
		}
		w.Run(c.learns)
		n.know(others...)
		w.Run(c.killed - c.learns)
		known := n.NetDB().Len()
		w.Kill(n.h)
		n.h = w.Restart(n.h)
		n.start()
		if again := n.NetDB().Len(); known != 20 || again*10 < known*9 {
			t.Errorf("killed after %v it knows %d of %d", c.killed, again, known)
		}
	}
}

// countingStore counts the writes of all its buckets but that of the keys.
type countingStore struct {
	store.Store
	writes int
}

func (s *countingStore) Bucket(name string) (store.Bucket, error) {
	b, err := s.Store.Bucket(name)
	if name == "keys" {
		return b, err
	}
	return &countingBucket{b, s}, err
}

type countingBucket struct {
	store.Bucket
	s *countingStore
}

func (b *countingBucket) Write(changes []store.Change) error {
	b.s.writes++
	return b.Bucket.Write(changes)
}

// TestWhatChangesAllTheTimeIsSeldomWritten watches a router at work in a small
// network for an hour: its profiles change with every tunnel.
func TestWhatChangesAllTheTimeIsSeldomWritten(t *testing.T) {
	w := sim.New(t, 33, sim.Config{})
	n := prepare(t, w, "10.0.1.1")
	kept := &countingStore{Store: n.kept}
	n.kept = kept
	n.start()
	all := []*node{n}
	for i := range 5 {
		all = append(all, start(t, w, fmt.Sprintf("10.0.2.%d", i+1), i < 2))
	}
	introduce(all...)
	w.Run(10 * time.Minute)
	begun := kept.writes
	w.Run(time.Hour)
	if n := kept.writes - begun; n < 5 || n > 14 {
		t.Errorf("%d writes in an hour", n)
	}
	if !slices.ContainsFunc(n.status().Pools, func(p pool.PoolStatus) bool { return p.Inbound.Built > 5 }) {
		t.Error("it did nothing")
	}
}
