package bandwidth_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	. "allium/internal/bandwidth"
)

var begin = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// allow sends a message of n bytes if it may go.
func allow(l *Limiter, now time.Time, d Direction, c Class, n int) bool {
	var took, used Bytes
	took[c], used[c] = l.Take(now, d, c, n), n
	if took[c] == 0 {
		return false
	}
	l.Settle(now, d, took, used)
	return true
}

// spend tells of bytes that went without being asked for.
func spend(l *Limiter, now time.Time, d Direction, c Class, n int) {
	var used Bytes
	used[c] = n
	l.Settle(now, d, Bytes{}, used)
}

// traffic is what one class offers: a message of size bytes every so often.
type traffic struct {
	class   Class
	size    int
	every   time.Duration
	passed  []int // bytes let through in each second
	dropped int
}

// run offers traffic to a limiter for some seconds.
func run(l *Limiter, from time.Time, seconds int, all []*traffic) {
	for _, t := range all {
		t.passed, t.dropped = make([]int, seconds), 0
	}
	const tick = time.Millisecond
	for at := time.Duration(0); at < time.Duration(seconds)*time.Second; at += tick {
		for _, t := range all {
			// As many as are due in this millisecond.
			for n := (at + tick) / t.every; n > at/t.every; n-- {
				if allow(l, from.Add(at), Out, t.class, t.size) {
					t.passed[at/time.Second] += t.size
				} else {
					t.dropped++
				}
			}
		}
	}
}

// tenSeconds gives the least and the most per second that passed in any ten
// seconds on end.
func tenSeconds(passed []int) (least, most float64) {
	for i := 0; i+10 <= len(passed); i++ {
		sum := 0
		for _, n := range passed[i : i+10] {
			sum += n
		}
		perSecond := float64(sum) / 10
		if i == 0 || perSecond < least {
			least = perSecond
		}
		most = max(most, perSecond)
	}
	return least, most
}

func within(t *testing.T, what string, got, want, share float64) {
	t.Helper()
	if got < want*(1-share) || got > want*(1+share) {
		t.Errorf("%s: %.0f, not %.0f", what, got, want)
	}
}

func TestLimitIsKeptOverAnyTenSeconds(t *testing.T) {
	for _, limit := range []int64{12_000, 256_000, 5_000_000, 100_000_000} {
		for name, limits := range map[string]Line{
			"own":     {Own: limit},
			"transit": {Transit: limit},
			"total":   {Total: limit},
		} {
			t.Run(fmt.Sprint(name, " ", limit), func(t *testing.T) {
				class := Own
				if name != "own" {
					class = Transit
				}
				l := NewLimiter(begin, Limits{Out: limits})
				// Three times as much as the limit.
				size := max(1040, limit/5000)
				all := &traffic{class: class, size: int(size), every: time.Duration(size * int64(time.Second) / limit / 3)}
				run(l, begin, 30, []*traffic{all})
				least, most := tenSeconds(all.passed)
				within(t, "least", least, float64(limit), 0.03)
				within(t, "most", most, float64(limit), 0.03)
			})
		}
	}
}

func TestTrafficBelowItsLimitPassesWhole(t *testing.T) {
	l := NewLimiter(begin, Limits{Out: Line{Own: 50_000, Transit: 50_000, Total: 110_000}})
	own := &traffic{class: Own, size: 1000, every: 25 * time.Millisecond}
	transit := &traffic{class: Transit, size: 1000, every: 25 * time.Millisecond}
	run(l, begin, 20, []*traffic{own, transit})
	if own.dropped+transit.dropped > 0 {
		t.Errorf("%d of own and %d of transit were held back", own.dropped, transit.dropped)
	}
}

func TestOwnTrafficGoesBeforeTransit(t *testing.T) {
	l := NewLimiter(begin, Limits{Out: Line{Total: 100_000}})
	own := &traffic{class: Own, size: 1000, every: 12500 * time.Microsecond} // 80 KB/s
	transit := &traffic{class: Transit, size: 1000, every: time.Millisecond} // 1 MB/s
	run(l, begin, 30, []*traffic{transit, own})
	if own.dropped > 0 {
		t.Errorf("%d messages of own traffic were held back", own.dropped)
	}
	_, most := tenSeconds(transit.passed)
	within(t, "transit", most, 20_000, 0.15)

	// When own traffic takes all, nothing is left.
	own.every = 5 * time.Millisecond // 200 KB/s
	run(l, begin.Add(time.Minute), 30, []*traffic{transit, own})
	least, _ := tenSeconds(own.passed)
	within(t, "own", least, 100_000, 0.03)
	if _, most := tenSeconds(transit.passed[1:]); most > 100 {
		t.Errorf("transit still gets %.0f", most)
	}
}

func TestSpentBytesAreMadeUpFor(t *testing.T) {
	l := NewLimiter(begin, Limits{In: Line{Total: 10_000}})
	spend(l, begin, In, Own, 22_000) // two seconds more than was saved
	if l.Wait(begin.Add(1900*time.Millisecond), In, Own) == 0 {
		t.Error("open too early")
	}
	if l.Wait(begin.Add(2010*time.Millisecond), In, Own) != 0 {
		t.Error("still in debt")
	}
	// Debt has an end.
	spend(l, begin, In, Own, 1<<30)
	if w := l.Wait(begin, In, Own); w > 11*time.Second {
		t.Errorf("wait for %v", w)
	}
	if !allow(l, begin, Out, Own, 1<<20) {
		t.Error("the other direction has to wait as well")
	}
}

func TestMessageBiggerThanTheSavingsPasses(t *testing.T) {
	l := NewLimiter(begin, Limits{Out: Line{Own: 12_000}})
	if !allow(l, begin, Out, Own, 60_000) {
		t.Fatal("it does not")
	}
	if allow(l, begin.Add(4*time.Second), Out, Own, 1) {
		t.Error("it was not paid for")
	}
	if !allow(l, begin.Add(5*time.Second), Out, Own, 1) {
		t.Error("it was paid for more than once")
	}
}

func TestWaitEndsWhenAllowBegins(t *testing.T) {
	limits := Limits{Out: Line{Own: 7_000, Transit: 333, Total: 10_000}}
	for _, class := range []Class{Own, Transit} {
		l := NewLimiter(begin, limits)
		now := begin
		for i := range 50 {
			w := l.Wait(now, Out, class)
			if w > 0 && allow(l, now.Add(w-2*time.Microsecond), Out, class, 1) {
				t.Fatalf("%d: allowed before the wait of %v was over", i, w)
			}
			now = now.Add(w)
			if !allow(l, now, Out, class, 500+i) {
				t.Fatalf("%d: not allowed after a wait of %v", i, w)
			}
		}
	}
}

func TestNoLimitAndNothing(t *testing.T) {
	l := NewLimiter(begin, Limits{Out: Line{Transit: -1}})
	for range 100 {
		if !allow(l, begin, Out, Own, 1<<30) || !allow(l, begin, In, Transit, 1<<30) {
			t.Fatal("held back without a limit")
		}
	}
	if allow(l, begin, Out, Transit, 1) {
		t.Error("let through where nothing may")
	}
	if f := l.Fill(begin, Out, Own); f != 0 {
		t.Errorf("without a limit it is %v full", f)
	}
	if f := l.Fill(begin, Out, Transit); f != 1 {
		t.Errorf("where nothing may go it is %v full", f)
	}
	if w := l.Wait(begin, Out, Transit); w < time.Hour {
		t.Errorf("wait for %v", w)
	}
}

func TestNewLimitsHoldAtOnce(t *testing.T) {
	l := NewLimiter(begin, Limits{})
	allow(l, begin, Out, Own, 1<<30)
	for i, limit := range []int64{1_000_000, 50_000, 400_000} {
		from := begin.Add(time.Duration(i) * time.Minute)
		l.SetLimits(from, Limits{Out: Line{Own: limit}})
		all := &traffic{class: Own, size: 1000, every: time.Second / 2000}
		run(l, from, 12, []*traffic{all})
		least, most := tenSeconds(all.passed)
		within(t, "least", least, float64(limit), 0.03)
		within(t, "most", most, float64(limit), 0.03)
	}
	l.SetLimits(begin.Add(time.Hour), Limits{})
	if !allow(l, begin.Add(time.Hour), Out, Own, 1<<30) || !allow(l, begin.Add(time.Hour), Out, Own, 1) {
		t.Error("a lifted limit still holds")
	}
}

func TestSetLimitsIsNoWayAroundThem(t *testing.T) {
	limits := Limits{Out: Line{Own: 10_000}}
	l := NewLimiter(begin, limits)
	sum := 0
	for i := range 1000 {
		now := begin.Add(time.Duration(i) * time.Millisecond)
		l.SetLimits(now, limits)
		if allow(l, now, Out, Own, 1000) {
			sum += 1000
		}
	}
	if sum > 13_000 {
		t.Errorf("%d bytes in a second", sum)
	}
}

func TestTimesThatDifferALittleEarnNothing(t *testing.T) {
	l := NewLimiter(begin, Limits{Out: Line{Own: 10_000}})
	sum := 0
	for i := range 1000 {
		// Two goroutines, one half a second behind.
		now := begin.Add(time.Duration(i%2) * 500 * time.Millisecond)
		if allow(l, now, Out, Own, 1000) {
			sum += 1000
		}
	}
	if sum > 8_000 {
		t.Errorf("%d bytes in half a second", sum)
	}
}

func TestClockPutBackGoesOnFromThere(t *testing.T) {
	l := NewLimiter(begin, Limits{Out: Line{Own: 10_000}})
	allow(l, begin, Out, Own, 4000)
	back := begin.Add(-time.Hour)
	if allow(l, back, Out, Own, 1) {
		t.Error("putting the clock back paid for something")
	}
	if !allow(l, back.Add(300*time.Millisecond), Out, Own, 1) {
		t.Error("held back until the old time comes again")
	}
}

func TestEarlyDropSettlesAtTheLimit(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, limits := range []Line{{Transit: 500_000}, {Total: 500_000}} {
		for _, offered := range []int{400_000, 550_000, 1_000_000, 3_000_000} {
			l := NewLimiter(begin, Limits{Out: limits})
			every := 1000 * time.Second / time.Duration(offered)
			passed, refused := 0, 0
			const seconds = 20
			for at := time.Duration(0); at < seconds*time.Second; at += every {
				now := begin.Add(at)
				if rng.Float64() < EarlyDrop(l.Fill(now, Out, Transit)) {
					continue
				}
				if allow(l, now, Out, Transit, 1000) {
					passed += 1000
				} else {
					refused++
				}
			}
			want := float64(min(offered, 500_000))
			within(t, fmt.Sprint(offered, " offered"), float64(passed)/seconds, want, 0.03)
			if refused > 0 {
				t.Errorf("%d offered: %d ran into the limit", offered, refused)
			}
		}
	}
}

func TestEarlyDropRisesFromHalfToFull(t *testing.T) {
	for fill, want := range map[float64]float64{-1: 0, 0: 0, 0.5: 0, 0.75: 0.25, 1: 1, 2: 1} {
		if got := EarlyDrop(fill); got != want {
			t.Errorf("at %v: %v, not %v", fill, got, want)
		}
	}
	for fill := 0.5; fill < 1; fill += 0.01 {
		if EarlyDrop(fill) >= EarlyDrop(fill+0.01) {
			t.Errorf("at %v it does not rise", fill)
		}
	}
}

func TestLimiterCountsWhatGoes(t *testing.T) {
	l := NewLimiter(begin, Limits{Out: Line{Own: 1000}})
	now := begin
	for range 20 {
		now = now.Add(time.Second)
		allow(l, now, Out, Own, 700)
		allow(l, now, Out, Own, 0)
		spend(l, now, In, Transit, 5000)
	}
	within(t, "average in", l.Average(now, In, Transit, FifteenSeconds), 5000, 0.1)
	within(t, "average out", l.Average(now, Out, Own, FifteenSeconds), 700, 0.1)
	if n := l.Total(In, Transit); n != 100_000 {
		t.Errorf("total in %d", n)
	}
	// What is refused does not count.
	spend(l, now, Out, Own, 1_000)
	before := l.Total(Out, Own)
	if allow(l, now, Out, Own, 700) || l.Total(Out, Own) != before {
		t.Error("a refused message was counted")
	}
}

func TestLimiterAllocatesNothing(t *testing.T) {
	l := NewLimiter(begin, Limits{Out: Line{Transit: 1 << 20, Total: 1 << 20}})
	now := begin
	n := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Millisecond)
		EarlyDrop(l.Fill(now, Out, Transit))
		allow(l, now, Out, Transit, 1000)
		spend(l, now, In, Own, 1000)
		l.Wait(now, Out, Own)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAllow(b *testing.B) {
	l := NewLimiter(begin, Limits{Out: Line{Transit: 1 << 30, Total: 1 << 30}})
	now := begin
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(2 * time.Microsecond)
		allow(l, now, Out, Transit, 1000)
	}
}
