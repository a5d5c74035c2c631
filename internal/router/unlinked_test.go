package router_test

import (
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb"
	"allium/internal/router"
	"allium/internal/signature"
	"allium/internal/sim"
	"allium/internal/x25519"
)

// site is a LeaseSet of a Destination that is up at now.
func site(t testing.TB, now time.Time) *data.LeaseSet2 {
	t.Helper()
	key, err := signature.Generate(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	d, err := data.NewDestination(key)
	if err != nil {
		t.Fatal(err)
	}
	static := x25519.Generate().Public
	ls, err := data.SignLeaseSet2(key, data.LeaseSet2Content{
		Destination: d, Published: now,
		Keys:   []data.EncryptionKey{{Type: data.X25519, Key: static[:]}},
		Leases: []data.Lease{{Gateway: d.Hash(), TunnelID: 1, Expires: now.Add(10 * time.Minute)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return ls
}

// Whatever LeaseSets a floodfill's clients have, looked up, or are told of
// through their tunnels: whoever asks the floodfill itself gets the same
// answer as from one that has no clients (pain A10).
func TestFloodfillDoesNotTellWhatItsClientsKnow(t *testing.T) {
	w := sim.New(t, 31, sim.Config{})
	victim, hop, asker := start(t, w, "10.0.1.1", true), start(t, w, "10.0.2.1", false), start(t, w, "10.0.3.1", false)
	introduce(victim, hop, asker)
	client := victim.open(router.ContextConfig{Name: "client", Tunnels: hops(1), Garlic: func(*host.Round, []byte) {}})
	asking := asker.open(router.ContextConfig{Tunnels: hops(1)})
	found := func(key data.Hash) bool {
		var err error
		calls := 0
		asker.h.Do(func(r *host.Round) {
			asking.LeaseSet(r, key, func(_ *host.Round, _ data.LeaseSetEntry, e error) { err, calls = e, calls+1 })
		})
		if !w.RunUntil(func() bool { return calls > 0 }, time.Minute) {
			t.Fatal("no answer")
		}
		return err == nil
	}
	hosted, looked, injected, sealed := site(t, w.Now()), site(t, w.Now()), site(t, w.Now()), site(t, w.Now())
	victim.h.Do(func(r *host.Round) { client.Publish(r, hosted, nil, nil) })
	if _, err := client.LeaseSets.Add(w.Now(), looked, netdb.Reply); err != nil {
		t.Fatal(err)
	}
	store := func(ls *data.LeaseSet2) i2np.Message {
		s := i2np.DatabaseStore{Key: ls.Key(), Type: i2np.StoreType(ls.Type()), Data: ls.Bytes()}
		return asker.message(i2np.TypeDatabaseStore, s.Append(nil))
	}
	gateway, id := client.Pool.Inbounds(w.Now())[0].Gateway()
	asker.inject(gateway, id, store(injected))
	key, _ := victim.RouterInfo(w.Now()).Identity().X25519()
	box, err := garlic.SealRouter(w.Now(), &key, garlic.Clove{Message: store(sealed)})
	if err != nil {
		t.Fatal(err)
	}
	asker.inject(gateway, id, asker.message(i2np.TypeGarlic, i2np.Garlic{Data: box}.Append(nil)))
	w.Run(5 * time.Second)
	for name, ls := range map[string]*data.LeaseSet2{"hosted": hosted, "looked up": looked, "told through a tunnel": injected, "sealed for the router": sealed} {
		if found(ls.Key()) {
			t.Errorf("tells what is %s", name)
		}
	}
	if err := asker.tell(victim.Hash(), store(injected)); err != nil {
		t.Fatal(err)
	}
	w.Run(5 * time.Second)
	if !found(injected.Key()) {
		t.Error("does not tell what was stored with it")
	}
}
