package router_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb/floodfill"
	"allium/internal/router"
	"allium/internal/sim"
	"allium/internal/store"
	"allium/internal/tunnel"
)

func TestIdentitySurvivesARestart(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	n := start(t, w, "10.0.1.1", false)
	before := n.RouterInfo(w.Now())
	n.Close()
	n.h = w.Restart(n.h)
	n.start()
	after := n.RouterInfo(w.Now())
	if before.Hash() != after.Hash() || n.Hash() != after.Hash() {
		t.Error("another router")
	}
	for _, key := range []string{"s", "i"} {
		a, _ := before.Addresses()[0].Options.Get(key)
		b, _ := after.Addresses()[0].Options.Get(key)
		if a == "" || a != b {
			t.Errorf("%s was %q and is %q", key, a, b)
		}
	}
}

func TestUnreadableIdentityIsNotReplaced(t *testing.T) {
	w := sim.New(t, 2, sim.Config{})
	n := start(t, w, "10.0.1.1", false)
	n.Close()
	n.h = w.Restart(n.h)
	keys, err := n.kept.Bucket("keys")
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.Put([]byte("ntcp2"), []byte("short")); err != nil {
		t.Fatal(err)
	}
	before := content(t, keys)
	if _, err := router.New(n.cfg, n.h, n.kept, n.log, nil); err == nil {
		t.Error("started")
	}
	if content(t, keys) != before {
		t.Error("keys have changed")
	}
}

func content(t *testing.T, b store.Bucket) string {
	t.Helper()
	var all strings.Builder
	err := b.Each(func(key, value []byte) error {
		fmt.Fprintf(&all, "%s=%x\n", key, value)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// Nobody knows of this router and it publishes nowhere, and still what it
// shows in handshakes is young.
func TestOwnRouterInfoIsFreshAfterADay(t *testing.T) {
	w := sim.New(t, 3, sim.Config{})
	n := start(t, w, "10.0.1.1", false)
	for range 24 {
		w.Run(time.Hour)
		if age := w.Now().Sub(n.RouterInfo(w.Now()).Published()); age >= 30*time.Minute {
			t.Fatalf("%v old", age)
		}
	}
	other := start(t, w, "10.0.2.1", false)
	n.know(other)
	if err := n.tell(other.Hash(), n.message(i2np.TypeData, []byte{0, 0, 0, 0})); err != nil {
		t.Fatal(err)
	}
	if !w.RunUntil(func() bool { return other.NetDB().RouterInfo(n.Hash()) != nil }, time.Minute) {
		t.Fatal("did not connect")
	}
	if age := w.Now().Sub(other.NetDB().RouterInfo(n.Hash()).Published()); age > 30*time.Minute {
		t.Errorf("showed one %v old", age)
	}
}

func TestOwnRouterInfoIsStoredAgainInTime(t *testing.T) {
	w := sim.New(t, 4, sim.Config{})
	n := start(t, w, "10.0.1.1", false)
	w.Run(time.Minute)
	// The first floodfill appears later.
	ff := start(t, w, "10.0.2.1", true)
	n.know(ff)
	if !w.RunUntil(func() bool { return ff.NetDB().RouterInfo(n.Hash()) != nil }, 30*time.Second) {
		t.Fatal("never stored")
	}
	for range 12 {
		w.Run(15 * time.Minute)
		if age := w.Now().Sub(ff.NetDB().RouterInfo(n.Hash()).Published()); age > 75*time.Minute {
			t.Errorf("the floodfill has one %v old", age)
		}
	}
}

func TestFaultsOfOurRouterInfoAreLoggedOnce(t *testing.T) {
	w := sim.New(t, 5, sim.Config{})
	ff := prepare(t, w, "45.1.1.1")
	n := prepare(t, w, "45.2.1.1")
	for _, x := range []*node{ff, n} {
		x.cfg.Private = false
	}
	ff.cfg.Floodfill = floodfill.On
	ff.start()
	n.cfg.Transport.Listen = append(n.cfg.Transport.Listen, portOf(n, 12346)) // others see only one
	var log bytes.Buffer
	n.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	n.start()
	n.know(ff)
	w.Run(3 * time.Hour)
	if strings.Count(log.String(), "a second NTCP2 IPv4") != 1 || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("logged %s", log.String())
	}
}

func TestUnknownRouterIsLookedUp(t *testing.T) {
	w := sim.New(t, 6, sim.Config{})
	a, ff, b := start(t, w, "10.0.1.1", false), start(t, w, "10.0.2.1", true), start(t, w, "10.0.3.1", false)
	a.know(ff)
	ff.know(a, b)
	for range 3 {
		if err := a.tell(b.Hash(), a.message(i2np.TypeData, []byte{0, 0, 0, 0})); err != nil {
			t.Fatal(err)
		}
	}
	if !w.RunUntil(func() bool { return b.status().Messages.Unknown == 3 }, 20*time.Second) {
		t.Errorf("%+v", b.status().Messages)
	}
	if lost := a.status().Messages.Undeliverable; lost != 0 {
		t.Errorf("%d lost", lost)
	}
}

func TestMessagesForUnknownRoutersAreBounded(t *testing.T) {
	w := sim.New(t, 7, sim.Config{})
	a, ff := start(t, w, "10.0.1.1", false), start(t, w, "10.0.2.1", true)
	a.know(ff)
	attempt := func() (kept int) {
		for i := range 200 {
			to := data.HashOf([]byte{byte(i), byte(w.Now().Unix())})
			for range 40 {
				switch err := a.tell(to, a.message(i2np.TypeData, make([]byte, 20_000))); {
				case err == nil:
					kept++
				case !errors.Is(err, host.ErrFull):
					t.Fatal(err)
				}
			}
		}
		return kept
	}
	first := attempt()
	if first == 0 || first*20_000 > 4<<20 {
		t.Errorf("%d kept", first)
	}
	w.Run(30 * time.Second)
	if s := a.status().Messages; s.Undeliverable != uint64(first) {
		t.Errorf("%d of %d given up", s.Undeliverable, first)
	}
	if again := attempt(); again != first {
		t.Errorf("%d kept later", again)
	}
}

// lookup asks for the RouterInfo of key, to be answered directly.
func (n *node) lookup(key data.Hash) i2np.Message {
	l := i2np.DatabaseLookup{Key: key, From: n.Hash(), Kind: i2np.LookupRouterInfo}
	return n.message(i2np.TypeDatabaseLookup, l.Append(nil))
}

func TestRepeatedMessagesHaveNoEffect(t *testing.T) {
	w := sim.New(t, 8, sim.Config{})
	a, ff := start(t, w, "10.0.1.1", false), start(t, w, "10.0.2.1", true)
	introduce(a, ff)
	w.Run(5 * time.Second)
	answered := func() uint64 { return ff.status().Served.Answered }
	before := answered()
	m := a.lookup(ff.Hash())
	for _, after := range []time.Duration{0, time.Second, time.Second} {
		w.Run(after)
		if err := a.tell(ff.Hash(), m); err != nil {
			t.Fatal(err)
		}
	}
	w.Run(time.Second)
	if n := answered() - before; n != 1 {
		t.Errorf("answered %d times", n)
	}
	w.Run(50 * time.Second)
	_ = a.tell(ff.Hash(), m)
	w.Run(10 * time.Minute)
	_ = a.tell(ff.Hash(), m) // it has expired, and may not even leave
	w.Run(time.Second)
	if s := ff.status().Messages; s.Repeated != 3 {
		t.Errorf("%+v", s)
	}

	// The same for garlic, in other wrappings each time. Others look things up
	// meanwhile, but none of them twice.
	key, _ := ff.RouterInfo(w.Now()).Identity().X25519()
	sealed, err := garlic.SealRouter(w.Now(), &key, garlic.Clove{Message: a.lookup(ff.Hash())})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		g := i2np.Garlic{Data: sealed}
		if err := a.tell(ff.Hash(), a.message(i2np.TypeGarlic, g.Append(nil))); err != nil {
			t.Fatal(err)
		}
		w.Run(time.Second)
	}
	if s := ff.status().Messages; s.Malformed != 2 || s.Repeated != 3 {
		t.Errorf("%+v", s)
	}
}

// Whoever has us as the end of his tunnel cannot repeat himself either.
func TestRepeatedMessagesOutOfATunnelHaveNoEffect(t *testing.T) {
	w := sim.New(t, 9, sim.Config{})
	a, ff := start(t, w, "10.0.1.1", false), start(t, w, "10.0.2.1", true)
	introduce(a, ff)
	c := a.open(router.ContextConfig{Tunnels: hops(1)})
	out := c.Pool.Outbounds(w.Now())[0]
	if out.Endpoint() != ff.Hash() {
		t.Fatal("ends elsewhere")
	}
	before := ff.status()
	m := a.lookup(ff.Hash())
	for range 3 {
		a.h.Do(func(r *host.Round) {
			if err := out.Send(r, tunnel.Delivery{Kind: tunnel.ToRouter, Router: ff.Hash()}, m); err != nil {
				t.Fatal(err)
			}
		})
		w.Run(time.Second)
	}
	after := ff.status()
	if after.Served.Answered-before.Served.Answered != 1 || after.Messages.Repeated-before.Messages.Repeated != 2 {
		t.Errorf("%+v, %+v", after.Served, after.Messages)
	}
}

// What comes out of a client's tunnel reaches the client and nobody else (pain
// A10): nothing is stored, answered or passed on, and the router does not
// behave otherwise afterwards.
func TestNothingFromAClientTunnelReachesTheRouter(t *testing.T) {
	w := sim.New(t, 10, sim.Config{})
	victim, hop, attacker := start(t, w, "10.0.1.1", true), start(t, w, "10.0.2.1", false), start(t, w, "10.0.3.1", false)
	introduce(victim, hop, attacker)
	stranger := start(t, w, "10.0.4.1", false) // nobody knows it
	garlics := 0
	c := victim.open(router.ContextConfig{Name: "client", Tunnels: hops(1), Garlic: func(*host.Round, []byte) { garlics++ }})
	w.Run(4 * time.Second) // RouterInfos are published, and nobody explores yet
	gateway, id := c.Pool.Inbounds(w.Now())[0].Gateway()

	var f i2np.Deflater
	info, err := f.DeflateRouterInfo(nil, stranger.RouterInfo(w.Now()).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	dsm := i2np.DatabaseStore{Key: stranger.Hash(), ReplyToken: 5, ReplyGateway: attacker.Hash(), Data: info}
	search := i2np.DatabaseSearchReply{Key: stranger.Hash(), From: attacker.Hash(), Peers: []data.Hash{stranger.Hash()}}
	lookup := attacker.lookup(victim.Hash())
	lookup.Expiration = lookup.Expiration.Truncate(time.Second) // the same in both forms of header
	key, _ := victim.RouterInfo(w.Now()).Identity().X25519()
	sealed, err := garlic.SealRouter(w.Now(), &key,
		garlic.Clove{Message: attacker.message(i2np.TypeDatabaseStore, dsm.Append(nil))},
		garlic.Clove{Message: attacker.lookup(victim.Hash())},
		garlic.Clove{Delivery: garlic.Delivery{Kind: garlic.ToRouter, Hash: attacker.Hash()}, Message: attacker.message(i2np.TypeData, nil)})
	if err != nil {
		t.Fatal(err)
	}
	all := []i2np.Message{
		lookup,
		attacker.message(i2np.TypeDatabaseStore, dsm.Append(nil)),
		attacker.message(i2np.TypeDatabaseSearchReply, search.Append(nil)),
		attacker.message(i2np.TypeDeliveryStatus, i2np.DeliveryStatus{ID: 5, Time: w.Now()}.Append(nil)),
		attacker.message(i2np.TypeGarlic, i2np.Garlic{Data: sealed}.Append(nil)),
	}
	for _, kind := range []i2np.Type{
		i2np.TypeTunnelData, i2np.TypeTunnelGateway, i2np.TypeData, i2np.TypeTunnelBuild, i2np.TypeVariableTunnelBuild,
		i2np.TypeShortTunnelBuild, i2np.TypeOutboundTunnelBuildReply, 231, 0, 255,
	} {
		all = append(all, attacker.message(kind, make([]byte, 1028)))
	}
	before, known := victim.status(), victim.NetDB().Len()
	for _, m := range all {
		attacker.inject(gateway, id, m)
	}
	w.Run(2 * time.Second)
	after := victim.status()
	if after.Served != before.Served || victim.NetDB().Len() != known || after.Known != before.Known || c.LeaseSets.Len() != 0 {
		t.Errorf("served %+v, knows %+v", after.Served, after.Known)
	}
	if after.Messages.Undeliverable != before.Messages.Undeliverable || after.Queries.Searches != 0 {
		t.Errorf("%+v %+v", after.Messages, after.Queries)
	}
	if garlics != 1 {
		t.Errorf("client got %d", garlics)
	}
	if after.Messages.Unknown == before.Messages.Unknown {
		t.Error("nothing arrived at all")
	}

	// The very message that came down the tunnel is answered when it comes
	// directly, as by any router that has not seen it.
	if err := attacker.tell(victim.Hash(), lookup); err != nil {
		t.Fatal(err)
	}
	w.Run(time.Second)
	if victim.status().Served.Answered != before.Served.Answered+1 {
		t.Error("remembers what came out of a client's tunnel")
	}
}

func TestFloodOfRouterGarlicLeavesRoomForOthers(t *testing.T) {
	w := sim.New(t, 11, sim.Config{})
	a, b, victim := start(t, w, "10.0.1.1", false), start(t, w, "10.0.3.1", false), start(t, w, "10.0.2.1", true)
	introduce(a, b, victim)
	w.Run(5 * time.Second)
	noise := i2np.Garlic{Data: make([]byte, 300)}
	for range 40 {
		for range 100 {
			_ = a.tell(victim.Hash(), a.message(i2np.TypeGarlic, noise.Append(nil)))
		}
		w.Run(50 * time.Millisecond)
	}
	s := victim.status().Messages
	if s.Busy == 0 || s.Malformed > 3000 {
		t.Errorf("%+v", s)
	}
	// While it goes on, another neighbour's garlic is looked into.
	key, _ := victim.RouterInfo(w.Now()).Identity().X25519()
	before := victim.status().Served.Answered
	for range 20 {
		for range 100 {
			_ = a.tell(victim.Hash(), a.message(i2np.TypeGarlic, noise.Append(nil)))
		}
		w.Run(50 * time.Millisecond)
		sealed, err := garlic.SealRouter(w.Now(), &key, garlic.Clove{Message: b.lookup(victim.Hash())})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.tell(victim.Hash(), b.message(i2np.TypeGarlic, i2np.Garlic{Data: sealed}.Append(nil))); err != nil {
			t.Fatal(err)
		}
	}
	w.Run(time.Second)
	if n := victim.status().Served.Answered - before; n < 14 { // that many directly in two minutes
		t.Errorf("%d answers", n)
	}
}

func TestClosedRouterIsQuiet(t *testing.T) {
	w := sim.New(t, 12, sim.Config{})
	n, other := start(t, w, "10.0.1.1", false), start(t, w, "10.0.2.1", true)
	introduce(n, other)
	n.open(router.ContextConfig{Tunnels: hops(1), Garlic: func(*host.Round, []byte) {}})
	w.Kill(other.h)
	n.Close()
	n.Close()
	n.h.Do(func(r *host.Round) {
		c := n.OpenContext(r, router.ContextConfig{Tunnels: hops(1)})
		if _, ok := c.Pool.Outbound(r.Now); ok {
			t.Error("a context of a closed router has tunnels")
		}
	})
	w.Run(2 * time.Minute)
	events := w.Events()
	w.Run(time.Hour)
	if n := w.Events() - events; n != 0 {
		t.Errorf("%d events in an hour", n)
	}
}
