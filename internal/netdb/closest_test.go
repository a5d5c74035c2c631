package netdb_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/cryptotest"
	"time"

	"allium/internal/data"
	"allium/internal/netdb"
	"allium/internal/random"
	"pgregory.net/rapid"
)

func TestRoutingKeyIsTheHashOfKeyAndDate(t *testing.T) {
	key := data.HashOf([]byte("key"))
	at := time.Date(2026, 3, 9, 23, 30, 0, 0, time.FixedZone("west", -3600)) // the tenth in UTC
	if got, want := netdb.RoutingKey(key, at), data.HashOf(append(key[:], "20260310"...)); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := testing.AllocsPerRun(100, func() { netdb.RoutingKey(key, at) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestPublishKeysReachIntoTomorrow(t *testing.T) {
	key := data.HashOf([]byte("key"))
	midnight := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		before time.Duration
		of     data.EntryType
		want   int
	}{
		{45*time.Minute + 1, data.TypeRouterInfo, 1},
		{45 * time.Minute, data.TypeRouterInfo, 2},
		{10*time.Minute + 1, data.TypeLeaseSet2, 1},
		{10 * time.Minute, data.TypeLeaseSet2, 2},
		{1, data.TypeEncryptedLeaseSet, 2},
		{0, data.TypeRouterInfo, 1},
	} {
		now := midnight.Add(-c.before)
		keys := netdb.PublishKeys(now, key, c.of)
		if len(keys) != c.want || keys[0] != netdb.RoutingKey(key, now) {
			t.Errorf("%v before midnight: %d keys", c.before, len(keys))
		}
		if len(keys) == 2 && keys[1] != netdb.RoutingKey(key, midnight) {
			t.Errorf("%v before midnight: not the key of tomorrow", c.before)
		}
	}
}

func TestClosestEqualsBruteForce(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	d := newDB(t, netdb.Config{})
	all := fill(t, d, 300)
	rapid.Check(t, func(t *rapid.T) {
		var key data.Hash
		copy(key[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
		n := rapid.IntRange(0, 310).Draw(t, "n")
		if rapid.Bool().Draw(t, "change") {
			i := rapid.IntRange(0, len(all)-1).Draw(t, "which")
			if d.RouterInfo(all[i].Hash()) != nil {
				d.Remove(all[i].Hash())
			} else if _, err := d.AddRouter(noon, all[i]); err != nil {
				t.Fatal(err)
			}
		}
		var keep func(*data.RouterInfo) bool
		if rapid.Bool().Draw(t, "floodfills") {
			keep = (*data.RouterInfo).Floodfill
		}
		want := slices.DeleteFunc(slices.Clone(all), func(ri *data.RouterInfo) bool {
			return d.RouterInfo(ri.Hash()) == nil || keep != nil && !keep(ri)
		})
		place := netdb.RoutingKey(key, noon)
		slices.SortFunc(want, func(a, b *data.RouterInfo) int { return place.Closer(a.Hash(), b.Hash()) })
		want = want[:min(n, len(want))]
		if got := d.Closest(noon, key, n, keep); !slices.Equal(got, want) {
			t.Fatalf("%d routers, or their order, differ from the %d wanted", len(got), len(want))
		}
	})
}

func TestSelectKeepsTheOrderOfHashes(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	d := newDB(t, netdb.Config{})
	fill(t, d, 50)
	found := d.Select((*data.RouterInfo).Floodfill)
	if len(found) != 5 || len(found) != d.Floodfills() {
		t.Errorf("%d floodfills, and %d counted", len(found), d.Floodfills())
	}
	if !slices.IsSortedFunc(found, func(a, b *data.RouterInfo) int { return a.Hash().Compare(b.Hash()) }) {
		t.Error("not in order")
	}
}

func BenchmarkClosest(b *testing.B) {
	d := newDB(b, netdb.Config{MaxRouters: 10_000})
	fill(b, d, 10_000)
	for name, keep := range map[string]func(*data.RouterInfo) bool{"any": nil, "floodfills": (*data.RouterInfo).Floodfill} {
		for _, n := range []int{3, 16} {
			b.Run(fmt.Sprint(name, n), func(b *testing.B) {
				var key data.Hash
				random.Fill(key[:])
				for b.Loop() {
					key[0]++
					if len(d.Closest(noon, key, n, keep)) != n {
						b.Fail()
					}
				}
			})
		}
	}
}
