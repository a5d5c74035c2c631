package floodfill_test

import (
	"testing"
	"time"

	"allium/internal/netdb/floodfill"
)

// fit is how a router stands that may well be a floodfill.
func fit() floodfill.Standing {
	return floodfill.Standing{Uptime: 3 * time.Hour, Share: 200_000, Reachable: true, Routers: 500, Sessions: 60, Skew: -time.Second}
}

// reviewed is the duty after so many reviews of a standing.
func reviewed(d *floodfill.Duty, s floodfill.Standing, times int) (changes int) {
	for range times {
		if d.Review(s) {
			changes++
		}
	}
	return changes
}

func TestRouterBecomesAFloodfillWhenItHasBeenFitForAWhile(t *testing.T) {
	d := floodfill.NewDuty("")
	if d.Active() || d.Reason() == "" {
		t.Error("one at the start")
	}
	if reviewed(d, fit(), 2) != 0 || d.Active() {
		t.Error("at once")
	}
	if !d.Review(fit()) || !d.Active() || d.Review(fit()) {
		t.Error("never")
	}
}

func TestRouterThatIsUnfitDoesNotBecomeAFloodfill(t *testing.T) {
	for name, edit := range map[string]func(*floodfill.Standing){
		"young":       func(s *floodfill.Standing) { s.Uptime = 2*time.Hour - time.Second },
		"weak":        func(s *floodfill.Standing) { s.Share = 127_999 },
		"unreachable": func(s *floodfill.Standing) { s.Reachable = false },
		"congested":   func(s *floodfill.Standing) { s.Congested = true },
		"ignorant":    func(s *floodfill.Standing) { s.Routers = 399 },
		"alone":       func(s *floodfill.Standing) { s.Sessions = 49 },
		"ahead":       func(s *floodfill.Standing) { s.Skew = -10 * time.Second },
		"behind":      func(s *floodfill.Standing) { s.Skew = 10 * time.Second },
	} {
		d := floodfill.NewDuty(floodfill.Auto)
		reviewed(d, fit(), 2)
		s := fit()
		edit(&s)
		if d.Review(s) || d.Active() {
			t.Error(name)
		}
		why := d.Reason()
		if d.Review(fit()) || d.Active() || d.Reason() == why {
			t.Errorf("%s: forgotten at once, %q", name, why)
		}
	}
}

func TestFloodfillStaysOneInSmallTroubles(t *testing.T) {
	d := floodfill.NewDuty(floodfill.Auto)
	reviewed(d, fit(), 3)
	s := fit()
	s.Routers, s.Sessions = 200, 25
	if reviewed(d, s, 100) != 0 || !d.Active() {
		t.Error("gave up with half of what it takes to begin")
	}
	s.Congested = true
	for range 50 {
		if d.Review(s) || d.Review(fit()) {
			t.Fatal("gave up after a moment")
		}
	}
	if d.Review(s) || !d.Review(s) || d.Active() {
		t.Error("never gives up")
	}
	for _, useless := range []func(*floodfill.Standing){
		func(s *floodfill.Standing) { s.Reachable = false }, func(s *floodfill.Standing) { s.Skew = time.Minute },
	} {
		d = floodfill.NewDuty(floodfill.Auto)
		reviewed(d, fit(), 3)
		s = fit()
		useless(&s)
		if !d.Review(s) || d.Active() {
			t.Error("stays one that nobody can use")
		}
	}
}

// A router on the edge would tell the whole network of each change.
func TestRouterOnTheEdgeChangesSeldom(t *testing.T) {
	d := floodfill.NewDuty(floodfill.Auto)
	bad := fit()
	bad.Congested = true
	changes := 0
	for range 24 * 6 / 6 { // a day of an hour's rhythm, six reviews each
		changes += reviewed(d, fit(), 4) + reviewed(d, bad, 2)
	}
	if changes > 2 {
		t.Errorf("%d changes in a day", changes)
	}
	changes = 0
	for range 7 * 24 { // and a week of four hours' rhythm
		changes += reviewed(d, fit(), 22) + reviewed(d, bad, 2)
	}
	if changes > 8 {
		t.Errorf("%d changes", changes)
	}
}

func TestRolesThatAreSetDoNotChange(t *testing.T) {
	for role, active := range map[floodfill.Role]bool{floodfill.On: true, floodfill.Off: false} {
		d := floodfill.NewDuty(role)
		if d.Active() != active || reviewed(d, floodfill.Standing{}, 10)+reviewed(d, fit(), 100) != 0 || d.Active() != active || d.Reason() == "" {
			t.Error(role)
		}
	}
}
