package pool_test

import (
	"slices"
	"testing"
	"time"

	"allium/internal/tunnel/build"
	"allium/internal/tunnel/pool"
)

// When most builds fail, a storm begins and is told; it ends some minutes
// after they succeed again, and not before.
func TestStormComesAndGoes(t *testing.T) {
	w, net := newWorld(t, 21, 40)
	own := net.open("own", config(2, 3), nil)
	client := net.open("client", config(3, 3), own)
	fill(t, w, own, client)
	weather := func() pool.Weather { return net.builder.Weather(w.Now()) }
	w.Run(30 * time.Second)
	if s := weather(); s.Storm || s.Builds < 12 || s.Success < 0.9 || s.Storms != 0 || !s.Since.IsZero() {
		t.Errorf("in peace: %+v", s)
	}
	for _, p := range net.hops[:36] {
		net.with(p.hash, func(p *hop) { p.answer = build.Refuse })
	}
	if !w.RunUntil(func() bool { return weather().Storm }, 15*time.Minute) {
		t.Fatalf("no storm: %+v", weather())
	}
	began := w.Now()
	if s := weather(); s.Storms != 1 || !s.Since.Equal(began) || s.Before > 0.4 || s.Builds < 10 {
		t.Errorf("%+v", s)
	}
	// Most of those that have carried tunnels are left alone by now, and yet
	// nobody else is asked.
	strangers := func() (known, asked int) {
		net.all(func(p *hop) {
			if net.profiles.Standing(w.Now(), p.hash).Proven {
				known++
			} else {
				asked += p.asked
			}
		})
		return known, asked
	}
	known, before := strangers()
	w.Run(2 * time.Minute)
	if _, after := strangers(); after > before || known < 10 || known == len(net.hops) {
		t.Errorf("%d of %d are known, the others were asked %d times", known, len(net.hops), after-before)
	}
	net.all(func(p *hop) { p.answer = build.Accept })
	if !w.RunUntil(func() bool { return !weather().Storm }, 20*time.Minute) {
		t.Fatalf("it does not end: %+v", weather())
	}
	if took := w.Now().Sub(began); took < 5*time.Minute {
		t.Errorf("it ended after %v", took)
	}
	for range 60 {
		w.Run(10 * time.Second)
		if s := weather(); s.Storm {
			t.Fatalf("it came back: %+v", s)
		}
	}
}

// While our own network fails there is no storm, however many builds fail.
func TestOutageIsNoStorm(t *testing.T) {
	w, net := newWorld(t, 23, 40)
	own := net.open("own", config(2, 3), nil)
	fill(t, w, own)
	net.all(func(p *hop) { p.dead = true })
	net.mu.Lock()
	net.offline = true
	net.mu.Unlock()
	w.Run(20 * time.Minute)
	if s := net.builder.Weather(w.Now()); s.Storms > 0 || own.state().Outbound.Failed < 10 {
		t.Errorf("%+v; %+v", s, own.state())
	}
}

// Twelve sybils for each router that has carried tunnels, some of them met: in
// a storm none of them is in a tunnel of a Destination, and in those of the
// router one at most.
func TestSybilsGetNowhereInAStorm(t *testing.T) {
	s := newSociety(t, 6)
	known := s.add(40, "XR")
	for _, h := range known {
		s.carry(h, 3, 100*time.Millisecond)
	}
	sybils := s.add(480, "XfR")
	for _, h := range sybils[:24] {
		s.profiles.Connected(now, h)
	}
	for _, h := range known[:31] { // they have failed of late
		s.profiles.DialFailed(now, h)
	}
	w := client
	if got := share(s.paths(2000, w, nil), known); got > 0.9 {
		t.Errorf("in peace %.3f of the hops have carried tunnels", got)
	}
	w.Storm = true
	if got := share(s.paths(2000, w, nil), known); got != 1 {
		t.Errorf("%.3f of the hops have carried tunnels", got)
	}
	w = exploratory
	w.Storm, w.Caution = true, 20
	tunnels := 0
	times := s.paths(2000, w, func(hops []build.Hop) {
		n := 0
		for _, h := range hops {
			if slices.Contains(sybils, h.Hash) {
				n++
			}
		}
		if n > 1 {
			t.Fatal("two sybils in one tunnel")
		}
		tunnels += n
	})
	if tunnels < 50 || tunnels > 200 {
		t.Errorf("sybils in %d of 2000 tunnels", tunnels)
	}
	if got := share(times, sybils[24:]); got > 0 {
		t.Error("a router is a hop that nobody has met")
	}
}

// Who starts in a storm knows nobody. It builds through those it has met, and
// before that through anyone: there must be tunnels to prove anybody.
func TestBeginnersAreNotLostInAStorm(t *testing.T) {
	s := newSociety(t, 7)
	s.add(40, "XR")
	w := client
	w.Storm = true
	s.paths(10, w, nil)
	met := s.add(6, "XR")
	for _, h := range met {
		s.profiles.Connected(now, h)
	}
	if got := share(s.paths(100, w, nil), met); got != 1 {
		t.Errorf("%.3f of the hops were met", got)
	}
	known := s.add(12, "XR")
	for _, h := range known {
		s.carry(h, 3, 100*time.Millisecond)
	}
	if got := share(s.paths(100, w, nil), known); got != 1 {
		t.Errorf("%.3f of the hops have carried tunnels", got)
	}
}
