package profile_test

import (
	"math"
	"testing"
	"time"

	"allium/internal/profile"
)

// A tunnel that stays silent is most likely the fault of whoever has shown the
// least so far: good peers do not lose their name to bad neighbours.
func TestBlameGoesToThoseWhoDeserveIt(t *testing.T) {
	p := open(t, newBucket(t))
	good, bad := hash(1), hash(2)
	for range 10 {
		p.TunnelAccepted(noon, good, 0)
	}
	before := p.Standing(noon, good).Score
	for range 3 {
		p.TunnelTimeout(noon, good, bad)
	}
	if after := p.Standing(noon, good).Score; after < before-0.03 || after == before {
		t.Errorf("the good one had %.3f and has %.3f", before, after)
	}
	if s := p.Standing(noon, bad).Score; s > 0.3 {
		t.Errorf("the bad one has %.3f", s)
	}
	if !p.Usable(noon, good) || p.Usable(noon, bad) {
		t.Error("the wrong one is left alone")
	}
	counted := 0.0
	for _, of := range p.Peers(noon) {
		counted += of.TunnelTimeouts
	}
	if counted < 2.999 || counted > 3.001 {
		t.Errorf("3 tunnels count as %v", counted)
	}
	p.TestFailed(noon, good, hash(3))
	if all := p.Peers(noon); math.Abs(all[0].TestsFailed+all[1].TestsFailed+all[2].TestsFailed-1) > 0.001 {
		t.Error("a test does not count once")
	}
}

func TestDelayAndPaceAreOfLate(t *testing.T) {
	p := open(t, newBucket(t))
	if s := p.Standing(noon, peer); s != (profile.Standing{Score: 0.5, Usable: true}) {
		t.Errorf("an unknown peer: %+v", s)
	}
	p.TunnelAccepted(noon, peer, 100*time.Millisecond)
	p.TunnelAccepted(noon, peer, 300*time.Millisecond)
	p.TunnelAccepted(noon, peer, 0) // nobody knows
	p.TestPassed(noon, peer, 8)
	p.TestPassed(noon, peer, 2)
	if s := p.Standing(noon, peer); s.Delay.Round(time.Millisecond) != 200*time.Millisecond || s.Pace != 8 {
		t.Errorf("%+v", s)
	}
	later := noon.Add(time.Hour)
	p.TunnelAccepted(later, peer, 500*time.Millisecond) // as much as both before
	if s := p.Standing(later, peer); s.Delay.Round(time.Millisecond) != 350*time.Millisecond || s.Pace != 4 {
		t.Errorf("an hour later: %+v", s)
	}
}

// Whoever has carried a tunnel is known for two weeks, whoever has only opened
// a session for a day and a half.
func TestProofLastsLongerThanASession(t *testing.T) {
	bucket := newBucket(t)
	p := open(t, bucket)
	proven, met := hash(1), hash(2)
	p.Connected(noon, proven)
	p.TestPassed(noon, proven, 0)
	p.Connected(noon, met)
	p.TunnelAccepted(noon, met, 0) // it joins, and nothing comes through
	if s := p.Standing(noon, met); !s.Met || s.Proven {
		t.Errorf("%+v", s)
	}
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	p = open(t, bucket)
	week := noon.Add(7 * 24 * time.Hour)
	p.Expire(week)
	if s := p.Standing(week, proven); p.Len() != 1 || !s.Proven || s.Met {
		t.Errorf("a week later: %d peers, %+v", p.Len(), s)
	}
	late := noon.Add(15 * 24 * time.Hour)
	p.Expire(late)
	if p.Len() != 0 || p.Standing(late, proven).Proven {
		t.Error("known for ever")
	}
}

// However many strangers come, those that have carried tunnels stay.
func TestStrangersDoNotPushOutTheProven(t *testing.T) {
	p := open(t, newBucket(t))
	for i := range 500 {
		p.TestPassed(noon, hash(i), 0)
	}
	for i := range 50_000 {
		p.DialFailed(noon.Add(time.Duration(i)*time.Second), hash(500+i))
	}
	for i := range 500 {
		if !p.Standing(noon, hash(i)).Proven {
			t.Fatal("forgotten")
		}
	}
}
