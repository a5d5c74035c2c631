package bandwidth_test

import (
	"testing"
	"time"

	. "allium/internal/bandwidth"
)

func TestSteadyRateIsItsAverage(t *testing.T) {
	var r Rate
	for i := range 10 * 60 * 10 {
		now := begin.Add(time.Duration(i) * 100 * time.Millisecond)
		r.Add(now, 100)
		if i < 20 {
			continue // the first seconds are few messages
		}
		for _, w := range []Window{FifteenSeconds, OneMinute, FiveMinutes} {
			if got := r.Average(now, w); got < 940 || got > 1060 {
				t.Fatalf("after %v, over %v: %v", now.Sub(begin), time.Duration(w), got)
			}
		}
	}
	if r.Total() != 600_000 {
		t.Errorf("total %d", r.Total())
	}
}

func TestAverageForgetsWhatLeftItsWindow(t *testing.T) {
	var r Rate
	r.Add(begin, 1) // long ago
	r.Add(begin.Add(time.Hour), 30_000)
	for _, c := range []struct {
		after time.Duration
		over  Window
		want  float64
	}{
		{0, FifteenSeconds, 2000},
		{9 * time.Second, FifteenSeconds, 2000},
		{21 * time.Second, FifteenSeconds, 0},
		{21 * time.Second, OneMinute, 500},
		{66 * time.Second, OneMinute, 0},
		{66 * time.Second, FiveMinutes, 100},
		{290 * time.Second, FiveMinutes, 100},
		{306 * time.Second, FiveMinutes, 0},
		{time.Hour, FiveMinutes, 0},
	} {
		copied := r // asking must not change the answer to a question about before
		if got := copied.Average(begin.Add(time.Hour+c.after), c.over); got != c.want {
			t.Errorf("after %v, over %v: %v, not %v", c.after, time.Duration(c.over), got, c.want)
		}
	}
}

func TestYoungRateAveragesOverItsAge(t *testing.T) {
	var r Rate
	if got := r.Average(begin, OneMinute); got != 0 {
		t.Errorf("empty: %v", got)
	}
	r.Add(begin, 500)
	if got := r.Average(begin, OneMinute); got != 500 {
		t.Errorf("at once: %v", got)
	}
	r.Add(begin.Add(7*time.Second), 500)
	if got := r.Average(begin.Add(10*time.Second), OneMinute); got != 100 {
		t.Errorf("after ten seconds: %v", got)
	}
}

func TestRateLivesWithAClockPutBack(t *testing.T) {
	var r Rate
	for i := range 100 {
		r.Add(begin.Add(time.Duration(i)*time.Second), 1000)
	}
	r.Add(begin.Add(97*time.Second), 1000) // another goroutine, a little behind
	if got := r.Average(begin.Add(98*time.Second), OneMinute); got < 960 || got > 1060 {
		t.Errorf("two seconds back: %v", got)
	}
	back := begin.Add(30 * time.Second)
	for i := range 20 {
		r.Add(back.Add(time.Duration(i)*time.Second), 50)
	}
	if got := r.Average(back.Add(20*time.Second), OneMinute); got != 50 {
		t.Errorf("a minute back: %v", got)
	}
	if r.Total() != 102_000 {
		t.Errorf("total %d", r.Total())
	}
}

func TestRateAllocatesNothing(t *testing.T) {
	var r Rate
	now := begin
	n := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Second)
		r.Add(now, 1)
		r.Average(now, FiveMinutes)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
