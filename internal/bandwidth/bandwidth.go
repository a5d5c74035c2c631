// Package bandwidth keeps traffic within what the user allows, and measures
// it.
//
// A [Limiter] holds the limits: for each direction one for the machine's own
// traffic, one for what it lends to others, and one for all together. Whoever
// sends asks how many bytes may go now ([Limiter.Take]) and tells how many went
// ([Limiter.Settle]); whoever reads asks for how many there is room
// ([Limiter.Room]) and tells what came ([Limiter.Arrived]). It answers at once
// and holds nothing back: to wait is the caller's part. When there is not
// enough for all, own traffic goes first.
//
// What routers owe each other, answers above all, is counted and never held
// back. Its limit is a part of the others, and is kept by whoever would cause
// it: he does not begin what [Limiter.Wait] does not let him.
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
	"math"
	"sync"
	"sync/atomic"
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

// Bytes is an amount of traffic by class.
type Bytes [Classes]int

// Sum is all of it.
func (b Bytes) Sum() int { return b[Own] + b[Control] + b[Transit] }

// Line is the limits of one direction in bytes per second. Zero is no limit,
// and a negative one lets nothing through.
type Line struct {
	Own     int64
	Transit int64 // all that is lent to others, Control included
	Total   int64 // all together
}

// Limits is the limits of both directions.
type Limits struct {
	In, Out Line
}

// What Control may have of other limits.
const (
	controlOfTotal   = 8 // one part in so many
	controlOfTransit = 2
	// controlLeast is its limit, in bytes per second, where nothing is lent:
	// to say so takes little.
	controlLeast = 16 << 10
)

// control is the limit of Control that follows from the others.
func (l Line) control() int64 {
	limit := int64(0)
	if l.Transit < 0 {
		limit = controlLeast
	}
	for _, part := range [...]int64{l.Total / controlOfTotal, l.Transit / controlOfTransit} {
		if part > 0 && (limit == 0 || part < limit) {
			limit = part
		}
	}
	return limit
}

// Limiter decides what may go. In any ten seconds a limit lets through what it
// allows in that time and at most two percent and one message more. It may be
// used by many goroutines at once.
type Limiter struct {
	limited [directions]atomic.Bool

	mu     sync.Mutex
	limits Limits
	lines  [directions]line
}

// total is the bucket of all classes, behind those of each.
const total = int(Classes)

type line struct {
	buckets [Classes + 1]bucket
	rates   [Classes]Rate
}

// paysInto tells which buckets a class empties.
var paysInto = [Classes][Classes + 1]bool{
	Own:     {Own: true, total: true},
	Control: {Control: true, Transit: true, total: true},
	Transit: {Transit: true, total: true},
}

// unasked is the share of a bucket that does not matter.
var unasked = math.Inf(-1)

// leaves is the share of each bucket's savings that a class must leave. Those
// of the total are there for own traffic. What comes in mixed is read for the
// sake of what is our own in it, as long as the transit in it is not too much.
var leaves = [directions][Classes][Classes + 1]float64{
	In: {
		Own:     {Own: 0, Control: unasked, Transit: -1, total: 0},
		Control: {Own: unasked, Control: 0, Transit: unasked, total: unasked},
		Transit: {Own: unasked, Control: unasked, Transit: 0, total: 0.5},
	},
	Out: {
		Own:     {Own: 0, Control: unasked, Transit: unasked, total: 0},
		Control: {Own: unasked, Control: 0, Transit: unasked, total: unasked},
		Transit: {Own: unasked, Control: unasked, Transit: 0, total: 0.5},
	},
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
	l.limits = limits
	for d, limit := range [directions]Line{In: limits.In, Out: limits.Out} {
		b := &l.lines[d].buckets
		b[Own].set(now, limit.Own)
		b[Control].set(now, limit.control())
		b[Transit].set(now, limit.Transit)
		b[total].set(now, limit.Total)
		l.limited[d].Store(limit != Line{})
	}
}

// Limits are those that hold.
func (l *Limiter) Limits() Limits {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limits
}

// Limited tells whether there is any limit in a direction.
func (l *Limiter) Limited(d Direction) bool { return l.limited[d].Load() }

// Take takes as many of n bytes as may go now, at least one if any may. A
// message may be larger than what is there: see Settle. Transit leaves half of
// the savings of the total limit, which are there for own traffic.
func (l *Limiter) Take(now time.Time, d Direction, c Class, n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = l.room(now, d, c, n)
	l.lines[d].pay(now, c, n)
	return n
}

// Settle tells that used bytes went after took were taken. What went beyond
// that the limits make up for later.
func (l *Limiter) Settle(now time.Time, d Direction, took, used Bytes) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines[d].count(now, took, used)
}

// Room is how many of n bytes may come in now, and takes nothing.
func (l *Limiter) Room(now time.Time, c Class, n int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.room(now, In, c, n)
}

// Arrived tells that n bytes have come in, and whom bytes served that came now
// or before.
func (l *Limiter) Arrived(now time.Time, n int, served Bytes) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := &l.lines[In]
	line.count(now, Bytes{}, served)
	// They are paid for in total when they come, whoever they serve.
	line.buckets[total].flow(now)
	line.buckets[total].take(n - served.Sum())
}

// Wait is how long it takes from now, if nothing else goes meanwhile, until
// there is something to take: zero if there is, and a day if there will never
// be.
func (l *Limiter) Wait(now time.Time, d Direction, c Class) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	var longest time.Duration
	for i, share := range leaves[d][c] {
		if share != unasked {
			longest = max(longest, l.lines[d].buckets[i].wait(now, share))
		}
	}
	return longest
}

// Fill is how near traffic is to its limit: from 0, far below it, to 1, where
// nothing more may go. Under steady traffic beyond the limit it is 1, and under
// traffic that is dropped as EarlyDrop says, it stays where what is left fits
// the limit.
func (l *Limiter) Fill(now time.Time, d Direction, c Class) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	most := 0.0
	for i, share := range leaves[d][c] {
		if share != unasked {
			most = max(most, l.lines[d].buckets[i].fill(now, share))
		}
	}
	return most
}

// Average is the bytes per second that went lately.
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

// room is how many of n bytes may go now. Under mu.
func (l *Limiter) room(now time.Time, d Direction, c Class, n int) int {
	for i, share := range leaves[d][c] {
		if share != unasked {
			n = l.lines[d].buckets[i].room(now, share, n)
		}
	}
	return n
}

// count pays for what was used beyond what was taken, and adds it to the
// averages.
func (l *line) count(now time.Time, took, used Bytes) {
	for c := range Classes {
		if used[c] != took[c] {
			l.pay(now, c, used[c]-took[c])
		}
		if used[c] > 0 {
			l.rates[c].Add(now, used[c])
		}
	}
}

// pay takes n bytes of a class from the buckets it empties; a negative n gives
// them back.
func (l *line) pay(now time.Time, c Class, n int) {
	for i := range l.buckets {
		if paysInto[c][i] {
			l.buckets[i].flow(now)
			l.buckets[i].take(n)
		}
	}
}
