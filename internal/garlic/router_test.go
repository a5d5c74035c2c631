package garlic_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"allium/internal/garlic"
	"allium/internal/replay"
	"allium/internal/x25519"
)

func sealRouter(t testing.TB, now time.Time, to *x25519.PublicKey, cloves ...garlic.Clove) []byte {
	t.Helper()
	b, err := garlic.SealRouter(now, to, cloves...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRouterGarlicCarriesEveryDelivery(t *testing.T) {
	keys := x25519.Generate()
	b := sealRouter(t, start, &keys.Public, assorted()...)
	got, err := garlic.OpenRouter(start, &keys, nil, b)
	if err != nil {
		t.Fatal(err)
	}
	sameCloves(t, got, assorted())
}

func TestRouterGarlicIsRefusedWhenOldEarlyReplayedOrChanged(t *testing.T) {
	keys := x25519.Generate()
	b := sealRouter(t, start, &keys.Public, numbered(1, 50))
	open := func(now time.Time, seen *replay.Filter, b []byte) error {
		_, err := garlic.OpenRouter(now, &keys, seen, bytes.Clone(b))
		return err
	}
	if err := open(start.Add(5*time.Minute+2*time.Second), nil, b); !errors.Is(err, garlic.ErrClock) {
		t.Errorf("old: %v", err)
	}
	if err := open(start.Add(-2*time.Minute-2*time.Second), nil, b); !errors.Is(err, garlic.ErrClock) {
		t.Errorf("early: %v", err)
	}
	seen := replay.New(8*time.Minute, 1000)
	if err := open(start, seen, b); err != nil {
		t.Errorf("first: %v", err)
	}
	if err := open(start.Add(time.Second), seen, b); !errors.Is(err, garlic.ErrReplayed) {
		t.Errorf("again: %v", err)
	}
	for i := range b {
		changed := bytes.Clone(b)
		changed[i] ^= 0x80
		if err := open(start, nil, changed); !errors.Is(err, garlic.ErrUnknown) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	for n := range b {
		if err := open(start, nil, b[:n]); err == nil {
			t.Fatalf("opened the first %d bytes", n)
		}
	}
	other := x25519.Generate()
	if _, err := garlic.OpenRouter(start, &other, nil, b); !errors.Is(err, garlic.ErrUnknown) {
		t.Errorf("other router: %v", err)
	}
}

func TestGarlicOfTooManyBytesIsNotSealed(t *testing.T) {
	keys := x25519.Generate()
	large := []garlic.Clove{numbered(1, 40_000), numbered(2, 30_000)}
	if _, err := garlic.SealRouter(start, &keys.Public, large...); !errors.Is(err, garlic.ErrTooLarge) {
		t.Errorf("router: %v", err)
	}
	if b := garlic.SealOnce(&[32]byte{}, [8]byte{}, large...); b != nil {
		t.Errorf("once: %d bytes", len(b))
	}
	s := garlic.New(garlic.Config{}, keys)
	if _, err := s.Seal(nil, start, keys.Public, large, 0); !errors.Is(err, garlic.ErrTooLarge) {
		t.Errorf("sessions: %v", err)
	}
	if _, err := garlic.SealUnbound(nil, start, &keys.Public, large...); !errors.Is(err, garlic.ErrTooLarge) {
		t.Errorf("unbound: %v", err)
	}
}
