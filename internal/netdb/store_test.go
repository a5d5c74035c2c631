package netdb_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"testing/cryptotest"
	"time"

	"allium/internal/data"
	"allium/internal/netdb"
	"allium/internal/signature"
)

func TestAddRouterRefuses(t *testing.T) {
	cfg := netdb.Config{MinVersion: "0.9.59", MaxAge: time.Hour}
	host := func(hosts ...string) func(*said) {
		return func(s *said) {
			s.addresses = nil
			for _, h := range hosts {
				s.addresses = append(s.addresses, ntcp2(t, h))
			}
		}
	}
	port := func(value string) func(*said) {
		return func(s *said) {
			a := s.addresses[0]
			static, _ := a.StaticKey()
			a, err := data.NewRouterAddress(10, data.StyleNTCP2,
				data.Pair{Key: "s", Value: data.EncodeBase64(static[:])}, data.Pair{Key: "v", Value: "2"},
				data.Pair{Key: "host", Value: "1.2.3.4"}, data.Pair{Key: "port", Value: value})
			if err != nil {
				t.Fatal(err)
			}
			s.addresses = []data.RouterAddress{a}
		}
	}
	old := func(age time.Duration) func(*said) {
		return func(s *said) { s.published = noon.Add(-age) }
	}
	all := func(edits ...func(*said)) func(*said) {
		return func(s *said) {
			for _, e := range edits {
				e(s)
			}
		}
	}
	for name, c := range map[string]struct {
		edit func(*said)
		want error
	}{
		"nothing wrong":      {func(*said) {}, nil},
		"other net":          {func(s *said) { s.netID = "3" }, netdb.ErrNetID},
		"no net":             {func(s *said) { s.netID = "" }, netdb.ErrNetID},
		"old version":        {func(s *said) { s.version = "0.9.58" }, netdb.ErrVersion},
		"oldest version":     {func(s *said) { s.version = "0.9.59" }, nil},
		"no version":         {func(s *said) { s.version = "" }, netdb.ErrVersion},
		"just fresh":         {old(time.Hour), nil},
		"too old":            {old(time.Hour + time.Second), netdb.ErrExpired},
		"a little ahead":     {old(-2 * time.Minute), nil},
		"too far ahead":      {old(-2*time.Minute - time.Second), netdb.ErrFuture},
		"firewalled":         {host(""), nil},
		"loopback":           {host("127.0.0.1"), netdb.ErrNoAddress},
		"private":            {host("10.1.1.1", "192.168.1.1", "198.18.0.1"), netdb.ErrNoAddress},
		"private and public": {host("10.1.1.1", "1.2.3.4"), nil},
		"Yggdrasil":          {host("200::1"), netdb.ErrNoAddress},
		"port of mail":       {port("25"), netdb.ErrNoAddress},
		"port of Tor":        {port("9150"), netdb.ErrNoAddress},
		"host name":          {host("example.com"), netdb.ErrNoAddress},
		"no address":         {host(), netdb.ErrNoAddress},
		"hidden, no address": {all(host(), caps("LH")), nil},
		"strange transport":  {func(s *said) { s.addresses[0].Style = "NTCP" }, netdb.ErrNoAddress},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDB(t, cfg)
			ri := newPeer(t).info(t, noon, c.edit)
			added, err := d.AddRouter(noon, ri)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if ok := added == netdb.First && d.RouterInfo(ri.Hash()) == ri && d.Len() == 1; ok != (c.want == nil) {
				t.Errorf("added %v, %d routers", added, d.Len())
			}
		})
	}
}

func TestAddRouterTakesPrivateAddressesWhenAllowed(t *testing.T) {
	d := newDB(t, netdb.Config{AllowPrivate: true})
	for _, host := range []string{"127.0.0.1", "10.0.0.1", "192.168.1.1", "198.18.0.1", "1.2.3.4", "::1"} {
		mustAdd(t, d, noon, newPeer(t).info(t, noon, func(s *said) { s.addresses = []data.RouterAddress{ntcp2(t, host)} }))
	}
}

func TestAddRouterVerifies(t *testing.T) {
	d := newDB(t, netdb.Config{})
	p := newPeer(t)
	forge := func(published time.Time) *data.RouterInfo {
		b := bytes.Clone(p.info(t, published).Bytes())
		b[len(b)-1] ^= 1
		ri, err := data.ParseRouterInfo(b)
		if err != nil {
			t.Fatal(err)
		}
		return ri
	}
	if _, err := d.AddRouter(noon, forge(noon)); !errors.Is(err, data.ErrSignature) {
		t.Errorf("got %v", err)
	}
	ours := p.info(t, noon)
	mustAdd(t, d, noon, ours)
	if _, err := d.AddRouter(noon, forge(noon.Add(time.Second))); !errors.Is(err, data.ErrSignature) {
		t.Errorf("got %v", err)
	}
	if d.RouterInfo(p.hash()) != ours {
		t.Error("replaced by a forgery")
	}
}

func TestAddRouterNeverTakesOurOwn(t *testing.T) {
	p := newPeer(t)
	d, err := netdb.New(netdb.Config{}, p.hash(), newBucket(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.AddRouter(noon, p.info(t, noon)); !errors.Is(err, netdb.ErrSelf) || d.Len() != 0 {
		t.Errorf("got %v", err)
	}
}

func TestAddRouterRefusesOldKeys(t *testing.T) {
	key, err := signature.Generate(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	d, err := data.NewDestination(key) // says ElGamal, as routers once did
	if err != nil {
		t.Fatal(err)
	}
	identity, err := data.ParseRouterIdentity(d.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newDB(t, netdb.Config{}).AddRouter(noon, peer{key, identity}.info(t, noon)); !errors.Is(err, netdb.ErrKeys) {
		t.Errorf("got %v", err)
	}
}

func TestNewestRouterInfoWins(t *testing.T) {
	d := newDB(t, netdb.Config{})
	p := newPeer(t)
	first := p.info(t, noon, caps("XfR"))
	second := p.info(t, noon.Add(time.Millisecond))
	for _, step := range []struct {
		ri         *data.RouterInfo
		want       netdb.Added
		now        *data.RouterInfo
		floodfills int
	}{
		{first, netdb.First, first, 1},
		{p.info(t, noon, caps("XfR")), netdb.Known, first, 1},
		{second, netdb.Newer, second, 0},
		{first, netdb.Known, second, 0},
	} {
		if got := mustAdd(t, d, noon, step.ri); got != step.want {
			t.Errorf("got %v, want %v", got, step.want)
		}
		if d.RouterInfo(p.hash()) != step.now || d.Floodfills() != step.floodfills || d.Len() != 1 {
			t.Error("keeps the wrong one")
		}
	}
	d.Remove(p.hash())
	if d.RouterInfo(p.hash()) != nil || d.Len() != 0 {
		t.Error("still there")
	}
}

func TestRoutersAreBounded(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 2)
	const bound = 160
	run := func() (hashes []data.Hash) {
		d := newDB(t, netdb.Config{MaxRouters: bound})
		var friends, floodfills []data.Hash
		for range 20 {
			friend := newPeer(t).info(t, noon.Add(-5*time.Hour))
			floodfill := newPeer(t).info(t, noon.Add(-5*time.Hour), caps("XfR"))
			mustAdd(t, d, noon, friend)
			mustAdd(t, d, noon, floodfill)
			d.Reached(noon, friend.Hash())
			friends, floodfills = append(friends, friend.Hash()), append(floodfills, floodfill.Hash())
		}
		for range 400 {
			_, err := d.AddRouter(noon, newPeer(t).info(t, noon))
			if err != nil && !errors.Is(err, netdb.ErrFull) {
				t.Fatal(err)
			}
			if d.Len() > bound {
				t.Fatalf("%d routers", d.Len())
			}
		}
		for _, h := range slices.Concat(friends, floodfills) {
			if d.RouterInfo(h) == nil {
				t.Error("a router we met, or a floodfill, made room for an unknown")
			}
		}
		for ri := range d.All() {
			hashes = append(hashes, ri.Hash())
		}
		return hashes
	}
	cryptotest.SetGlobalRandom(t, 3)
	first := run()
	cryptotest.SetGlobalRandom(t, 3)
	if !slices.Equal(first, run()) {
		t.Error("the same routers left others behind")
	}
}

func TestFalseFloodfillsDoNotFillTheDatabase(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 2)
	d := newDB(t, netdb.Config{MaxRouters: 160})
	var ordinary []data.Hash
	for range 100 {
		ri := newPeer(t).info(t, noon)
		mustAdd(t, d, noon, ri)
		ordinary = append(ordinary, ri.Hash())
	}
	for range 300 {
		d.AddRouter(noon, newPeer(t).info(t, noon, caps("XfR")))
	}
	left := 0
	for _, h := range ordinary {
		if d.RouterInfo(h) != nil {
			left++
		}
	}
	if left < 20 {
		t.Errorf("%d of 100 ordinary routers left", left)
	}
}

func TestFarRoutersMakeRoomFirst(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 4)
	d := newDB(t, netdb.Config{MaxRouters: 100})
	var all []data.Hash
	for range 101 {
		ri := newPeer(t).info(t, noon)
		d.AddRouter(noon, ri)
		all = append(all, ri.Hash())
	}
	slices.SortFunc(all, func(a, b data.Hash) int {
		return self.Closer(netdb.RoutingKey(a, noon), netdb.RoutingKey(b, noon))
	})
	for i, h := range all {
		if stayed := d.RouterInfo(h) != nil; stayed != (i < d.Len()) {
			t.Errorf("number %d by distance stayed: %v", i, stayed)
		}
	}
	if d.Len() != 94 {
		t.Errorf("%d routers left", d.Len())
	}
}

func TestOldRoutersMakeRoomFirst(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 5)
	d := newDB(t, netdb.Config{MaxRouters: 100})
	var old, fresh []data.Hash
	for i := range 101 {
		if i%10 == 0 {
			ri := newPeer(t).info(t, noon.Add(-3*time.Hour))
			old = append(old, ri.Hash())
			d.AddRouter(noon, ri) // the last may have to go at once
			continue
		}
		ri := newPeer(t).info(t, noon)
		fresh = append(fresh, ri.Hash())
		d.AddRouter(noon, ri)
	}
	gone := slices.DeleteFunc(slices.Clone(old), func(h data.Hash) bool { return d.RouterInfo(h) != nil })
	if len(gone) != 7 || d.Len() != 94 {
		t.Errorf("%d old routers gone, %d left", len(gone), d.Len())
	}
	for _, h := range fresh {
		if d.RouterInfo(h) == nil {
			t.Error("a fresh one made room")
		}
	}
}
