package floodfill_test

import (
	"slices"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/i2np"
	"allium/internal/netdb"
)

// reply is the search reply that was sent, directly and alone.
func reply(t testing.TB, all []sent) i2np.DatabaseSearchReply {
	t.Helper()
	if len(all) != 1 || all[0].m.Type != i2np.TypeDatabaseSearchReply || all[0].to != gateway {
		t.Fatalf("sent %v", all)
	}
	s, err := i2np.ParseDatabaseSearchReply(all[0].m.Body)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// entry is the key of the entry that was sent, directly and alone, zero if
// nothing was.
func entry(t testing.TB, all []sent) data.Hash {
	t.Helper()
	if len(all) == 0 {
		return data.Hash{}
	}
	s, err := i2np.ParseDatabaseStore(all[0].m.Body)
	if err != nil || all[0].m.Type != i2np.TypeDatabaseStore || s.ReplyToken != 0 || len(all) != 1 {
		t.Fatalf("sent %v: %v", all, err)
	}
	return s.Key
}

func TestWhatIsKnownIsAnswered(t *testing.T) {
	b := newBench(t)
	router := b.know(1, "XR")[0]
	ls := leaseSet(t, b.w.Now())
	if _, err := b.leaseSets.Add(b.w.Now(), ls, netdb.Published); err != nil {
		t.Fatal(err)
	}
	for _, l := range []i2np.DatabaseLookup{
		{Key: router, Kind: i2np.LookupRouterInfo}, {Key: router, Kind: i2np.LookupAny},
		{Key: b.self.hash(), Kind: i2np.LookupRouterInfo},
		{Key: ls.Key(), Kind: i2np.LookupLeaseSet}, {Key: ls.Key(), Kind: i2np.LookupAny},
	} {
		l.From = gateway
		if got := entry(t, b.lookup(l)); got != l.Key {
			t.Errorf("kind %d: %v", l.Kind, got)
		}
	}
	// A lookup for the other kind of entry finds nothing.
	reply(t, b.lookup(i2np.DatabaseLookup{Key: router, Kind: i2np.LookupLeaseSet, From: gateway}))
	reply(t, b.lookup(i2np.DatabaseLookup{Key: ls.Key(), Kind: i2np.LookupRouterInfo, From: gateway}))
}

func TestUnknownKeysNameTheThreeClosestFloodfills(t *testing.T) {
	b := newBench(t)
	b.know(10, "XfR")
	b.know(10, "XR")
	key := data.HashOf([]byte("nowhere"))
	excluded := b.closest(key, 2)
	l := i2np.DatabaseLookup{Key: key, From: gateway, Kind: i2np.LookupLeaseSet, Excluded: excluded}
	if got := reply(t, b.lookup(l)); got.From != b.self.hash() || got.Key != key || !slices.Equal(got.Peers, b.closest(key, 3, excluded...)) {
		t.Errorf("named %v", got.Peers)
	}
}

func TestExplorationNamesRoutersThatAreNoFloodfills(t *testing.T) {
	b := newBench(t)
	b.know(10, "XfR")
	others := b.know(20, "XR")
	l := i2np.DatabaseLookup{Key: data.HashOf([]byte("x")), From: gateway, Kind: i2np.LookupExploration, Excluded: others[:2]}
	got := reply(t, b.lookup(l)).Peers
	if len(got) != 16 {
		t.Errorf("%d named", len(got))
	}
	for _, h := range got {
		if !slices.Contains(others[2:], h) {
			t.Error("named a floodfill, or one that was excluded")
		}
	}
}

func TestOnlyWhatWasStoredWithUsIsTold(t *testing.T) {
	b := newBench(t)
	b.know(3, "XfR")
	ls := leaseSet(t, b.w.Now())
	if _, err := b.leaseSets.Add(b.w.Now(), ls, netdb.Reply); err != nil {
		t.Fatal(err)
	}
	reply(t, b.lookup(i2np.DatabaseLookup{Key: ls.Key(), Kind: i2np.LookupLeaseSet, From: gateway}))
	b.w.Run(12 * time.Minute)
	reply(t, b.lookup(i2np.DatabaseLookup{Key: ls.Key(), Kind: i2np.LookupLeaseSet, From: gateway}))
}

func TestAnswerIsSealedAndGoesThroughTheTunnel(t *testing.T) {
	b := newBench(t)
	router := b.know(1, "XR")[0]
	key, tag := [32]byte{1}, [garlic.TagSize]byte{2}
	replies := garlic.NewReplies()
	replies.Expect(b.w.Now(), key, tag, time.Minute)
	all := b.lookup(i2np.DatabaseLookup{
		Key: router, From: gateway, Kind: i2np.LookupRouterInfo, ReplyTunnel: 5, ReplyKey: &key, ReplyTag: &tag,
	})
	if len(all) != 1 || all[0].to != gateway {
		t.Fatalf("sent %v", all)
	}
	m := inside(t, all[0].m, 5)
	g, err := i2np.ParseGarlic(m.Body)
	if err != nil || m.Type != i2np.TypeGarlic {
		t.Fatal(m.Type, err)
	}
	cloves, ok := replies.Open(b.w.Now(), g.Data)
	if !ok || len(cloves) != 1 || cloves[0].Kind != garlic.Local {
		t.Fatalf("cloves %v", cloves)
	}
	if s, err := i2np.ParseDatabaseStore(cloves[0].Message.Body); err != nil || s.Key != router {
		t.Error(err)
	}
}

func TestOthersAnswerForRouterInfosTheyHave(t *testing.T) {
	b := newBench(t)
	b.active = false
	router := b.know(1, "XR")[0]
	b.know(3, "XfR")
	ls := leaseSet(t, b.w.Now())
	if _, err := b.leaseSets.Add(b.w.Now(), ls, netdb.Published); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		key  data.Hash
		kind i2np.LookupKind
		want bool
	}{
		{router, i2np.LookupRouterInfo, true},
		{b.self.hash(), i2np.LookupRouterInfo, true},
		{router, i2np.LookupAny, false},
		{gateway, i2np.LookupRouterInfo, false},
		{ls.Key(), i2np.LookupLeaseSet, false},
		{gateway, i2np.LookupExploration, false},
	} {
		from := data.HashOf([]byte{byte(i)})
		if all := b.lookup(i2np.DatabaseLookup{Key: c.key, Kind: c.kind, From: from}); entry(t, all).IsZero() == c.want {
			t.Errorf("%d: sent %v", i, all)
		}
	}
}

func TestStrangeLookupsAreNotAnswered(t *testing.T) {
	b := newBench(t)
	b.know(3, "XfR")
	for name, l := range map[string]i2np.DatabaseLookup{
		"zero key":  {From: gateway, Kind: i2np.LookupRouterInfo},
		"zero from": {Key: gateway, Kind: i2np.LookupRouterInfo},
		"to us":     {Key: gateway, From: b.self.hash(), Kind: i2np.LookupRouterInfo},
	} {
		if all := b.lookup(l); len(all) != 0 {
			t.Errorf("%s: %d sent", name, len(all))
		}
	}
}

func TestLookupsAreLimited(t *testing.T) {
	b := newBench(t)
	b.know(3, "XfR")
	l := i2np.DatabaseLookup{Key: data.HashOf([]byte("x")), From: gateway, Kind: i2np.LookupLeaseSet, ReplyTunnel: 9}
	answered := 0
	for range 20 {
		answered += len(b.lookup(l))
	}
	if answered != 14 {
		t.Errorf("%d answered for one tunnel", answered)
	}
	// Nobody can have any number of messages sent to somebody else.
	for id := range uint32(500) {
		l.ReplyTunnel = id + 10
		answered += len(b.lookup(l))
	}
	if answered > 14*20 {
		t.Errorf("%d answered for one router", answered)
	}
	l.From = data.HashOf([]byte("another"))
	if len(b.lookup(l)) != 1 {
		t.Error("another router gets no answer")
	}
	b.w.Run(2 * time.Minute)
	l.From = gateway
	if len(b.lookup(l)) != 1 {
		t.Error("no answer later")
	}
}
