package pool_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/random"
	"allium/internal/store"
	"allium/internal/tunnel/pool"
)

// provenSociety is n routers that have all carried tunnels.
func provenSociety(t *testing.T, seed uint64, n int) *society {
	s := newSociety(t, seed)
	for i, h := range s.add(n, "XR") {
		s.carry(h, 3, time.Duration(100+37*i%50)*time.Millisecond)
	}
	return s
}

// keep is a Selector that keeps its first hops in a bucket.
func (s *society) keep(b store.Bucket) *pool.Selector {
	s.t.Helper()
	selector, err := pool.NewSelector(pool.PathConfig{}, self, &s.db, s.profiles, everywhere{}, b)
	if err != nil {
		s.t.Fatal(err)
	}
	return selector
}

// nextToUs gives who is next to us in so many tunnels of a context.
func (s *society) nextToUs(selector *pool.Selector, at time.Time, context byte, tunnels int) map[data.Hash]int {
	s.t.Helper()
	w := client
	w.First = data.HashOf([]byte{context})
	times := make(map[data.Hash]int)
	for range tunnels {
		hops, err := selector.Hops(at, w)
		if err != nil {
			s.t.Fatal(err)
		}
		times[hops[0].Hash]++
	}
	return times
}

// Attack A17: over 100,000 tunnels of a Destination in 100 days, in which a
// twentieth of all routers fails each day, a few routers see that we begin
// tunnels and all others never do. Without first hops that stay, all would.
func TestFewEverStandNextToUs(t *testing.T) {
	s := provenSociety(t, 1, 300)
	selector, all := s.keep(bucket(t)), make(map[data.Hash]int)
	changes, last := 0, map[data.Hash]int(nil)
	for day := range 100 {
		at := now.Add(time.Duration(day) * 24 * time.Hour)
		for _, h := range s.all {
			s.profiles.TestPassed(at, h, 1)
			if random.IntN(20) == 0 {
				s.profiles.DialFailed(at, h)
			}
		}
		today := s.nextToUs(selector, at, 0, 1000)
		if len(today) > 4 {
			t.Fatalf("%d stand next to us on one day", len(today))
		}
		for h, n := range today {
			all[h] += n
			if last[h] == 0 {
				changes++
			}
		}
		last = today
	}
	t.Logf("%d of 300 routers stood next to us in 100 days; %d changes in 400 days of places", len(all), changes)
	// Four that stay 30 days in average make 13, and some stood in for others.
	if len(all) > 24 {
		t.Errorf("%d have stood next to us", len(all))
	}
	if changes > 100 {
		t.Errorf("%d changes", changes)
	}
}

// A tenth of the routers belongs to an attacker. One of four is his in a third
// of the contexts; those of the others are never seen by him where they begin,
// but would be within some tunnels if their first hops did not stay.
func TestMostContextsAreNeverSeenFromNextToThem(t *testing.T) {
	s := provenSociety(t, 2, 300)
	selector, seen := s.keep(bucket(t)), 0
	const contexts = 100
	for i := range contexts {
		next := s.nextToUs(selector, now, byte(i), 300)
		if slices.ContainsFunc(s.all[:30], func(h data.Hash) bool { return next[h] > 0 }) {
			seen++
		}
		most, least := 0, 300
		for _, n := range next {
			most, least = max(most, n), min(least, n)
		}
		if len(next) != 4 || most > 120 || least < 40 {
			t.Fatalf("%d stand next to us, in %d to %d of 300 tunnels", len(next), least, most)
		}
	}
	t.Logf("seen in %d of %d contexts", seen, contexts)
	if seen > 50 {
		t.Errorf("seen in %d of %d contexts", seen, contexts)
	}
}

func TestFirstHopsOutliveARestart(t *testing.T) {
	s := provenSociety(t, 3, 100)
	b := bucket(t)
	selector := s.keep(b)
	mine, others := s.nextToUs(selector, now, 1, 50), s.nextToUs(selector, now, 2, 50)
	if err := selector.Flush(now); err != nil {
		t.Fatal(err)
	}
	later := now.Add(time.Hour)
	again := s.nextToUs(s.keep(b), later, 1, 50)
	same := 0
	for h := range mine {
		if again[h] == 0 {
			t.Error("another router stands next to us")
		}
		if others[h] > 0 {
			same++
		}
	}
	if len(again) != len(mine) || same == len(mine) {
		t.Errorf("%d and %d routers; %d are those of another context", len(mine), len(again), same)
	}
	// Who is not there any more is forgotten.
	late := now.Add(46 * 24 * time.Hour)
	if err := s.keep(b).Flush(late); err != nil {
		t.Fatal(err)
	}
	if err := b.Each(func([]byte, []byte) error { return errors.New("something") }); err != nil {
		t.Errorf("left: %v", err)
	}
}

// One that fails is replaced at once, and has its place again when it works:
// nobody learns much by making others fail.
func TestFirstHopThatFailsComesBack(t *testing.T) {
	s := provenSociety(t, 4, 100)
	selector := s.keep(bucket(t))
	first := s.nextToUs(selector, now, 1, 50)
	for h := range first {
		s.profiles.DialFailed(now.Add(time.Second), h)
	}
	meanwhile := s.nextToUs(selector, now.Add(2*time.Second), 1, 50)
	back := s.nextToUs(selector, now.Add(time.Minute), 1, 50)
	for h := range first {
		if meanwhile[h] > 0 || back[h] == 0 {
			t.Errorf("it was in %d tunnels after it had failed, and in %d later", meanwhile[h], back[h])
		}
	}
	if len(meanwhile) != 4 || len(back) != 4 {
		t.Errorf("%d and %d stand next to us", len(meanwhile), len(back))
	}
	// However many fail, again and again, there are tunnels, and not many more
	// that have stood there.
	at, all := now, make(map[data.Hash]int)
	for range 50 {
		at = at.Add(20 * time.Minute)
		for h, n := range s.nextToUs(selector, at, 1, 5) {
			all[h] += n
			s.profiles.DialFailed(at, h)
		}
	}
	if len(all) > 30 {
		t.Errorf("%d have stood next to us", len(all))
	}
}

// The number of contexts does not make anything grow for ever.
func TestFirstHopsAreBounded(t *testing.T) {
	s := provenSociety(t, 5, 30)
	b := bucket(t)
	selector := s.keep(b)
	for i := range 300 {
		w := client
		w.First = data.HashOf([]byte{byte(i >> 8), byte(i)})
		if _, err := selector.Hops(now.Add(time.Duration(i)*time.Second), w); err != nil {
			t.Fatal(err)
		}
	}
	if err := selector.Flush(now); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := b.Each(func([]byte, []byte) error { n++; return nil }); err != nil || n != 128 {
		t.Errorf("%d contexts, %v", n, err)
	}
}

func FuzzFirstHops(f *testing.F) {
	f.Add([]byte{1})
	f.Add(append([]byte{1}, make([]byte, 9)...))
	f.Add(append(append([]byte{1}, make([]byte, 8)...), append([]byte{1}, make([]byte, 48)...)...))
	f.Add(append(append([]byte{1}, make([]byte, 8)...), append([]byte{13}, make([]byte, 13*48)...)...))
	f.Fuzz(func(t *testing.T, value []byte) {
		b := bucket(t)
		id := data.HashOf([]byte("context"))
		if err := b.Put(id[:], value); err != nil {
			t.Fatal(err)
		}
		open := func() *pool.Selector {
			s, err := pool.NewSelector(pool.PathConfig{}, self, &netDb{}, newProfiles(t), everywhere{}, b)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		// What cannot be read is dropped, and what is left can be.
		for range 2 {
			if err := open().Flush(time.UnixMilli(0)); err != nil {
				t.Fatal(err)
			}
		}
		left, ok, err := b.Get(id[:])
		if err != nil || ok && string(left) != string(value) {
			t.Errorf("%x became %x, %v", value, left, err)
		}
	})
}
