package garlic_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"allium/internal/garlic"
	"allium/internal/x25519"
)

// stranger seals a New Session from a key nobody else has.
func stranger(t testing.TB, now time.Time, to *side) (*side, []byte) {
	s := newSide(t, garlic.Config{})
	return s, s.say(now, to, garlic.NewSession, 1)
}

func TestFloodOfNewSessionsIsBoundedAndHurtsNobody(t *testing.T) {
	bob := newSide(t, garlic.Config{MaxStrangers: 50, MaxTags: 2000, NewSessionRate: 100})
	friend := newSide(t, garlic.Config{})
	meet(start, friend, bob)

	now := start
	throttled := 0
	for n := range 2000 {
		now = now.Add(5 * time.Millisecond)
		s, b := stranger(t, now, bob)
		var o garlic.Opened
		switch err := bob.Open(now, b, &o); {
		case errors.Is(err, garlic.ErrThrottled):
			throttled++
		case err != nil:
			t.Fatal(err)
		default:
			bob.say(now, s, garlic.NewSessionReply, 1)
		}
		if n%10 == 0 {
			bob.hear(now, friend, garlic.ExistingSession, n, friend.say(now, bob, garlic.ExistingSession, n))
			friend.hear(now, bob, garlic.ExistingSession, n, bob.say(now, friend, garlic.ExistingSession, n))
		}
		if peers, tags := bob.Len(); peers > 51 || tags > 2000 {
			t.Fatalf("%d peers and %d tags", peers, tags)
		}
	}
	if throttled < 700 || throttled > 1000 {
		t.Errorf("%d of 2000 throttled, want a good 800", throttled)
	}
}

func TestPeersAreBoundedAndTheQuietestGoes(t *testing.T) {
	bob := newSide(t, garlic.Config{MaxPeers: 10, NewSessionRate: 10_000})
	var peers []*side
	for range 20 {
		s := newSide(t, garlic.Config{})
		meet(start, s, bob)
		peers = append(peers, s)
		// The first one stays in touch.
		bob.hear(start, peers[0], garlic.ExistingSession, 1, peers[0].say(start, bob, garlic.ExistingSession, 1))
	}
	if n, tags := bob.Len(); n != 10 || tags > 10*24+100 {
		t.Errorf("%d peers, %d tags", n, tags)
	}
	for i, s := range peers {
		known := bob.Next(start, s.keys.Public) == garlic.ExistingSession
		if want := i == 0 || i > 10; known != want {
			t.Errorf("peer %d known: %v, want %v", i, known, want)
		}
	}
}

func TestTagsAreBoundedByForgettingTheQuietest(t *testing.T) {
	bob := newSide(t, garlic.Config{MaxTags: 1000, NewSessionRate: 10_000})
	var peers []*side
	for range 30 {
		s := newSide(t, garlic.Config{})
		meet(start, s, bob)
		peers = append(peers, s)
	}
	busy := peers[len(peers)-1]
	for n := range 1500 {
		bob.hear(start, busy, garlic.ExistingSession, n, busy.say(start, bob, garlic.ExistingSession, n))
		if _, tags := bob.Len(); tags > 1000 {
			t.Fatalf("%d tags", tags)
		}
	}
	if bob.Next(start, peers[0].keys.Public) == garlic.ExistingSession {
		t.Error("quietest peer was kept")
	}
	if bob.Next(start, peers[28].keys.Public) != garlic.ExistingSession {
		t.Error("peer was forgotten without need")
	}
}

func TestStrangersDoNotGetUsToRemember(t *testing.T) {
	bob := newSide(t, garlic.Config{})
	for range 100 {
		var o garlic.Opened
		if err := bob.Open(start, bytes.Repeat([]byte{7}, 500), &o); err == nil {
			t.Fatal("opened noise")
		}
	}
	if peers, tags := bob.Len(); peers != 0 || tags != 0 {
		t.Errorf("%d peers, %d tags", peers, tags)
	}
}

func TestDropForgetsThePeer(t *testing.T) {
	alice, bob := twoSides(t)
	meet(start, alice, bob)
	alice.Drop(bob.keys.Public)
	alice.Drop(x25519.PublicKey{1})
	if peers, tags := alice.Len(); peers != 0 || tags != 0 {
		t.Errorf("%d peers, %d tags", peers, tags)
	}
	meet(start, alice, bob)
}
