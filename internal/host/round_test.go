package host_test

import (
	"slices"
	"testing"
	"time"

	"allium/internal/host"
)

// ender calls a function at the end of a round.
type ender func(r *host.Round)

func (e ender) EndRound(r *host.Round) { e(r) }

func TestRoundGoesOnAfterAPanic(t *testing.T) {
	var r host.Round
	var log []string
	note := func(s string) ender { return func(*host.Round) { log = append(log, s) } }
	r.Begin(time.Unix(1, 0))
	r.Later(host.Encrypt, note("first"))
	r.Later(host.Encrypt, ender(func(*host.Round) { panic("broken") }))
	r.Later(host.Encrypt, note("second"))
	r.Later(host.Seal, note("third"))
	func() {
		defer func() { recover() }()
		r.End()
	}()
	r.End()
	r.End()
	if want := []string{"first", "second", "third"}; !slices.Equal(log, want) {
		t.Errorf("ran %q, want %q", log, want)
	}
}

// tally is a gatherer whose batch counts.
type tally struct{ _ int }

type count struct{ n, total int }

func (*tally) NewBatch() host.Ender { return new(count) }

func (c *count) EndRound(*host.Round) {
	c.total += c.n
	c.n = 0
}

func TestRoundKeepsItsBatches(t *testing.T) {
	var r host.Round
	one, two := &tally{}, &tally{}
	var seen *count
	for range 3 {
		r.Begin(time.Unix(1, 0))
		c := r.Gather(host.Encrypt, one).(*count)
		if seen != nil && c != seen {
			t.Error("the batch was made again")
		}
		seen = c
		c.n++
		if r.Gather(host.Encrypt, two) == host.Ender(c) {
			t.Error("two owners share a batch")
		}
		r.Gather(host.Encrypt, one).(*count).n++
		r.End()
	}
	if seen.n != 0 || seen.total != 6 {
		t.Errorf("the batch counted %d and has %d left", seen.total, seen.n)
	}
}

// oneRound does what a busy round does.
func oneRound(r *host.Round, now time.Time, owner host.Gatherer, e host.Ender) {
	r.Begin(now)
	for range 16 {
		r.Gather(host.Encrypt, owner).(*count).n++
	}
	r.Later(host.Seal, e)
	r.End()
}

func TestRoundAllocatesNothing(t *testing.T) {
	var r host.Round
	owner, e, now := &tally{}, &count{}, time.Unix(1, 0)
	if n := testing.AllocsPerRun(100, func() { oneRound(&r, now, owner, e) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRound(b *testing.B) {
	var r host.Round
	owner, e, now := &tally{}, &count{}, time.Unix(1, 0)
	b.ReportAllocs()
	for b.Loop() {
		oneRound(&r, now, owner, e)
	}
}
