package destination_test

import (
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/destination"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/router"
	"allium/internal/sim"
)

// lookUp asks the network for a LeaseSet, past all caches.
func (x *node) lookUp(key data.Hash) (found data.LeaseSetEntry, err error) {
	x.n.t.Helper()
	var c *router.Context
	x.h.Do(func(r *host.Round) {
		c = x.OpenContext(r, router.ContextConfig{Tunnels: tunnels(1, 1), Garlic: func(*host.Round, []byte) {}})
	})
	defer x.h.Do(func(r *host.Round) { c.Close(r) })
	done := false
	x.h.Do(func(r *host.Round) {
		c.LeaseSet(r, key, func(_ *host.Round, ls data.LeaseSetEntry, e error) { found, err, done = ls, e, true })
	})
	if !x.n.w.RunUntil(func() bool { return done }, time.Minute) {
		x.n.t.Fatal("no end of the lookup")
	}
	return found, err
}

// For an hour, whoever asks finds a LeaseSet with leases that last, each newer
// than the one before, and none lasts longer than others take.
func TestLeaseSetInTheNetworkIsAlwaysGood(t *testing.T) {
	w := sim.New(t, 30, sim.Config{})
	n := newNetwork(t, w, 8, 3)
	e := n.nodes[6].open(destination.Config{Tunnels: tunnels(1, 2)}, nil)
	n.ready(e)
	changes := 0
	var last data.LeaseSetEntry
	for w.Now().Sub(sim.Start) < time.Hour {
		found, err := n.nodes[7].lookUp(e.Hash())
		if err != nil {
			t.Fatalf("at %v: %v", w.Now(), err)
		}
		ls := found.(*data.LeaseSet2)
		if last != nil {
			switch {
			case ls.Published().Before(last.Published()):
				t.Fatalf("%v after %v", ls.Published(), last.Published())
			case ls.Published().After(last.Published()):
				changes++
			case string(ls.Bytes()) != string(last.Bytes()):
				t.Fatal("another of the same date")
			}
		}
		last = ls
		for _, l := range ls.Leases() {
			if left := l.Expires.Sub(ls.Published()); left > 660*time.Second || left <= 0 {
				t.Fatalf("lease for %v", left)
			}
		}
		if left := ls.Expires().Sub(w.Now()); left < 30*time.Second {
			t.Fatalf("at %v: the last lease ends in %v", w.Now(), left)
		}
		if s := e.status(); !s.Ready || s.Leases == 0 {
			t.Fatalf("at %v: %+v", w.Now(), s)
		}
		w.Run(20 * time.Second)
	}
	// Two tunnels in less than ten minutes, each a change or both together;
	// their ends are none.
	if changes < 6 || changes > 20 {
		t.Errorf("%d LeaseSets in an hour", changes)
	}
}

// Tunnels without hops do not come and go, but their leases end.
func TestLeasesOfTunnelsWithoutHopsAreRenewed(t *testing.T) {
	w := sim.New(t, 31, sim.Config{})
	n := newNetwork(t, w, 4, 2)
	e := n.nodes[3].open(destination.Config{Tunnels: tunnels(0, 1)}, nil)
	n.ready(e)
	changes, published := 0, e.status().Published
	for w.Now().Sub(sim.Start) < time.Hour {
		w.Run(30 * time.Second)
		s := e.status()
		if !s.Ready || s.Leases != 1 {
			t.Fatalf("at %v: %+v", w.Now(), s)
		}
		if s.Published != published {
			changes, published = changes+1, s.Published
		}
	}
	if changes < 5 || changes > 8 {
		t.Errorf("%d LeaseSets in an hour", changes)
	}
}

func TestNotReadyWhenTheLeaseSetCannotBeStored(t *testing.T) {
	w := sim.New(t, 32, sim.Config{})
	n := newNetwork(t, w, 6, 2)
	e := n.nodes[5].open(destination.Config{Tunnels: tunnels(1, 2)}, nil)
	n.ready(e)
	for _, ff := range n.nodes[:2] {
		w.Kill(ff.h)
	}
	if !w.RunUntil(func() bool { return !e.ready }, 15*time.Minute) {
		t.Error("ready although nobody can find it")
	}
	if !e.CanSend(w.Now()) {
		t.Error("cannot send")
	}
}

// Destinations with keys we cannot encrypt to are told from those that are not
// there.
func TestUnknownEncryptionIsAnError(t *testing.T) {
	w := sim.New(t, 33, sim.Config{})
	n, a, b := pair(t, w, 6)
	publisher := newAttacker(n.nodes[3], b)
	old := newIdentity(t)
	ls, err := data.SignLeaseSet2(old.keys.Signing, data.LeaseSet2Content{
		Destination: old.keys.Destination, Published: w.Now(),
		Keys:   []data.EncryptionKey{{Type: data.ElGamal, Key: make([]byte, 256)}, {Type: 77, Key: make([]byte, 5)}},
		Leases: []data.Lease{{Gateway: n.nodes[2].Hash(), TunnelID: 1, Expires: w.Now().Add(8 * time.Minute)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	stored := false
	publisher.node.h.Do(func(r *host.Round) {
		publisher.context.Publish(r, ls, func(*host.Round) { stored = true }, func(*host.Round, error) {})
	})
	if !w.RunUntil(func() bool { return stored }, time.Minute) {
		t.Fatal("not stored")
	}
	if err := a.send(ls.Key(), "waits"); err != nil {
		t.Fatal(err)
	}
	if err := a.resolve(ls.Key()); err != destination.ErrEncryption {
		t.Error("resolve:", err)
	}
	if err := a.send(ls.Key(), "again"); err != destination.ErrEncryption {
		t.Error("send:", err)
	}
	if s := a.status(); s.Unsent != 1 || s.Sent != 0 {
		t.Errorf("%+v", s)
	}
}

// Our LeaseSet comes before what is said: many take cloves in order, and can
// answer nobody whose LeaseSet they do not have.
func TestLeaseSetComesBeforeTheMessage(t *testing.T) {
	w := sim.New(t, 34, sim.Config{})
	n, a, b := pair(t, w, 6)
	// The reader has tunnels and keys, and opens by hand.
	id := newIdentity(t)
	var opened []garlic.Opened
	x := n.nodes[3]
	var c *router.Context
	x.h.Do(func(r *host.Round) {
		c = x.OpenContext(r, router.ContextConfig{Tunnels: tunnels(1, 1), Garlic: func(r *host.Round, sealed []byte) {
			var o garlic.Opened
			if err := id.sessions.Open(r.Now, append([]byte(nil), sealed...), &o); err != nil {
				t.Error(err)
			}
			opened = append(opened, o)
		}})
	})
	reader := newAttacker(x, b)
	if !w.RunUntil(func() bool { return len(c.Pool.Inbounds(w.Now())) > 0 }, time.Minute) {
		t.Fatal("no tunnels")
	}
	reader.context = c
	stored := false
	x.h.Do(func(r *host.Round) {
		c.Publish(r, reader.leaseSet(id, id.key.Public), func(*host.Round) { stored = true }, func(*host.Round, error) {})
	})
	w.RunUntil(func() bool { return stored }, time.Minute)
	if err := a.send(id.keys.Destination.Hash(), "first"); err != nil {
		t.Fatal(err)
	}
	if !w.RunUntil(func() bool { return len(opened) > 0 }, time.Minute) {
		t.Fatal("nothing came")
	}
	o := opened[0]
	if o.Form != garlic.NewSession || len(o.Cloves) != 2 || o.Cloves[0].Message.Type != i2np.TypeDatabaseStore || o.Cloves[1].Message.Type != i2np.TypeData {
		t.Errorf("%v with %d cloves, the first of %v", o.Form, len(o.Cloves), o.Cloves[0].Message.Type)
	}
}
