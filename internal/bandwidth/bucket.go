package bandwidth

import (
	"math"
	"time"
)

const (
	// savings is how long a limit's worth a bucket can hold: enough to smooth
	// out rounds, and two percent of the ten seconds in which a limit has to
	// be kept.
	savings = 200 * time.Millisecond

	// patience is how long a limit's worth of debt a bucket remembers.
	patience = 10 * time.Second

	// disagreement is how far times may go back without the clock having been
	// put back.
	disagreement = time.Second

	// never is what wait gives for a limit that lets nothing through.
	never = 24 * time.Hour
)

// bucket is a token bucket that may go into debt: a message is let through
// while there is anything in the bucket, whatever its size, and paid for
// afterwards. So a bucket far smaller than the biggest message keeps a low
// limit.
//
// golang.org/x/time/rate refuses for good what is bigger than its bucket, and
// cannot take from two buckets or from neither.
type bucket struct {
	limit int64   // bytes per second; 0 none, negative lets nothing through
	level float64 // bytes
	at    time.Time
}

// set changes the limit. A bucket that had none begins full.
func (b *bucket) set(now time.Time, limit int64) {
	b.flow(now)
	if b.limit <= 0 {
		b.level = float64(max(limit, 0)) * savings.Seconds()
	}
	b.limit, b.at = limit, now
	b.level = min(b.level, b.capacity())
}

// capacity is the most the bucket holds.
func (b *bucket) capacity() float64 {
	return float64(b.limit) * savings.Seconds()
}

// flow lets in what has come since the last time. Goroutines may differ a
// little about the time, and none of it may come twice; when the clock was put
// back, time goes on from there.
func (b *bucket) flow(now time.Time) {
	if b.limit <= 0 {
		return
	}
	passed := now.Sub(b.at)
	if passed > 0 {
		b.level = min(b.level+float64(b.limit)*passed.Seconds(), b.capacity())
	}
	if passed > 0 || passed < -disagreement {
		b.at = now
	}
}

// open reports whether more than a share of the capacity is there.
func (b *bucket) open(now time.Time, share float64) bool {
	if b.limit <= 0 {
		return b.limit == 0
	}
	b.flow(now)
	return b.level > share*b.capacity()
}

// room is how many of n bytes are there beyond a share of the capacity, and at
// least one when it is open.
func (b *bucket) room(now time.Time, share float64, n int) int {
	switch {
	case !b.open(now, share):
		return 0
	case b.limit == 0:
		return n
	}
	return min(n, int(math.Ceil(b.level-share*b.capacity())))
}

// take takes out n bytes, or puts them back when n is negative; flow has been
// called.
func (b *bucket) take(n int) {
	if b.limit <= 0 {
		return
	}
	left := min(b.level-float64(n), b.capacity())
	b.level = max(left, -float64(b.limit)*patience.Seconds())
}

// wait is how long it takes until open.
func (b *bucket) wait(now time.Time, share float64) time.Duration {
	if b.open(now, share) {
		return 0
	}
	if b.limit < 0 {
		return never
	}
	missing := share*b.capacity() - b.level
	// Open wants more than the share: a microsecond more than it takes.
	return time.Duration(missing/float64(b.limit)*1e9) + time.Microsecond
}

// fill is how much of the capacity above share is used: 0 when the bucket is
// full, 1 when it is not open.
func (b *bucket) fill(now time.Time, share float64) float64 {
	switch {
	case b.limit == 0:
		return 0
	case b.limit < 0:
		return 1
	}
	b.flow(now)
	left := (b.level/b.capacity() - share) / (1 - share)
	return 1 - max(left, 0)
}
