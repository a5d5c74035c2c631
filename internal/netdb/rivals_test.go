package netdb_test

import (
	"errors"
	"testing"
	"testing/cryptotest"

	"allium/internal/data"
	"allium/internal/netdb"
)

// like is a RouterInfo that claims the addresses and keys of another.
func like(t testing.TB, other *data.RouterInfo) *data.RouterInfo {
	t.Helper()
	return newPeer(t).info(t, noon, func(s *said) { s.addresses = other.Addresses() })
}

// at is one that claims to be where another is, with a key of its own.
func at(t testing.TB, other peer) *data.RouterInfo {
	t.Helper()
	return newPeer(t).info(t, noon, func(s *said) { s.addresses = []data.RouterAddress{ntcp2(t, other.host())} })
}

func TestCopiesOfARouterAreFewAndDoNotPushItOut(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	for name, copied := range map[string]func(p peer, ri *data.RouterInfo) *data.RouterInfo{
		"keys and address": func(_ peer, ri *data.RouterInfo) *data.RouterInfo { return like(t, ri) },
		"address":          func(p peer, _ *data.RouterInfo) *data.RouterInfo { return at(t, p) },
	} {
		d := newDB(t, netdb.Config{})
		p := newPeer(t)
		honest := p.info(t, noon)
		mustAdd(t, d, noon, copied(p, honest)) // even when it comes first
		mustAdd(t, d, noon, honest)
		for range 100 {
			if _, err := d.AddRouter(noon, copied(p, honest)); err != nil && !errors.Is(err, netdb.ErrDuplicate) {
				t.Fatal(err)
			}
		}
		if d.Len() != 3 || d.RouterInfo(honest.Hash()) == nil {
			t.Errorf("%s: %d of them", name, d.Len())
		}
		mustAdd(t, d, noon, p.info(t, noon.Add(1e9)))
	}
}

func TestSessionDecidesWhoseAKeyIs(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	d := newDB(t, netdb.Config{})
	p := newPeer(t)
	honest := p.info(t, noon)
	for range 3 {
		mustAdd(t, d, noon, like(t, honest))
	}
	if _, err := d.AddRouter(noon, honest); !errors.Is(err, netdb.ErrDuplicate) {
		t.Fatalf("got %v", err)
	}
	if added, err := d.Proven(noon, honest); added != netdb.First || err != nil || d.Len() != 1 {
		t.Errorf("%v, %v, %d routers", added, err, d.Len())
	}
	if _, err := d.AddRouter(noon, like(t, honest)); !errors.Is(err, netdb.ErrDuplicate) || d.Len() != 1 {
		t.Errorf("a copy of a router we know: %v", err)
	}
	// The same router under another name: it was set up anew.
	again := like(t, honest)
	if added, err := d.Proven(noon, again); added != netdb.First || err != nil || d.Len() != 1 || d.RouterInfo(honest.Hash()) != nil {
		t.Errorf("%v, %v, %d routers", added, err, d.Len())
	}
}

// A session shows one key only: what else its RouterInfo claims may be lies,
// told to have others forgotten.
func TestSessionProvesNothingElse(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	d := newDB(t, netdb.Config{})
	p := newPeer(t)
	honest := p.info(t, noon)
	mustAdd(t, d, noon, honest)
	stolen := honest.Addresses()[0]
	ssu2 := stolen
	ssu2.Style = data.StyleSSU2
	for name, addresses := range map[string][]data.RouterAddress{
		"place":           {ntcp2(t, p.host())},
		"a second key":    {ntcp2(t, "70.1.1.1"), stolen},
		"the key of SSU2": {ntcp2(t, "70.1.1.2"), ssu2},
	} {
		_, err := d.Proven(noon, newPeer(t).info(t, noon, func(s *said) { s.addresses = addresses }))
		if err != nil && !errors.Is(err, netdb.ErrDuplicate) {
			t.Fatal(err)
		}
		if d.RouterInfo(honest.Hash()) == nil {
			t.Errorf("%s: forgotten", name)
		}
	}
}

func TestRivalThatIsNotReachedGoes(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	d := newDB(t, netdb.Config{})
	p := newPeer(t)
	honest, liar := p.info(t, noon), at(t, p)
	mustAdd(t, d, noon, honest)
	mustAdd(t, d, noon, liar)
	d.Reached(noon, honest.Hash())
	d.Missed(noon, honest.Hash()) // it may be down for a moment
	d.Missed(noon, liar.Hash())
	if d.RouterInfo(honest.Hash()) == nil || d.RouterInfo(liar.Hash()) != nil {
		t.Error("the wrong one went")
	}
	alone := newPeer(t).info(t, noon)
	mustAdd(t, d, noon, alone)
	d.Missed(noon, alone.Hash())
	if d.RouterInfo(alone.Hash()) == nil {
		t.Error("went without a rival")
	}
}

func TestRouterMovesWithoutATrace(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	d := newDB(t, netdb.Config{})
	p := newPeer(t)
	mustAdd(t, d, noon, p.info(t, noon))
	mustAdd(t, d, noon, p.info(t, noon.Add(1e9), func(s *said) { s.addresses = []data.RouterAddress{ntcp2(t, "70.1.1.1")} }))
	for range 3 {
		mustAdd(t, d, noon, at(t, p)) // others move in
	}
	d.Remove(p.hash())
}
