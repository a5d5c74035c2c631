package allium

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"allium/internal/reseed"
)

// Joining is how far the router has come on its way into the network.
type Joining struct {
	// Step is what it is at: clock, reseed, connect, tunnels or ready.
	Step string `json:"step"`
	// Why says what it waits for, in a sentence.
	Why   string    `json:"why"`
	Since time.Time `json:"since"` // when the step began
}

// step is one step on the way: whether a router is at it, and the reason for
// the wait.
type step struct {
	name string
	at   func(s *Status) bool
	why  func(s *Status, now time.Time) string
}

// steps are all of them; a router is at the first that holds.
var steps = []step{
	{"clock", unsureOfTime, asksTime},
	{"reseed", withoutRouters, reseeds},
	{"connect", withoutPeers, connects},
	{"tunnels", withoutTunnels, builds},
	{ready, always, goesWell},
}

// ready is the last step.
const ready = "ready"

// joining tells the step a router is at, and why, from its status alone.
func joining(s *Status, now time.Time) (name, why string) {
	for _, st := range steps {
		if st.at(s) {
			return st.name, st.why(s, now)
		}
	}
	panic("allium: the last step always holds")
}

func unsureOfTime(s *Status) bool {
	return !s.Clock.Known && s.Clock.Reason == "" && s.Peers.Sessions == 0
}

func asksTime(*Status, time.Time) string { return "asking whether the clock is right" }

func withoutRouters(s *Status) bool {
	return s.Known.Routers == 0 || s.Reseed.Need != "" && s.Peers.Sessions == 0
}

func reseeds(s *Status, now time.Time) string {
	r := &s.Reseed
	need := cmp.Or(r.Need, "no routers known")
	if r.State == "off" {
		return need + ": nobody to ask for some, see the settings of router.reseed"
	}
	parts := []string{need + ": asking " + r.whom()}
	failed, reasons := r.failed()
	if failed > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d failed (%s)", failed, len(r.Sources), strings.Join(reasons, ", ")))
	}
	if wait := r.Next.Sub(now); !r.Next.IsZero() && wait > 0 {
		parts = append(parts, "next try in "+roughly(wait))
	}
	if !s.Clock.Known && slices.Contains(reasons, string(reseed.Certificate)) {
		parts = append(parts, "is this computer's clock right?")
	}
	return strings.Join(parts, ", ")
}

// whom is who is asked for routers.
func (r *Reseed) whom() string {
	if len(r.Sources) == 1 {
		return r.Sources[0].Source
	}
	return "reseed servers"
}

// failed counts the sources that gave nothing, and lists why, each reason
// once.
func (r *Reseed) failed() (n int, reasons []string) {
	for _, src := range r.Sources {
		if src.Failure == "" {
			continue
		}
		n++
		if !slices.Contains(reasons, src.Failure) {
			reasons = append(reasons, src.Failure)
		}
	}
	return n, reasons
}

func withoutPeers(s *Status) bool { return s.Peers.Sessions == 0 }

func connects(s *Status, _ time.Time) string {
	known := routers(s.Known.Routers) + " known"
	if s.Reseed.Kept > 0 && s.Reseed.Done.IsZero() {
		known = routers(s.Reseed.Kept) + " known from last time, no reseed needed"
	}
	return fmt.Sprintf("%s; connecting: none is connected, %d being dialled, %d could not be reached", known, s.Peers.Dialling, s.Peers.Failed)
}

func withoutTunnels(s *Status) bool { return !s.Ready }

func builds(s *Status, _ time.Time) string {
	why := fmt.Sprintf("%d of %s connected; building exploratory tunnels", s.Peers.Sessions, routers(s.Known.Routers))
	for _, p := range s.Pools {
		if p.Name != "exploratory" {
			continue
		}
		why += fmt.Sprintf(": %d in, %d out, %d under way", p.Inbound.Good, p.Outbound.Good, p.Inbound.Building+p.Outbound.Building)
		if failed := p.Inbound.Failed + p.Outbound.Failed; failed > 0 {
			why += fmt.Sprintf(", %d failed (%s)", failed, commonest(p.Inbound.Causes, p.Outbound.Causes))
		}
	}
	return why
}

// commonest lists causes, the most frequent first.
func commonest(counts ...map[string]int) string {
	sum := map[string]int{}
	for _, c := range counts {
		for cause, n := range c {
			sum[cause] += n
		}
	}
	causes := slices.SortedFunc(maps.Keys(sum), func(a, b string) int {
		return cmp.Or(cmp.Compare(sum[b], sum[a]), cmp.Compare(a, b))
	})
	return strings.Join(causes, ", ")
}

func always(*Status) bool { return true }

func goesWell(s *Status, _ time.Time) string {
	return routers(s.Peers.Sessions) + " connected, tunnels both ways"
}

// routers counts them in words.
func routers(n int) string {
	if n == 1 {
		return "1 router"
	}
	return fmt.Sprintf("%d routers", n)
}

// roughly is a duration for people: no fractions of a second.
func roughly(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(max(d.Round(time.Second), time.Second).Seconds()))
	}
	return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
}

const (
	// joinEvery is how often the step is looked at, and readyEvery once there
	// are no more.
	joinEvery, readyEvery = time.Second, 10 * time.Second
	// A reason that changes within one step is told again after retell, then
	// after twice that, and so on.
	retell        = 15 * time.Second
	retellLongest = time.Hour
)

// watchJoining follows the steps, and logs each change once.
func (r *Router) watchJoining() {
	t := telling{}
	for {
		j := r.Status().Joining
		now, pause := r.host.Now(), joinEvery
		if t.worth(j, now) {
			r.log.Info("joining", "step", j.Step, "why", j.Why)
		}
		r.noteStep(j, now)
		if j.Step == ready {
			pause = readyEvery
		}
		next := time.NewTimer(pause)
		select {
		case <-next.C:
		case <-r.background.Done():
			next.Stop()
			return
		}
	}
}

// telling decides what is worth a line in the log.
type telling struct {
	told  Joining
	at    time.Time
	pause time.Duration
}

// worth tells whether a step is new, or its reason is after some time.
func (t *telling) worth(j Joining, now time.Time) bool {
	switch {
	case j.Step != t.told.Step:
		t.pause = retell
	case j.Step == ready || j.Why == t.told.Why || now.Sub(t.at) < t.pause:
		return false
	default:
		t.pause = min(2*t.pause, retellLongest)
	}
	t.told, t.at = j, now
	return true
}

// noteStep keeps since when the step lasts.
func (r *Router) noteStep(j Joining, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.joining.Step != j.Step {
		r.joining = Joining{j.Step, j.Why, now}
	}
}

// joiningStatus is how far the router has come.
func (r *Router) joiningStatus(s *Status, now time.Time) Joining {
	j := Joining{Since: now}
	j.Step, j.Why = joining(s, now)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.joining.Step == j.Step {
		j.Since = r.joining.Since
	}
	return j
}
