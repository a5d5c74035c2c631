package garlic_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"allium/internal/garlic"
	"allium/internal/x25519"
)

// fullClove makes an ES that fills two tunnel messages.
func fullClove() []garlic.Clove { return []garlic.Clove{numbered(1, 1860)} }

// established are two sides in the middle of a conversation.
func established(t testing.TB) (alice, bob *side) {
	alice, bob = twoSides(t)
	meet(start, alice, bob)
	alice.RatchetAfter(60_000)
	for n := range 1000 {
		bob.hear(start, alice, garlic.ExistingSession, n, alice.say(start, bob, garlic.ExistingSession, n))
	}
	return alice, bob
}

func TestExistingSessionsHardlyAllocate(t *testing.T) {
	alice, bob := established(t)
	cloves := fullClove()
	dst := make([]byte, 0, 4096)
	var o garlic.Opened
	allocs := testing.AllocsPerRun(500, func() {
		b, err := alice.Seal(dst, start, bob.keys.Public, cloves, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := bob.Open(start, b, &o); err != nil {
			t.Fatal(err)
		}
	})
	// The cipher and its nonce, each time it is keyed.
	if allocs > 4 {
		t.Errorf("%.1f allocations to seal and open a message", allocs)
	}
}

func BenchmarkExistingSessionSeal(b *testing.B) {
	alice, bob := established(b)
	alice.RatchetAfter(1 << 30)
	cloves := fullClove()
	dst := make([]byte, 0, 4096)
	b.SetBytes(1912)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%50_000 == 49_999 { // before the tag set is used up
			b.StopTimer()
			alice, bob = established(b)
			b.StartTimer()
		}
		if _, err := alice.Seal(dst, start, bob.keys.Public, cloves, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExistingSessionOpen(b *testing.B) {
	alice, bob := established(b)
	cloves := fullClove()
	const batch = 500
	var sealed [batch][]byte
	for i := range sealed {
		sealed[i] = make([]byte, 0, 2048)
	}
	var o garlic.Opened
	b.SetBytes(1912)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%batch == 0 {
			b.StopTimer()
			if n%50_000 == 49_500 {
				alice, bob = established(b)
			}
			for i := range sealed {
				sealed[i], _ = alice.Seal(sealed[i][:0], start, bob.keys.Public, cloves, 0)
			}
			b.StartTimer()
		}
		if err := bob.Open(start, sealed[n%batch], &o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewSessionOpen(b *testing.B) {
	alice, bob := newSide(b, garlic.Config{}), newSide(b, garlic.Config{NewSessionRate: 20_000})
	cloves := []garlic.Clove{numbered(1, 700)}
	sealed, err := alice.Seal(nil, start, bob.keys.Public, cloves, 0)
	if err != nil {
		b.Fatal(err)
	}
	body := make([]byte, len(sealed))
	var o garlic.Opened
	now := start
	b.ReportAllocs()
	for b.Loop() {
		// A replay costs all of the work but the entry.
		copy(body, sealed)
		now = now.Add(50 * time.Microsecond)
		if err := bob.Open(now, body, &o); errors.Is(err, garlic.ErrThrottled) {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewSessionSeal(b *testing.B) {
	alice, bob := twoSides(b)
	cloves := []garlic.Clove{numbered(1, 700)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := alice.Seal(nil, start, bob.keys.Public, cloves, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRouterGarlic(b *testing.B) {
	keys := x25519.Generate()
	sealed := sealRouter(b, start, &keys.Public, numbered(1, 700))
	b.Run("Seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sealRouter(b, start, &keys.Public, numbered(1, 700))
		}
	})
	b.Run("Open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := garlic.OpenRouter(start, &keys, nil, bytes.Clone(sealed)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkTag(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		garlic.DeriveTags(100)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/tag")
}
