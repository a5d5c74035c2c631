package reseed_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/reseed"
	"allium/internal/signature"
	"allium/internal/su3"
	"allium/internal/x25519"
)

// noon is when the choice is made.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// said is what a router says of itself.
type said struct{ netID, version, caps, host string }

// publish makes the RouterInfo of a new router.
func publish(t *testing.T, at time.Time, s said) *data.RouterInfo {
	t.Helper()
	key, err := signature.Generate(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	pair := x25519.Generate()
	identity, err := data.NewRouterIdentity(key, pair.Public)
	if err != nil {
		t.Fatal(err)
	}
	mapping := func(pairs ...data.Pair) data.Mapping {
		m, err := data.NewMapping(pairs...)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	address := data.RouterAddress{Style: data.StyleNTCP2, Options: mapping(
		data.Pair{Key: "host", Value: s.host}, data.Pair{Key: "port", Value: "12345"}, data.Pair{Key: "v", Value: "2"})}
	if s.host == "" {
		address.Options = mapping(data.Pair{Key: "v", Value: "2"})
	}
	options := mapping(data.Pair{Key: data.OptionNetID, Value: s.netID}, data.Pair{Key: data.OptionVersion, Value: s.version}, data.Pair{Key: data.OptionCaps, Value: s.caps})
	ri, err := data.SignRouterInfo(key, identity, at, []data.RouterAddress{address}, options)
	if err != nil {
		t.Fatal(err)
	}
	return ri
}

// TestOnlyRoutersOfUseArePassedOn has a router a row.
func TestOnlyRoutersOfUseArePassedOn(t *testing.T) {
	for _, c := range []struct {
		name            string
		said            said
		age             time.Duration
		public, private bool
	}{
		{"good", said{"2", "0.9.67", "LR", "80.1.2.3"}, time.Hour, true, true},
		{"floodfill", said{"2", "0.9.67", "XfR", "80.1.2.3"}, time.Hour, true, true},
		{"half a day old", said{"2", "0.9.67", "LR", "80.1.2.3"}, 13 * time.Hour, false, false},
		{"from the future", said{"2", "0.9.67", "LR", "80.1.2.3"}, -time.Hour, false, false},
		{"other network", said{"3", "0.9.67", "LR", "80.1.2.3"}, time.Hour, false, false},
		{"old version", said{"2", "0.9.58", "LR", "80.1.2.3"}, time.Hour, false, true},
		{"unreachable", said{"2", "0.9.67", "LU", "80.1.2.3"}, time.Hour, false, false},
		{"not known to be reachable", said{"2", "0.9.67", "L", "80.1.2.3"}, time.Hour, false, true},
		{"hidden", said{"2", "0.9.67", "LRH", "80.1.2.3"}, time.Hour, false, false},
		{"congested", said{"2", "0.9.67", "LRE", "80.1.2.3"}, time.Hour, false, false},
		{"somewhat congested", said{"2", "0.9.67", "LRD", "80.1.2.3"}, time.Hour, true, true},
		{"private address", said{"2", "0.9.67", "LR", "192.168.1.1"}, time.Hour, false, true},
		{"no address", said{"2", "0.9.67", "LR", ""}, time.Hour, false, false},
	} {
		all := []*data.RouterInfo{publish(t, noon.Add(-c.age), c.said)}
		for private, want := range map[bool]bool{false: c.public, true: c.private} {
			got := reseed.Choose(slices.Values(all), reseed.Criteria{NetID: 2, Private: private, Now: noon}, 10)
			if len(got) == 1 != want {
				t.Errorf("%s, private %v: %d chosen", c.name, private, len(got))
			}
			if want && (got[0].Name != su3.EntryName(all[0].Hash()) || string(got[0].Bytes) != string(all[0].Bytes())) {
				t.Errorf("%s: another file", c.name)
			}
		}
	}
}

func TestTheChoiceIsRandomBoundedAndSpread(t *testing.T) {
	var all []*data.RouterInfo
	for i := range 60 {
		// Thirty in one subnet, and two each in fifteen.
		host := fmt.Sprintf("80.1.2.%d", i+1)
		if i >= 30 {
			host = fmt.Sprintf("90.%d.1.%d", i/2, i)
		}
		all = append(all, publish(t, noon, said{"2", "0.9.67", "LR", host}))
	}
	c := reseed.Criteria{NetID: 2, Now: noon}
	first := reseed.Choose(slices.Values(all), c, 1000)
	if len(first) != 32 {
		t.Errorf("%d chosen, of which one subnet may give 2 and the others 30", len(first))
	}
	ten := reseed.Choose(slices.Values(all), c, 10)
	again := reseed.Choose(slices.Values(all), c, 10)
	same := slices.EqualFunc(ten, again, func(a, b su3.Entry) bool { return a.Name == b.Name })
	if len(ten) != 10 || same {
		t.Errorf("%d chosen, the same again %v", len(ten), same)
	}
	c.Private = true
	if got := reseed.Choose(slices.Values(all), c, 1000); len(got) != 60 {
		t.Errorf("%d of a private network", len(got))
	}
}
