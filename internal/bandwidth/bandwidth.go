// Package bandwidth keeps traffic within what the user allows, and measures
// it.
//
// A [Limiter] holds the limits: for each direction one for the machine's own
// traffic, one for transit, and one for both together. Whoever is about to
// send or has received asks it, message by message. It answers at once and
// holds nothing back: own traffic that may not go yet is kept by its sender,
// transit is dropped. When there is not enough for both, own traffic goes
// first.
//
// Transit should feel the limit before it is reached: [EarlyDrop] turns how
// full something is, a limit ([Limiter.Fill]) or a queue, into the chance with
// which a message is better dropped, so that those behind it slow down one by
// one instead of all together.
//
// A [Rate] is a moving average, and a [Quota] what is left of a month's
// allowance. Time is always an argument.
package bandwidth

import (
	"sync"
	"time"
)

// Direction is the way that traffic goes.
type Direction uint8

// The directions.
const (
	In Direction = iota
	Out
	directions
)

// Class is whom traffic serves.
type Class uint8

// The classes, in the order in which they go when not all can.
const (
	Own     Class = iota // this machine's user
	Control              // the network: handshakes, answers to requests for tunnels and of the netDb
	Transit              // others, through this machine

	// Classes is how many there are.
	Classes
)

// Line is the limits of one direction in bytes per second. Zero is no limit,
// and a negative one lets nothing through.
type Line struct {
	Own     int64
	Transit int64
	Total   int64 // both together
}

// Limits is the limits of both directions.
type Limits struct {
	In, Out Line
}

// Limiter decides what may go. In any ten seconds a limit lets through what it
// allows in that time and at most two percent and one message more. It may be
// used by many goroutines at once.
type Limiter struct {
	mu    sync.Mutex
	lines [directions]line
}

type line struct {
	class [Classes]bucket
	total bucket
	rates [Classes]Rate
}

// NewLimiter makes a limiter that starts at now with all that its limits can
// save up.
func NewLimiter(now time.Time, limits Limits) *Limiter {
	l := &Limiter{}
	l.SetLimits(now, limits)
	return l
}

// SetLimits replaces all limits. What was used just before counts against the
// new ones, too.
func (l *Limiter) SetLimits(now time.Time, limits Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for d, limit := range [directions]Line{In: limits.In, Out: limits.Out} {
		line := &l.lines[d]
		line.class[Own].set(now, limit.Own)
		line.class[Transit].set(now, limit.Transit)
		line.total.set(now, limit.Total)
	}
}

// Allow reports whether a message of n bytes may go now, and if so counts it.
// Any size may go when the one before has been paid for; transit needs half of
// the savings of the total limit besides, which are there for own traffic.
func (l *Limiter) Allow(now time.Time, d Direction, c Class, n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := &l.lines[d]
	if !line.class[c].open(now, 0) || !line.total.open(now, reserve(c)) {
		return false
	}
	line.count(now, c, n)
	return true
}

// Spend counts n bytes that go without being asked: they have come in already,
// or must go out. The limits make up for them later.
func (l *Limiter) Spend(now time.Time, d Direction, c Class, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := &l.lines[d]
	line.class[c].flow(now)
	line.total.flow(now)
	line.count(now, c, n)
}

// Wait is how long it takes from now, if nothing else goes meanwhile, until
// Allow will say yes: zero if it would at once, and a day if it would never.
func (l *Limiter) Wait(now time.Time, d Direction, c Class) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := &l.lines[d]
	return max(line.class[c].wait(now, 0), line.total.wait(now, reserve(c)))
}

// Fill is how near traffic is to its limit: from 0, far below it, to 1, where
// Allow says no. Under steady traffic beyond the limit it is 1, and under
// traffic that is dropped as EarlyDrop says, it stays where what is left fits
// the limit.
func (l *Limiter) Fill(now time.Time, d Direction, c Class) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := &l.lines[d]
	return max(line.class[c].fill(now, 0), line.total.fill(now, reserve(c)))
}

// Average is the bytes per second that went lately: those counted by Allow and
// by Spend.
func (l *Limiter) Average(now time.Time, d Direction, c Class, over Window) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines[d].rates[c].Average(now, over)
}

// Total is how many bytes went since the limiter was made.
func (l *Limiter) Total(d Direction, c Class) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines[d].rates[c].Total()
}

// reserve is the share of the total limit's savings that a class must leave.
func reserve(c Class) float64 {
	if c == Transit {
		return 0.5
	}
	return 0
}

// count takes n bytes from the buckets, whose flow has been called, and adds
// them to the average.
func (l *line) count(now time.Time, c Class, n int) {
	l.class[c].take(n)
	l.total.take(n)
	l.rates[c].Add(now, n)
}
