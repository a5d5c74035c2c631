package bandwidth

import "time"

// Window is a span that a Rate averages over.
type Window time.Duration

// The windows.
const (
	FifteenSeconds = Window(15 * time.Second)
	OneMinute      = Window(time.Minute)
	FiveMinutes    = Window(5 * time.Minute)
)

const (
	slot  = 5 * time.Second
	slots = int64(FiveMinutes)/int64(slot) + 1
)

// Rate is a moving average of bytes, or of anything that is counted. The zero
// value is ready for use. It takes about half a kilobyte and has no lock: its
// owner's is enough. A clock put back by more than five seconds makes the
// averages begin anew.
type Rate struct {
	begin   time.Time // of the first slot
	last    time.Time // the latest that Add or Average were told
	current int64     // number of slots from begin to the present one
	total   uint64
	ring    [slots]uint64 // what was added in slot i is at i modulo slots
}

// Add counts n, which is not negative, at now.
func (r *Rate) Add(now time.Time, n int) {
	r.turn(now)
	r.ring[r.current%slots] += uint64(n)
	r.total += uint64(n)
}

// Total is all that was added.
func (r *Rate) Total() uint64 { return r.total }

// Average is what was added per second during the window before now, or since
// the first Add if that is not as long ago, but one second at least. It is
// exact but for the earliest five seconds of the window.
func (r *Rate) Average(now time.Time, over Window) float64 {
	if r.begin.IsZero() {
		return 0
	}
	r.turn(now)
	age := r.last.Sub(r.begin)
	span := min(time.Duration(min(over, FiveMinutes)), max(age, time.Second))

	// The present slot is not over yet. Of the earliest, the part counts that
	// the window covers.
	sum := float64(r.ring[r.current%slots])
	left := span - (age - time.Duration(r.current)*slot)
	for i := r.current - 1; i >= 0 && left > 0; i-- {
		share := min(float64(left)/float64(slot), 1)
		sum += share * float64(r.ring[i%slots])
		left -= slot
	}
	return sum / span.Seconds()
}

// turn goes on to the slot of now and empties those in between.
func (r *Rate) turn(now time.Time) {
	if r.begin.IsZero() || r.last.Sub(now) > slot {
		*r = Rate{begin: now, last: now, total: r.total}
		return
	}
	if now.Before(r.last) {
		return // goroutines differ a little about the time
	}
	r.last = now
	to := int64(now.Sub(r.begin) / slot)
	for i := max(r.current+1, to-slots+1); i <= to; i++ {
		r.ring[i%slots] = 0
	}
	r.current = to
}
