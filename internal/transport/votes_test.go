package transport

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"allium/internal/data"
)

func TestAddressIsWhatSeveralNetworksAgreeUpon(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	a, b := netip.MustParseAddr("9.1.1.1"), netip.MustParseAddr("9.2.2.2")
	var box votes
	peer := byte(0)
	voter := func(from string, saw netip.Addr) {
		peer++
		box.add(vote{data.Hash{peer}, networkOf(netip.MustParseAddr(from)), saw, now})
	}
	wins := func(step string, want netip.Addr) {
		t.Helper()
		if got, _ := box.winner(now); got != want {
			t.Errorf("%s: %v, not %v", step, got, want)
		}
	}
	var none netip.Addr
	voter("45.1.0.1", a)
	voter("45.2.0.1", a)
	wins("two voters", none)
	for range 5 {
		voter("45.2.7.7", a) // of a network that has voted
	}
	wins("many voters of one network", none)
	voter("45.3.0.1", a)
	wins("three voters", a)
	voter("45.4.0.1", b)
	voter("45.5.0.1", b)
	wins("two liars", a)
	for _, from := range []string{"45.6.0.1", "45.7.0.1", "45.8.0.1", "45.9.0.1"} {
		voter(from, a)
	}
	wins("a full ballot", a)
	for i, from := range []string{"46.1.0.1", "46.2.0.1", "46.3.0.1", "46.4.0.1", "46.5.0.1", "46.6.0.1"} {
		voter(from, b)
		if i == 1 {
			wins("two more liars", a)
		}
	}
	wins("after a change of address", b)
	box = box.without(func(x netip.Addr) bool { return x == b })
	wins("without those for the new one", a)
	box = nil
	for i, saw := range []netip.Addr{a, b, a, b, a, b, a, netip.MustParseAddr("9.3.3.3"), netip.MustParseAddr("9.4.4.4")} {
		voter(fmt.Sprintf("47.%d.0.1", i), saw)
	}
	wins("four of nine", none)
	box = nil
	for i := range 3 {
		voter(fmt.Sprintf("48.%d.0.1", i), a)
	}
	wins("three of three", a)
	now = now.Add(25 * time.Hour)
	wins("a day later", none)
}
