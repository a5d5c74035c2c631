package netdb_test

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/cryptotest"
	"time"

	"allium/internal/data"
	"allium/internal/netdb"
	"allium/internal/setting"
	"allium/internal/signature"
	"allium/internal/store"
	"allium/internal/x25519"
)

// noon is when most tests happen.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// said is what a router says of itself.
type said struct {
	published time.Time
	netID     string
	version   string
	caps      string
	addresses []data.RouterAddress
}

// peer is a router that can publish RouterInfos.
type peer struct {
	key      signature.PrivateKey
	identity *data.RouterIdentity
}

func newPeer(t testing.TB) peer {
	t.Helper()
	key, err := signature.Generate(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := data.NewRouterIdentity(key, x25519.Generate().Public)
	if err != nil {
		t.Fatal(err)
	}
	return peer{key, identity}
}

func (p peer) hash() data.Hash { return p.identity.Hash() }

// host is where it is, hardly ever where another is.
func (p peer) host() string {
	h := p.hash()
	return netip.AddrFrom4([4]byte{70 + h[0]%16, h[1], h[2], h[3]}).String()
}

// info is a RouterInfo that a DB takes, but for what edit does.
func (p peer) info(t testing.TB, published time.Time, edit ...func(*said)) *data.RouterInfo {
	t.Helper()
	s := said{
		published: published, netID: "2", version: "0.9.67", caps: "LR",
		addresses: []data.RouterAddress{ntcp2(t, p.host())},
	}
	for _, e := range edit {
		e(&s)
	}
	var pairs []data.Pair
	for _, o := range []data.Pair{{Key: data.OptionNetID, Value: s.netID}, {Key: data.OptionVersion, Value: s.version}, {Key: data.OptionCaps, Value: s.caps}} {
		if o.Value != "" {
			pairs = append(pairs, o)
		}
	}
	options, err := data.NewMapping(pairs...)
	if err != nil {
		t.Fatal(err)
	}
	ri, err := data.SignRouterInfo(p.key, p.identity, s.published, s.addresses, options)
	if err != nil {
		t.Fatal(err)
	}
	return ri
}

func caps(letters string) func(*said) { return func(s *said) { s.caps = letters } }

// ntcp2 is an address at a host, or behind a firewall when host is empty.
func ntcp2(t testing.TB, host string) data.RouterAddress {
	t.Helper()
	static := x25519.Generate().Public
	pairs := []data.Pair{{Key: "s", Value: data.EncodeBase64(static[:])}, {Key: "v", Value: "2"}}
	if host != "" {
		pairs = append(pairs, data.Pair{Key: "host", Value: host}, data.Pair{Key: "port", Value: "12345"}, data.Pair{Key: "i", Value: data.EncodeBase64(make([]byte, 16))})
	}
	a, err := data.NewRouterAddress(10, data.StyleNTCP2, pairs...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newBucket(t testing.TB) store.Bucket {
	t.Helper()
	s := store.Memory()
	t.Cleanup(func() { s.Close() })
	bucket, err := s.Bucket("netdb")
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

var self = data.HashOf([]byte("self"))

func newDB(t testing.TB, cfg netdb.Config) *netdb.DB {
	t.Helper()
	return openDB(t, cfg, newBucket(t))
}

func openDB(t testing.TB, cfg netdb.Config, bucket store.Bucket) *netdb.DB {
	t.Helper()
	d, err := netdb.New(cfg, self, bucket)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fill adds n routers, every tenth a floodfill.
func fill(t testing.TB, d *netdb.DB, n int) []*data.RouterInfo {
	t.Helper()
	all := make([]*data.RouterInfo, n)
	for i := range all {
		letters := "LR"
		if i%10 == 0 {
			letters = "XfR"
		}
		all[i] = newPeer(t).info(t, noon, caps(letters))
		mustAdd(t, d, noon, all[i])
	}
	return all
}

func mustAdd(t testing.TB, d *netdb.DB, now time.Time, ri *data.RouterInfo) netdb.Added {
	t.Helper()
	added, err := d.AddRouter(now, ri)
	if err != nil {
		t.Fatal(err)
	}
	return added
}

func TestNewRefusesBadMinVersion(t *testing.T) {
	if _, err := netdb.New(netdb.Config{MinVersion: "9"}, self, newBucket(t)); err == nil {
		t.Error("no error")
	}
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	d := newDB(t, netdb.Config{MaxRouters: 40})
	var infos []*data.RouterInfo
	for range 80 {
		infos = append(infos, newPeer(t).info(t, noon, caps("XfR")))
	}
	var wg sync.WaitGroup
	for part := range 4 {
		wg.Go(func() {
			for i := part; i < len(infos); i += 4 {
				d.AddRouter(noon, infos[i])
				d.Closest(noon, infos[i].Hash(), 3, func(ri *data.RouterInfo) bool { return d.RouterInfo(ri.Hash()) != nil })
				d.Reached(noon, infos[i].Hash())
				d.Remove(infos[i/2].Hash())
				d.Expire(noon)
				if err := d.Flush(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	n := 0
	for ri := range d.All() {
		n++
		if d.RouterInfo(ri.Hash()) != ri {
			t.Error("lost a router")
		}
	}
	if n != d.Len() || n > 40 || d.Floodfills() != n {
		t.Errorf("%d routers, Len %d, Floodfills %d", n, d.Len(), d.Floodfills())
	}
}

func BenchmarkAddRouter(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			d := newDB(b, netdb.Config{MaxRouters: 2 * n})
			fill(b, d, n)
			p := newPeer(b)
			ri := p.info(b, noon)
			for b.Loop() {
				mustAdd(b, d, noon, ri)
				d.Remove(p.hash())
			}
		})
	}
}

func BenchmarkRouterInfo(b *testing.B) {
	d := newDB(b, netdb.Config{MaxRouters: 10_000})
	h := fill(b, d, 10_000)[77].Hash()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if d.RouterInfo(h) == nil {
				b.Fail()
			}
		}
	})
}

func TestConfigsCanBeSettings(t *testing.T) {
	var cfg struct {
		Routers   netdb.Config          `help:"The routers."`
		LeaseSets netdb.LeaseSetsConfig `help:"The LeaseSets."`
	}
	setting.Defaults(&cfg)
	if cfg.Routers.NetID != data.MainNet || cfg.Routers.MaxAge != data.RouterInfoMaxAge || cfg.Routers.MaxRouters == 0 || cfg.LeaseSets.MaxCount == 0 {
		t.Errorf("%+v", cfg)
	}
}
