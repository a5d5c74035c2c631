package pool

import (
	"sync"
	"time"
)

const (
	// window is over how long build success is looked at, in spells.
	window = 2 * time.Minute
	spell  = 10 * time.Second
	spells = int(window / spell)
	// enoughBuilds is of how many builds at least the success tells something.
	enoughBuilds = 10
	// A storm begins when fewer builds succeed than stormBelow, and ends when
	// more do than calmAbove, or nothing was built.
	stormBelow, calmAbove = 0.4, 0.7
	// shortStorm is how long a storm is taken to last at least. One that comes
	// back soon lasts twice as long, up to longStorm.
	shortStorm, longStorm = 5 * time.Minute, 40 * time.Minute
	// worstCaution is the most exploratory tunnels without a newcomer for one
	// with one.
	worstCaution = 40
)

// weather is how our builds have gone of late, all pools together, and what
// follows from it for the choice of hops. Safe for concurrent use.
type weather struct {
	mu    sync.Mutex
	last  int64 // number of the spell that is on
	good  [spells]int
	bad   [spells]int
	storm bool
	// since is when the present or last storm began, success that of the builds
	// which were the reason, and least how long it had to last.
	since   time.Time
	success float64
	least   time.Duration
	storms  int
	// caution is how many exploratory tunnels come on one with a newcomer: the
	// more newcomers have failed, the more.
	caution int
}

// Weather is how our builds have gone of late, for status.
type Weather struct {
	// Builds are those of the last two minutes that were sent and have ended,
	// Success the share of them that made a tunnel; 0 without any.
	Builds  int     `json:"builds"`
	Success float64 `json:"success"`
	// Storm tells that too few of them did: only routers that have carried
	// tunnels for us are chosen.
	Storm bool `json:"storm"`
	// Since is when the present or last storm began, and Before the success
	// that was the reason; zero if there was none.
	Since  time.Time `json:"since"`
	Before float64   `json:"before"`
	Storms int       `json:"storms"` // so far
}

// ended notes the end of a build, and whether a newcomer was a hop.
func (w *weather) ended(now time.Time, ok, newcomer bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turn(now)
	i := int(w.last % int64(spells))
	if ok {
		w.good[i]++
	} else {
		w.bad[i]++
	}
	switch {
	case newcomer && ok:
		w.caution -= (w.caution + 3) / 4
	case newcomer:
		w.caution = min(2*w.caution+1, worstCaution)
	}
	w.judge(now)
}

// turn forgets what is older than the window. The lock is held.
func (w *weather) turn(now time.Time) {
	at := now.UnixMilli() / spell.Milliseconds()
	if at < w.last || at-w.last > int64(spells) {
		w.last = at - int64(spells) // the clock was set, or nothing was built
	}
	for w.last < at {
		w.last++
		i := int(w.last % int64(spells))
		w.good[i], w.bad[i] = 0, 0
	}
}

// tally is the builds of the window. The lock is held.
func (w *weather) tally() (builds int, success float64) {
	good := 0
	for i := range spells {
		good += w.good[i]
		builds += w.good[i] + w.bad[i]
	}
	return builds, float64(good) / float64(max(builds, 1))
}

// judge begins or ends a storm. The lock is held.
func (w *weather) judge(now time.Time) {
	builds, success := w.tally()
	switch {
	case !w.storm && builds >= enoughBuilds && success < stormBelow:
		if w.storms > 0 && now.Sub(w.since) < w.least+longStorm {
			w.least = min(2*w.least, longStorm)
		} else {
			w.least = shortStorm
		}
		w.storm, w.since, w.success = true, now, success
		w.storms++
	case w.storm && now.Sub(w.since) >= w.least && (builds == 0 || success > calmAbove):
		w.storm = false
	}
}

// chooses tells what follows for a choice of hops: whether there is a storm,
// and how cautious to be with newcomers.
func (w *weather) chooses(now time.Time) (storm bool, caution int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turn(now)
	w.judge(now)
	return w.storm, w.caution
}

// status tells how the weather is.
func (w *weather) status(now time.Time) (s Weather) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turn(now)
	w.judge(now)
	s.Builds, s.Success = w.tally()
	s.Storm, s.Storms = w.storm, w.storms
	if w.storms > 0 {
		s.Since, s.Before = w.since, w.success
	}
	return s
}

// Weather tells how our builds have gone of late.
func (b *Builder) Weather(now time.Time) Weather { return b.weather.status(now) }
