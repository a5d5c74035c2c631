package bandwidth_test

import (
	"testing"
	"time"

	. "allium/internal/bandwidth"
)

// Of what comes in the total is paid for at once, and its class when that is
// known.
func TestArrivalsArePaidForOnce(t *testing.T) {
	l := NewLimiter(begin, Limits{In: Line{Own: 10_000, Transit: 20_000, Total: 100_000}})
	room := func(c Class) int { return l.Room(begin, c, 1<<30) }
	if own, transit := room(Own), room(Transit); own != 2000 || transit != 4000 {
		t.Fatalf("room for %d and %d", own, transit)
	}
	l.Arrived(begin, 19_000, Bytes{})
	if own, transit := room(Own), room(Transit); own != 1000 || transit != 0 {
		t.Errorf("room for %d and %d beside a total of 19000 of 20000", own, transit)
	}
	l.Arrived(begin, 0, Bytes{Own: 500, Control: 1000, Transit: 17_500})
	if own := room(Own); own != 0 { // the transit beside it is too much
		t.Errorf("room for %d", own)
	}
	later := begin.Add(800 * time.Millisecond)
	if own, transit := l.Room(later, Own, 1<<30), l.Room(later, Transit, 1<<30); own != 2000 || transit != 1500 {
		t.Errorf("later there is room for %d and %d", own, transit)
	}
	if n := l.Total(In, Transit) + l.Total(In, Own) + l.Total(In, Control); n != 19_000 {
		t.Errorf("%d counted", n)
	}
}

// What routers owe each other goes whatever the limits say, and is lent: it
// leaves less for transit. Whoever would cause more of it waits.
func TestControlIsPaidForByWhatIsLent(t *testing.T) {
	l := NewLimiter(begin, Limits{Out: Line{Transit: 100_000, Total: 1_000_000}})
	if l.Wait(begin, Out, Control) != 0 {
		t.Error("it has to wait at once")
	}
	spend(l, begin, Out, Control, 25_000)
	if w := l.Wait(begin, Out, Control); w < 250*time.Millisecond || w > 350*time.Millisecond {
		t.Errorf("after half a second of it, it waits for %v", w)
	}
	if l.Take(begin, Out, Transit, 1000) != 0 || l.Take(begin, Out, Own, 1000) != 1000 {
		t.Error("somebody else pays")
	}
	l = NewLimiter(begin, Limits{Out: Line{Transit: -1}})
	spend(l, begin, Out, Control, 16<<10)
	if l.Wait(begin, Out, Control) == 0 {
		t.Error("where nothing is lent, it goes without end")
	}
	if NewLimiter(begin, Limits{}).Wait(begin, Out, Control) != 0 {
		t.Error("it waits without a limit")
	}
}
