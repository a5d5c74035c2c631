package router_test

import (
	"fmt"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/netdb/floodfill"
	"allium/internal/signature"
	"allium/internal/sim"
	"allium/internal/x25519"
)

// knowStrangers lets n know so many routers that are behind firewalls.
func (n *node) knowStrangers(count int) {
	n.t.Helper()
	all := n.NetDB().Import(n.w.Now(), func(yield func(string, []byte) bool) {
		for range count {
			if !yield("router.info", firewalled(n.t, n.w.Now()).Bytes()) {
				return
			}
		}
	})
	if all.Added != count {
		n.t.Fatalf("%+v", all)
	}
}

func firewalled(t testing.TB, now time.Time) *data.RouterInfo {
	t.Helper()
	key, err := signature.Generate(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := data.NewRouterIdentity(key, x25519.Generate().Public)
	if err != nil {
		t.Fatal(err)
	}
	static := x25519.Generate().Public
	address, err := data.NewRouterAddress(14, data.StyleNTCP2,
		data.Pair{Key: "s", Value: data.EncodeBase64(static[:])}, data.Pair{Key: "v", Value: "2"})
	if err != nil {
		t.Fatal(err)
	}
	options, err := data.NewMapping(
		data.Pair{Key: data.OptionNetID, Value: "77"}, data.Pair{Key: data.OptionVersion, Value: data.RouterVersion},
		data.Pair{Key: data.OptionCaps, Value: "LU"},
	)
	if err != nil {
		t.Fatal(err)
	}
	ri, err := data.SignRouterInfo(key, identity, now, []data.RouterAddress{address}, options)
	if err != nil {
		t.Fatal(err)
	}
	return ri
}

// A router that is fit becomes a floodfill by itself, and everybody learns of
// it: but not before it has been running for two hours.
func TestFitRouterBecomesAFloodfillByItself(t *testing.T) {
	w := sim.New(t, 21, sim.Config{})
	old, n := start(t, w, "10.0.1.1", true), prepare(t, w, "10.0.2.1")
	n.cfg.Floodfill = floodfill.Auto
	n.cfg.Transport.NTCP2.IdleTimeout = time.Hour
	n.start()
	introduce(old, n)
	n.knowStrangers(400)
	w.Run(100 * time.Minute)
	for i := range 50 {
		peer := prepare(t, w, fmt.Sprintf("10.1.%d.1", i))
		peer.cfg.Exploratory = hops(0)
		peer.cfg.Transport.NTCP2.IdleTimeout = 3 * time.Hour
		peer.start()
		peer.know(n)
		if err := peer.tell(n.Hash(), peer.lookup(n.Hash())); err != nil {
			t.Fatal(err)
		}
	}
	w.Run(20 * time.Minute)
	if s := n.status(); s.Floodfill || n.RouterInfo(w.Now()).Floodfill() {
		t.Errorf("one already: %s", s.FloodfillWhy)
	}
	for range 45 {
		if w.Run(time.Minute); n.status().Floodfill {
			break
		}
	}
	if !n.status().Floodfill {
		t.Fatalf("not yet: %s, %+v", n.status().FloodfillWhy, n.status().Transport)
	}
	known := func() bool { return old.NetDB().RouterInfo(n.Hash()).Floodfill() }
	if !n.RouterInfo(w.Now()).Floodfill() || !w.RunUntil(known, time.Minute) {
		t.Error("nobody was told")
	}
}
