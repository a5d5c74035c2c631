package nettime

import "time"

// reading is the machine's clocks at one moment.
type reading struct {
	wall time.Time // without a monotonic reading
	// awake counts while the machine runs, boot also while it sleeps. Where
	// the system cannot tell, boot is negative.
	awake, boot time.Duration
}

// uptime is the time that has passed, with sleep if that is known.
func (r reading) uptime() time.Duration { return max(r.awake, r.boot) }

const (
	// leastSet is what may lie between two clocks that are read one after the
	// other.
	leastSet = 500 * time.Millisecond
	// leastJump is what the router need not be told of.
	leastJump = 10 * time.Second
)

// between tells what happened from one reading to the next: for how long the
// machine slept, and how far its clock was set ahead (or back). Where sleep is
// not counted, a leap ahead is taken for sleep.
func between(a, b reading) (slept, set time.Duration) {
	wall, awake := b.wall.Sub(a.wall), b.awake-a.awake
	if a.boot >= 0 {
		slept, set = (b.boot-a.boot)-awake, wall-(b.boot-a.boot)
	} else if wall > awake {
		slept = wall - awake
	} else {
		set = wall - awake
	}
	if slept < leastJump {
		slept = 0
	}
	if set.Abs() < leastSet {
		set = 0
	}
	return slept, set
}

// watch looks for jumps.
func (c *Clock) watch() {
	next := c.m.read()
	slept, set := between(c.last, next)
	c.last = next
	switch {
	case slept != 0:
		c.w.Log.Info("the machine was asleep", "for", slept.Round(time.Second))
		c.begin()
		c.w.Jumped(slept + set)
	case set != 0:
		c.wasSet(set)
	}
}

// wasSet follows somebody who set the system's clock: the network time stays
// what it was. If it was set by much, it may as well have been wrong before, as
// that of a virtual machine which was laid aside.
func (c *Clock) wasSet(by time.Duration) {
	c.w.Log.Info("somebody set the system's clock", "by", by.Round(time.Millisecond))
	if c.course.confirmed {
		c.offset -= by
		c.w.Adjust(c.offset, 0)
	}
	if by.Abs() >= leastJump {
		c.begin()
		c.w.Jumped(by)
		return
	}
	for i := range c.servers {
		c.servers[i].ahead -= by
	}
	c.void()
}

// begin forgets what was known of the time: nothing says that the system's
// clock kept it.
func (c *Clock) begin() {
	c.course = course{built: c.course.built}
	for i := range c.servers {
		c.servers[i].heardFrom = ""
	}
	c.void()
}

// void has the servers asked at once, and answers that are under way thrown
// away: they are to questions of another time.
func (c *Clock) void() {
	c.due, c.pause, c.stale = c.last.uptime(), firstPause, c.asking
}
