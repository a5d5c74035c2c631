package floodfill

import (
	"sync"
	"time"
)

// Role says whether to be a floodfill.
type Role string

// The roles. The empty one is Auto.
const (
	Auto Role = "auto"
	On   Role = "on"
	Off  Role = "off"
)

// What Auto demands of a router (most of it Java's). One that is a floodfill
// already stays one with half of what can be counted.
const (
	autoUptime   = 2 * time.Hour
	autoShare    = 128_000
	autoRouters  = 400
	autoSessions = 50
	autoSkew     = 10 * time.Second
)

const (
	// joinReviews is how many reviews in a row must be good before a router
	// becomes a floodfill. It is twice as many after each time it gave the
	// duty up, and maxJoinReviews in the end.
	joinReviews    = 3
	maxJoinReviews = 48
	// leaveReviews is how many in a row must be bad before it gives the duty
	// up, when others can still use it.
	leaveReviews = 2
)

// Standing is how a router is doing.
type Standing struct {
	// Uptime is how long it has been running.
	Uptime time.Duration
	// Share is its bandwidth for others, in bytes per second.
	Share int
	// Reachable is whether others can connect to it.
	Reachable bool
	// Congested is whether it has no room for more of others.
	Congested bool
	// Routers is how many it knows of, and Sessions with how many it is
	// connected.
	Routers, Sessions int
	// Skew is how far the clocks of its peers are from its own.
	Skew time.Duration
}

// Why a router is a floodfill or not, in words for people.
const (
	becauseSet       = "set so"
	becauseFit       = "reachable, stable and strong enough"
	becauseYoung     = "running for less than two hours"
	becauseShare     = "lends too little bandwidth"
	becauseHidden    = "others cannot connect to it"
	becauseCongested = "congested"
	becauseFew       = "knows too few routers"
	becauseAlone     = "connected with too few routers"
	becauseClock     = "its clock is wrong"
	becauseProving   = "fit, but not for long enough yet"
)

// Duty is whether a router is a floodfill now. In the role Auto it becomes one
// when it has been fit for a while, and stays one until it is clearly not any
// more: others have to learn of every change. It is safe for concurrent use.
type Duty struct {
	role Role

	mu     sync.Mutex
	active bool
	reason string
	streak int // reviews in a row that spoke for a change
	wait   int // how many of them it takes to join
}

// NewDuty makes the Duty of a router that has just been started.
func NewDuty(role Role) *Duty {
	d := &Duty{role: role, active: role == On, reason: becauseSet, wait: joinReviews}
	if d.auto() {
		d.reason = becauseYoung
	}
	return d
}

func (d *Duty) auto() bool { return d.role != On && d.role != Off }

// Active tells whether the router is a floodfill.
func (d *Duty) Active() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.active
}

// Reason tells in words why it is one, or is none.
func (d *Duty) Reason() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reason
}

// Review looks at how the router stands, which is to be done every ten minutes
// or so, and reports whether it has become a floodfill or ceased to be one.
func (d *Duty) Review(s Standing) (changed bool) {
	if !d.auto() {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.active {
		return d.reviewActive(s)
	}
	fault := s.fault(1)
	if fault != "" {
		d.streak, d.reason = 0, fault
		return false
	}
	if d.streak++; d.streak < d.wait {
		d.reason = becauseProving
		return false
	}
	d.active, d.streak, d.reason = true, 0, becauseFit
	return true
}

// reviewActive is Review of a floodfill. The lock is held.
func (d *Duty) reviewActive(s Standing) (changed bool) {
	fault := s.fault(2)
	if fault == "" {
		d.streak, d.reason = 0, becauseFit
		return false
	}
	d.streak++
	useless := !s.Reachable || s.skewed()
	if d.streak < leaveReviews && !useless {
		return false
	}
	d.active, d.streak, d.reason = false, 0, fault
	d.wait = min(2*d.wait, maxJoinReviews)
	return true
}

// fault is what speaks against a router as a floodfill, of which the part of
// what can be counted is demanded, and nothing if it is fit.
func (s Standing) fault(part int) string {
	switch {
	case !s.Reachable:
		return becauseHidden
	case s.skewed():
		return becauseClock
	case s.Uptime < autoUptime:
		return becauseYoung
	case s.Share < autoShare:
		return becauseShare
	case s.Congested:
		return becauseCongested
	case s.Routers < autoRouters/part:
		return becauseFew
	case s.Sessions < autoSessions/part:
		return becauseAlone
	}
	return ""
}

func (s Standing) skewed() bool { return s.Skew.Abs() >= autoSkew }
