package netdb_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/cryptotest"
	"time"

	"allium/internal/data"
	"allium/internal/netdb"
	"allium/internal/signature"
)

// service is a Destination that can publish LeaseSets.
type service struct {
	key         signature.PrivateKey
	destination *data.Destination
}

func newService(t testing.TB) service {
	t.Helper()
	key, err := signature.Generate(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	d, err := data.NewDestination(key)
	if err != nil {
		t.Fatal(err)
	}
	return service{key, d}
}

func (s service) leaseSet(t testing.TB, published time.Time, life time.Duration) *data.LeaseSet2 {
	t.Helper()
	return s.sign(t, data.LeaseSet2Content{Published: published, Leases: []data.Lease{{TunnelID: 1, Expires: published.Add(life)}}})
}

func (s service) sign(t testing.TB, c data.LeaseSet2Content) *data.LeaseSet2 {
	t.Helper()
	c.Destination = s.destination
	c.Keys = []data.EncryptionKey{{Type: data.X25519, Key: make([]byte, 32)}}
	ls, err := data.SignLeaseSet2(s.key, c)
	if err != nil {
		t.Fatal(err)
	}
	return ls
}

// oldLeaseSet is one of type 1.
func (s service) oldLeaseSet(t testing.TB, expires time.Time) *data.LeaseSet {
	t.Helper()
	b := slices.Concat(s.destination.Bytes(), make([]byte, 256+32), []byte{1}, make([]byte, 32), []byte{0, 0, 0, 1})
	b = binary.BigEndian.AppendUint64(b, uint64(expires.UnixMilli()))
	ls, err := data.ParseLeaseSet(append(b, s.key.Sign(b)...))
	if err != nil {
		t.Fatal(err)
	}
	return ls
}

func add(t testing.TB, l *netdb.LeaseSets, now time.Time, ls data.LeaseSetEntry, source netdb.Source) netdb.Added {
	t.Helper()
	added, err := l.Add(now, ls, source)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

func newLeaseSets() *netdb.LeaseSets { return netdb.NewLeaseSets(netdb.LeaseSetsConfig{}, data.Hash{}) }

func TestNewestLeaseSetWins(t *testing.T) {
	l, s := newLeaseSets(), newService(t)
	first, second := s.leaseSet(t, noon, 10*time.Minute), s.leaseSet(t, noon.Add(time.Second), 5*time.Minute)
	for _, step := range []struct {
		ls   *data.LeaseSet2
		want netdb.Added
		now  *data.LeaseSet2
	}{
		{first, netdb.First, first},
		{s.leaseSet(t, noon, 5*time.Minute), netdb.Known, first},
		{second, netdb.Newer, second},
		{first, netdb.Known, second},
	} {
		if got := add(t, l, noon, step.ls, netdb.Reply); got != step.want {
			t.Errorf("got %v, want %v", got, step.want)
		}
		if l.Get(noon, first.Key()) != step.now || l.Len() != 1 {
			t.Error("keeps the wrong one")
		}
	}
	l.Remove(first.Key())
	if l.Get(noon, first.Key()) != nil || l.Len() != 0 {
		t.Error("still there")
	}
}

func TestOnlyWhatWasPublishedIsShown(t *testing.T) {
	l, s := newLeaseSets(), newService(t)
	key := s.destination.Hash()
	first, second := s.leaseSet(t, noon, 10*time.Minute), s.leaseSet(t, noon.Add(time.Second), 10*time.Minute)
	add(t, l, noon, first, netdb.Reply)
	if l.GetPublished(noon, key) != nil {
		t.Error("shows a reply")
	}
	add(t, l, noon, first, netdb.Published)
	if l.GetPublished(noon, key) != first {
		t.Error("does not show what was published after a reply")
	}
	add(t, l, noon, second, netdb.Reply)
	if l.GetPublished(noon, key) != first || l.Get(noon, key) != second {
		t.Error("shows that a newer one was looked up")
	}
	again, err := data.ParseLeaseSet2(second.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	add(t, l, noon, again, netdb.Published)
	if l.GetPublished(noon, key) != second {
		t.Error("does not show the newer one, or keeps it twice")
	}
}

func TestUnpublishedLeaseSetsAreNotShown(t *testing.T) {
	l, s := newLeaseSets(), newService(t)
	ls := s.sign(t, data.LeaseSet2Content{Published: noon, Unpublished: true, Leases: []data.Lease{{TunnelID: 1, Expires: noon.Add(time.Minute)}}})
	add(t, l, noon, ls, netdb.Published)
	if l.GetPublished(noon, ls.Key()) != nil || l.Get(noon, ls.Key()) == nil {
		t.Error("shown to others, or not to us")
	}
}

func TestSubDatabasesDoNotSeeEachOther(t *testing.T) {
	router, client, s := newLeaseSets(), newLeaseSets(), newService(t)
	ls := s.leaseSet(t, noon, time.Minute)
	add(t, client, noon, ls, netdb.Published)
	if router.Get(noon, ls.Key()) != nil || router.GetPublished(noon, ls.Key()) != nil || router.Len() != 0 {
		t.Error("leaked")
	}
}

func TestLeaseSetsAreChecked(t *testing.T) {
	s := newService(t)
	forged := bytes.Clone(s.leaseSet(t, noon, time.Minute).Bytes())
	forged[len(forged)-1] ^= 1
	bad, err := data.ParseLeaseSet2(forged)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		ls   data.LeaseSetEntry
		now  time.Time
		want error
	}{
		"signature":      {bad, noon, data.ErrSignature},
		"just ended":     {s.leaseSet(t, noon, time.Minute), noon.Add(2*time.Minute - 1), nil},
		"ended":          {s.leaseSet(t, noon, time.Minute), noon.Add(2 * time.Minute), netdb.ErrExpired},
		"a little ahead": {s.leaseSet(t, noon, time.Minute), noon.Add(-2 * time.Minute), nil},
		"far ahead":      {s.leaseSet(t, noon, time.Minute), noon.Add(-2*time.Minute - time.Second), netdb.ErrFuture},
		"too long":       {s.leaseSet(t, noon, 11*time.Minute), noon.Add(-5*time.Minute - time.Second), netdb.ErrLifetime},
		"old type":       {s.oldLeaseSet(t, noon.Add(10*time.Minute)), noon, nil},
		"old, too long":  {s.oldLeaseSet(t, noon.Add(17*time.Minute)), noon, netdb.ErrLifetime},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLeaseSets()
			if _, err := l.Add(c.now, c.ls, netdb.Published); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if (l.Len() == 1) != (c.want == nil) {
				t.Errorf("keeps %d", l.Len())
			}
		})
	}
}

func TestNewTypeReplacesTheOldOne(t *testing.T) {
	l, s := newLeaseSets(), newService(t)
	old, ls := s.oldLeaseSet(t, noon.Add(10*time.Minute)), s.leaseSet(t, noon, 10*time.Minute)
	add(t, l, noon, old, netdb.Reply)
	if got := add(t, l, noon, ls, netdb.Reply); got != netdb.Newer {
		t.Errorf("got %v", got)
	}
	if got := add(t, l, noon, s.oldLeaseSet(t, noon.Add(15*time.Minute)), netdb.Reply); got != netdb.Known || l.Get(noon, ls.Key()) != ls {
		t.Errorf("got %v", got)
	}
}

func TestLeaseSetsEnd(t *testing.T) {
	l, s := newLeaseSets(), newService(t)
	key := s.destination.Hash()
	long := s.leaseSet(t, noon, 10*time.Minute)
	add(t, l, noon, long, netdb.Published)
	// Without leases it ends at once, as a service does that closes.
	add(t, l, noon, s.sign(t, data.LeaseSet2Content{Published: noon.Add(time.Second)}), netdb.Reply)
	later := noon.Add(2 * time.Minute)
	if l.Get(later, key) != nil || l.GetPublished(later, key) != long {
		t.Error("found before Expire")
	}
	l.Expire(later)
	if l.GetPublished(later, key) != long || l.Len() != 1 {
		t.Error("the published one has not ended")
	}
	l.Expire(noon.Add(11 * time.Minute))
	if l.Len() != 0 {
		t.Error("still there")
	}
}

func TestLeaseSetsAreBounded(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	var all []*data.LeaseSet2
	for i := range 60 {
		all = append(all, newService(t).leaseSet(t, noon, time.Duration(60+i)*time.Second))
	}
	size := len(all[0].Bytes())
	byEnd := func(a, b *data.LeaseSet2) int { return b.Expires().Compare(a.Expires()) }
	byDistance := func(a, b *data.LeaseSet2) int {
		return self.Closer(netdb.RoutingKey(a.Key(), noon), netdb.RoutingKey(b.Key(), noon))
	}
	for name, c := range map[string]struct {
		cfg   netdb.LeaseSetsConfig
		self  data.Hash
		order func(a, b *data.LeaseSet2) int
	}{
		"count, by distance": {netdb.LeaseSetsConfig{MaxCount: 16}, self, byDistance},
		"count, by end":      {netdb.LeaseSetsConfig{MaxCount: 16}, data.Hash{}, byEnd},
		"bytes, by distance": {netdb.LeaseSetsConfig{MaxBytes: 16*size + size/2}, self, byDistance},
	} {
		t.Run(name, func(t *testing.T) {
			l := netdb.NewLeaseSets(c.cfg, c.self)
			for _, ls := range all {
				_, err := l.Add(noon, ls, netdb.Published)
				if err != nil && !errors.Is(err, netdb.ErrFull) {
					t.Fatal(err)
				}
				if l.Len() > 16 {
					t.Fatalf("%d entries", l.Len())
				}
				if kept := l.Get(noon, ls.Key()) != nil; kept != (err == nil) {
					t.Errorf("kept %v, error %v", kept, err)
				}
			}
			best := slices.SortedFunc(slices.Values(all), c.order)
			for i, ls := range best[:14] {
				if l.Get(noon, ls.Key()) == nil {
					t.Errorf("the one needed most but %d is gone", i)
				}
			}
		})
	}
}

// TestLeaseSetsConcurrentUse is for the race detector.
func TestLeaseSetsConcurrentUse(t *testing.T) {
	l := netdb.NewLeaseSets(netdb.LeaseSetsConfig{MaxCount: 16}, self)
	var all []*data.LeaseSet2
	for range 40 {
		all = append(all, newService(t).leaseSet(t, noon, time.Minute))
	}
	var wg sync.WaitGroup
	for part := range 4 {
		wg.Go(func() {
			for i := part; i < len(all); i += 4 {
				l.Add(noon, all[i], netdb.Source(i%2))
				l.Get(noon, all[i].Key())
				l.GetPublished(noon, all[i/2].Key())
				l.Expire(noon)
			}
		})
	}
	wg.Wait()
	if l.Len() > 16 {
		t.Errorf("%d entries", l.Len())
	}
}

func BenchmarkAddLeaseSet(b *testing.B) {
	l, ls := newLeaseSets(), newService(b).leaseSet(b, noon, time.Minute)
	for b.Loop() {
		add(b, l, noon, ls, netdb.Published)
		l.Remove(ls.Key())
	}
}
