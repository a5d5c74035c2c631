package destination_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/destination"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/router"
	"allium/internal/sim"
	"allium/internal/x25519"
)

// attacker is somebody with a router who makes all messages by hand.
type attacker struct {
	t       testing.TB
	node    *node
	context *router.Context
	victim  *data.LeaseSet2
}

// newAttacker looks the victim up and has tunnels of its own.
func newAttacker(x *node, victim *endpoint) *attacker {
	x.n.t.Helper()
	a := &attacker{t: x.n.t, node: x}
	x.h.Do(func(r *host.Round) {
		a.context = x.OpenContext(r, router.ContextConfig{Tunnels: tunnels(1, 1), Garlic: func(*host.Round, []byte) {}})
	})
	stands := func() bool { return len(a.context.Pool.Inbounds(x.n.w.Now())) > 0 }
	if !x.n.w.RunUntil(stands, time.Minute) {
		a.t.Fatal("no tunnels")
	}
	x.h.Do(func(r *host.Round) {
		a.context.LeaseSet(r, victim.Hash(), func(_ *host.Round, ls data.LeaseSetEntry, err error) {
			if err != nil {
				a.t.Fatal(err)
			}
			a.victim = ls.(*data.LeaseSet2)
		})
	})
	if !x.n.w.RunUntil(func() bool { return a.victim != nil }, time.Minute) {
		a.t.Fatal("victim not found")
	}
	return a
}

func (a *attacker) now() time.Time { return a.node.n.w.Now() }

// victimKey is what to encrypt to.
func (a *attacker) victimKey() x25519.PublicKey {
	return x25519.PublicKey(a.victim.EncryptionKeys()[0].Key)
}

// identity is a Destination of the attacker.
type identity struct {
	keys     *data.PrivateKeys
	key      x25519.KeyPair
	sessions *garlic.Sessions
}

func newIdentity(t testing.TB) *identity {
	key := x25519.Generate()
	return &identity{keys: newKeys(t), key: key, sessions: garlic.New(garlic.Config{}, key)}
}

// leaseSet is one of the identity that names a key, with a lease that leads to
// the attacker.
func (a *attacker) leaseSet(id *identity, key x25519.PublicKey) *data.LeaseSet2 {
	a.t.Helper()
	gateway, tunnel := a.context.Pool.Inbounds(a.now())[0].Gateway()
	ls, err := data.SignLeaseSet2(id.keys.Signing, data.LeaseSet2Content{
		Destination: id.keys.Destination, Published: a.now(),
		Keys:   []data.EncryptionKey{{Type: data.X25519, Key: key[:]}},
		Leases: []data.Lease{{Gateway: gateway, TunnelID: uint32(tunnel), Expires: a.now().Add(10 * time.Minute)}},
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return ls
}

// stored is a clove that stores a LeaseSet.
func (a *attacker) stored(ls data.LeaseSetEntry) garlic.Clove {
	s := i2np.DatabaseStore{Key: ls.Key(), Type: i2np.StoreType(ls.Type()), Data: ls.Bytes()}
	return garlic.Clove{Message: a.message(i2np.TypeDatabaseStore, s.Append(nil))}
}

func (a *attacker) message(kind i2np.Type, body []byte) i2np.Message {
	return i2np.Message{Type: kind, ID: random.Nonzero32(), Expiration: a.now().Add(time.Minute), Body: body}
}

// text is a clove with a message for the victim.
func (a *attacker) text(s string) garlic.Clove {
	m := destination.NewCodec(false).Append(nil, destination.Message{Protocol: destination.ProtocolRaw, Payload: []byte(s)})
	return garlic.Clove{
		Delivery: garlic.Delivery{Kind: garlic.ToDestination, Hash: a.victim.Key()},
		Message:  a.message(i2np.TypeData, i2np.Data{Payload: m}.Append(nil)),
	}
}

// seal seals cloves for the victim.
func (a *attacker) seal(id *identity, cloves ...garlic.Clove) []byte {
	a.t.Helper()
	b, err := id.sessions.Seal(nil, a.now(), a.victimKey(), cloves, 0)
	if err != nil {
		a.t.Fatal(err)
	}
	return b
}

// inject sends a message straight into the victim's tunnel.
func (a *attacker) inject(m i2np.Message) {
	lease := a.victim.Leases()[0]
	g := i2np.TunnelGateway{TunnelID: lease.TunnelID, Message: m.AppendStandard(nil)}
	outer := a.message(i2np.TypeTunnelGateway, g.Append(nil))
	a.node.h.Do(func(r *host.Round) { _ = a.node.Send(r, lease.Gateway, outer, bandwidth.Own) })
}

func (a *attacker) garlic(sealed []byte) {
	a.inject(a.message(i2np.TypeGarlic, i2np.Garlic{Data: sealed}.Append(nil)))
}

// attack is a small network with a victim, a friend of it, and an attacker.
func attack(t testing.TB, w *sim.World) (*attacker, *endpoint, *endpoint) {
	t.Helper()
	n, victim, friend := pair(t, w, 7)
	a := newAttacker(n.nodes[4], victim)
	_ = friend.send(victim.Hash(), "hello")
	victim.await("hello", 20*time.Second)
	_ = victim.send(friend.Hash(), "hello")
	friend.await("hello", 20*time.Second)
	return a, victim, friend
}

func TestSenderIsWhoseLeaseSetCameWithTheSession(t *testing.T) {
	w := sim.New(t, 20, sim.Config{})
	a, victim, _ := attack(t, w)
	id := newIdentity(t)
	a.garlic(a.seal(id, a.text("bound"), a.stored(a.leaseSet(id, id.key.Public)))) // in any order
	if m := victim.await("bound", 5*time.Second); !m.from.Bound || m.from.Hash != id.keys.Destination.Hash() {
		t.Errorf("from %+v", m.from)
	}
	a.garlic(a.seal(newIdentity(t), a.text("unbound")))
	if m := victim.await("unbound", 5*time.Second); m.from.Bound {
		t.Errorf("from %+v", m.from)
	}
}

// LeaseSets of others, in sessions of one's own, are nobody's name.
func TestSenderCannotTakeAnothersName(t *testing.T) {
	w := sim.New(t, 21, sim.Config{})
	a, victim, friend := attack(t, w)
	friends := newAttacker(a.node, friend).victim
	a.garlic(a.seal(newIdentity(t), a.stored(friends), a.text("in the friend's name")))
	if m := victim.await("in the friend's name", 5*time.Second); m.from.Bound {
		t.Errorf("from %+v", m.from)
	}
	// A LeaseSet with a wrong signature.
	id := newIdentity(t)
	forged := a.leaseSet(id, id.key.Public)
	s := i2np.DatabaseStore{Key: forged.Key(), Type: i2np.StoreType(forged.Type()), Data: bytes.Clone(forged.Bytes())}
	s.Data[len(s.Data)-1] ^= 1
	a.garlic(a.seal(id, garlic.Clove{Message: a.message(i2np.TypeDatabaseStore, s.Append(nil))}, a.text("forged")))
	if m := victim.await("forged", 5*time.Second); m.from.Bound {
		t.Errorf("from %+v", m.from)
	}
	// A third party's, which is true, is not kept for the sender's sake.
	other := newIdentity(t)
	a.garlic(a.seal(newIdentity(t), a.stored(a.leaseSet(other, other.key.Public)), a.text("third party")))
	victim.await("third party", 5*time.Second)
	if all, _ := victim.Peers(); all != 1 {
		t.Errorf("%d peers", all)
	}
}

// Somebody publishes a LeaseSet that names the friend's key as his own. When
// the victim writes to him, the friend's messages must not become his.
func TestNamingAnothersKeyTakesNothingFromHim(t *testing.T) {
	w := sim.New(t, 22, sim.Config{})
	a, victim, friend := attack(t, w)
	friendKey := x25519.PublicKey(newAttacker(a.node, friend).victim.EncryptionKeys()[0].Key)
	id := newIdentity(t)
	published := false
	a.node.h.Do(func(r *host.Round) {
		a.context.Publish(r, a.leaseSet(id, friendKey), func(*host.Round) { published = true }, func(*host.Round, error) {})
	})
	if !w.RunUntil(func() bool { return published }, time.Minute) {
		t.Fatal("not published")
	}
	if err := victim.resolve(id.keys.Destination.Hash()); err != nil {
		t.Fatal(err)
	}
	_ = victim.send(id.keys.Destination.Hash(), "to the thief")
	w.Run(2 * time.Second)
	_ = friend.send(victim.Hash(), "it is me")
	if m := victim.await("it is me", 20*time.Second); !m.from.Bound || m.from.Hash != friend.Hash() {
		t.Errorf("from %+v", m.from)
	}
}

func TestRecordedMessagesHaveNoEffect(t *testing.T) {
	w := sim.New(t, 23, sim.Config{})
	a, victim, _ := attack(t, w)
	id := newIdentity(t)
	sealed := a.seal(id, a.stored(a.leaseSet(id, id.key.Public)), a.text("once"))
	for _, after := range []time.Duration{0, time.Second, 20 * time.Second, time.Minute, 4 * time.Minute} {
		w.Run(after)
		a.garlic(bytes.Clone(sealed))
	}
	w.Run(5 * time.Second)
	if n := victim.count("once"); n != 1 {
		t.Errorf("delivered %d times", n)
	}
}

// Whatever comes down the tunnel: only garlic for the Destination is looked
// into, and of that only what is for it.
func TestStrangeMessagesAreIgnored(t *testing.T) {
	w := sim.New(t, 24, sim.Config{})
	a, victim, friend := attack(t, w)
	body := i2np.Data{Payload: destination.NewCodec(false).Append(nil, destination.Message{Payload: []byte("bare")})}.Append(nil)
	for _, kind := range []i2np.Type{
		i2np.TypeData, i2np.TypeDatabaseLookup, i2np.TypeDatabaseSearchReply, i2np.TypeDeliveryStatus, i2np.TypeTunnelData,
		i2np.TypeTunnelGateway, i2np.TypeShortTunnelBuild, i2np.TypeOutboundTunnelBuildReply, 231,
	} {
		a.inject(a.message(kind, body))
	}
	id := newIdentity(t)
	a.inject(a.stored(a.leaseSet(id, id.key.Public)).Message)
	elsewhere := func(d garlic.Delivery) garlic.Clove {
		c := a.text("elsewhere")
		c.Delivery = d
		return c
	}
	late := a.text("late")
	late.Message.Expiration = a.now().Add(-2 * time.Minute)
	broken := a.text("broken")
	broken.Message.Body = broken.Message.Body[:len(broken.Message.Body)-5]
	a.garlic(a.seal(newIdentity(t),
		elsewhere(garlic.Delivery{Kind: garlic.ToRouter, Hash: a.node.Hash()}),
		elsewhere(garlic.Delivery{Kind: garlic.ToTunnel, Hash: a.node.Hash(), Tunnel: 5}),
		elsewhere(garlic.Delivery{Kind: garlic.ToDestination, Hash: friend.Hash()}),
		late, broken,
		garlic.Clove{Message: a.message(i2np.TypeDatabaseLookup, nil)},
	))
	a.garlic(nil)
	a.garlic(noise(500))
	w.Run(5 * time.Second)
	before := len(victim.got)
	_ = friend.send(victim.Hash(), "all well")
	victim.await("all well", 10*time.Second)
	if n := len(victim.got) - before; n != 1 || before != 1 {
		t.Errorf("%d messages before, %d after", before, n)
	}
	s := victim.status()
	if s.Malformed != 4 || s.Dropped != 1 || s.Unsealed != 2 {
		t.Errorf("%+v", s)
	}
	if all, _ := victim.Peers(); all != 1 {
		t.Errorf("%d peers", all)
	}
}

// Ten thousand New Sessions of strangers in a minute (pain A24): the friend
// hardly notices, and what is kept is bounded.
func TestFloodOfStrangersLeavesTheFriendAlone(t *testing.T) {
	count := 10_000
	if testing.Short() || raceDetector {
		count = 1000
	}
	w := sim.New(t, 25, sim.Config{})
	a, victim, friend := attack(t, w)
	victim.answer = func(r *host.Round, m received) {
		if m.from.Bound {
			_ = victim.Send(r, m.from.Hash, m.Message)
		}
	}
	friend.got = nil
	quiet := friend.node.open(destination.Config{Tunnels: tunnels(1, 2)}, nil)
	a.node.n.ready(quiet)
	_ = quiet.send(victim.Hash(), "hello from the quiet one")
	victim.await("hello from the quiet one", 20*time.Second)
	quiet.await("hello from the quiet one", 20*time.Second)
	w.Run(3 * time.Second)
	key := a.victimKey()
	sent := 0
	for i := range count {
		id := &identity{keys: newKeys(t), key: x25519.Generate()}
		id.sessions = garlic.New(garlic.Config{MaxPeers: 1, NewSessionRate: 1}, id.key)
		b, err := id.sessions.Seal(nil, a.now(), key, []garlic.Clove{a.stored(a.leaseSet(id, id.key.Public)), a.text("flood")}, 0)
		if err != nil {
			t.Fatal(err)
		}
		a.garlic(b)
		w.Run(6 * time.Millisecond)
		if i%100 == 0 {
			sent++
			_ = friend.send(victim.Hash(), fmt.Sprint("friend ", i))
		}
	}
	w.Run(10 * time.Second)
	if n := len(friend.got); n < sent*95/100 {
		t.Errorf("the friend got %d of %d answers", n, sent)
	}
	if n := victim.count("flood"); n < count/2 {
		t.Errorf("only %d of %d strangers came through", n, count)
	}
	// Who has said nothing meanwhile is still known.
	_ = quiet.send(victim.Hash(), "still here")
	if m := victim.await("still here", 10*time.Second); !m.from.Bound || m.from.Hash != quiet.Hash() {
		t.Errorf("from %+v", m.from)
	}
	all, keys := victim.Peers()
	if all > destination.MaxPeers || keys > all {
		t.Errorf("%d peers, %d keys", all, keys)
	}
	t.Logf("%d of %d strangers heard, %d peers kept, %d dropped, friend answered %d of %d",
		victim.count("flood"), count, all, victim.status().Dropped, len(friend.got), sent)
}

// Noise costs its bandwidth and nothing else.
func TestFloodOfNoiseLeavesTheFriendAlone(t *testing.T) {
	w := sim.New(t, 26, sim.Config{})
	a, victim, friend := attack(t, w)
	victim.answer = func(r *host.Round, m received) { _ = victim.Send(r, m.from.Hash, m.Message) }
	friend.got = nil
	const rounds = 40
	for range rounds {
		for range 200 {
			a.garlic(noise(300))
		}
		_ = friend.send(victim.Hash(), "friend")
		w.Run(500 * time.Millisecond)
	}
	w.Run(5 * time.Second)
	if n := len(friend.got); n < rounds*95/100 {
		t.Errorf("%d of %d answers: %+v", n, rounds, victim.status())
	}
}
