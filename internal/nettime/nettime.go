// Package nettime keeps the router's clock right, to within a few seconds.
//
// I2P refuses who is off by a minute, so a router with a wrong clock is alone.
// A [Clock] never touches the system's clock: it finds what has to be added to
// it, and has the host add that. It knows two kinds of witnesses: time servers
// (NTP, which nobody signs) and the clocks of authenticated peers. What they
// say is weighed in decide.go, a function of its arguments alone; the rules
// stand there. None of them is ever believed alone.
//
// The first finding after the start puts right whatever is wrong, at once.
// After that the clock moves by ten seconds a minute at most, whoever asks for
// it, until it has lost its ground: when the machine slept or its clock was set
// by more than ten seconds, the next finding is a first one again. A system
// clock that somebody sets does not move the network time by itself, where the
// system lets us tell that from sleep.
package nettime

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// Config is where the time comes from. With both sources off the system's
// clock is taken as it is.
type Config struct {
	FromServers bool     `default:"true" help:"Ask time servers (NTP). A private network asks only those named in servers."`
	Servers     []string `help:"Names or addresses of the time servers, with a port unless it is 123. At least two must agree, so name three or more. Empty for four of pool.ntp.org."`
	FromPeers   bool     `default:"true" help:"Compare clocks with peers: five or more, of different networks, of which most agree."`
}

// public are the time servers of a router that was told none.
var public = []string{"0.pool.ntp.org", "1.pool.ntp.org", "2.pool.ntp.org", "3.pool.ntp.org"}

const (
	// maxServers is how many servers are asked at most.
	maxServers = 16
	// watchEvery is how often the clock is looked at.
	watchEvery = 3 * time.Second
	// Servers are asked every hour or so, and while the clock still has to be
	// moved, as often as is polite.
	askEvery, askSpread = time.Hour, 10 * time.Minute
	askAgain            = 70 * time.Second
	// Without an answer they are asked again after growing pauses.
	firstPause, longestPause = 5 * time.Second, 15 * time.Minute
	// refusedFor is how long a server is left alone that said so.
	refusedFor = 24 * time.Hour
	// answerLife is for how long an answer counts.
	answerLife = 2 * time.Hour
)

// Wiring is what a Clock works with.
type Wiring struct {
	// Dialer asks the servers and resolves their names: it decides from which
	// address or interface.
	Dialer net.Dialer
	// Private is a network of one's own, which asks no public servers.
	Private bool
	// Peers tells how far the clocks of peers are ahead of the network time as
	// it stands, one for each network.
	Peers func() []time.Duration
	// Adjust sets what is added to the system's clock. That moves the network
	// time by another duration, zero when it follows the system's clock back.
	Adjust func(offset, moved time.Duration)
	// Jumped tells that the network time has gone on by so much while nothing
	// ran, or is now another one: what was known of peers' clocks is void.
	Jumped func(by time.Duration)
	Log    *slog.Logger
}

// Clock keeps the time of one router.
type Clock struct {
	cfg     Config
	w       Wiring
	m       machine
	ctx     context.Context
	stop    context.CancelFunc
	done    sync.WaitGroup
	answers chan []answer
	poke    chan struct{}
	settled chan struct{}
	settle  sync.Once

	mu     sync.Mutex
	status Status

	// The rest belongs to the loop.
	last    reading
	offset  time.Duration // added to the system's clock
	course  course
	servers []server
	asking  bool
	stale   bool          // answers under way are of no use
	due     time.Duration // uptime at which servers are asked again
	pause   time.Duration
}

// server is one time server and its last answer.
type server struct {
	name string
	answer
	at    time.Duration // uptime of the answer
	after time.Duration // uptime from which it may be asked
}

// Start begins to keep the time. Close ends it.
func Start(cfg Config, w Wiring) *Clock {
	return start(cfg, w, &system{dialer: w.Dialer, began: time.Now()})
}

func start(cfg Config, w Wiring, m machine) *Clock {
	names := slices.Compact(slices.Sorted(slices.Values(cfg.Servers)))
	if len(names) == 0 && !w.Private {
		names = public
	}
	if !cfg.FromServers {
		names = nil
	}
	if w.Log == nil {
		w.Log = slog.New(slog.DiscardHandler)
	}
	c := &Clock{
		cfg: cfg, w: w, m: m,
		answers: make(chan []answer, 1),
		poke:    make(chan struct{}, 1),
		settled: make(chan struct{}),
		pause:   firstPause,
		last:    m.read(),
	}
	for _, name := range names[:min(len(names), maxServers)] {
		c.servers = append(c.servers, server{name: name})
	}
	c.due = c.last.uptime()
	c.course.built = m.built()
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.ask()
	c.judge()
	c.done.Go(c.run)
	return c
}

// Settled is closed as soon as the time is known, or the servers have been
// asked in vain, a few seconds after the start at most: what needs the time,
// such as TLS, waits for it.
func (c *Clock) Settled() <-chan struct{} { return c.settled }

// Check asks the servers again soon: the network may be another one.
func (c *Clock) Check() {
	select {
	case c.poke <- struct{}{}:
	default: // asked for already
	}
}

// Close ends it. The clock stays as it was set.
func (c *Clock) Close() {
	c.stop()
	c.done.Wait()
}

// run is the one goroutine that moves the clock.
func (c *Clock) run() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		c.ask()
		select {
		case <-c.ctx.Done():
			return
		case all := <-c.answers:
			c.heard(all)
		case <-c.poke:
			c.due, c.pause = c.last.uptime(), firstPause
		case <-tick.C:
			c.watch()
		}
		c.judge()
	}
}

// ask asks the servers if it is time, each at once.
func (c *Clock) ask() {
	now := c.last.uptime()
	if c.asking || now < c.due {
		return
	}
	var names []string
	for _, s := range c.servers {
		if now >= s.after {
			names = append(names, s.name)
		}
	}
	if len(names) == 0 {
		return
	}
	c.asking = true
	c.done.Go(func() {
		all := make([]answer, len(names))
		var each sync.WaitGroup
		for i, name := range names {
			each.Go(func() { all[i] = c.m.ask(c.ctx, name) })
		}
		each.Wait()
		c.answers <- all
	})
}

// heard takes the answers of a round.
func (c *Clock) heard(all []answer) {
	c.asking = false
	if c.stale {
		c.stale = false
		return
	}
	now := c.last.uptime()
	good := 0
	for _, a := range all {
		i := slices.IndexFunc(c.servers, func(s server) bool { return s.name == a.name })
		s := &c.servers[i]
		switch s.err = a.err; {
		case a.err == nil:
			s.answer, s.at = a, now
			good++
		case a.goAway:
			s.after = now + refusedFor
		}
	}
	if good >= minServers || good == len(all) {
		c.pause = firstPause
		c.due = now + askEvery - askSpread + rand.N(2*askSpread)
		return
	}
	c.due = now + c.pause + rand.N(c.pause/4)
	c.pause = min(2*c.pause, longestPause)
}

// evidence is what all witnesses say now.
func (c *Clock) evidence() evidence {
	e := evidence{now: c.last.wall.Add(c.offset), uptime: c.last.uptime()}
	seen := map[string]bool{}
	for _, s := range c.servers {
		// Two names may lead to one server.
		if s.heardFrom != "" && c.last.uptime()-s.at < answerLife && !seen[s.heardFrom] {
			seen[s.heardFrom] = true
			e.servers = append(e.servers, s.ahead-c.offset)
		}
	}
	if c.cfg.FromPeers {
		e.peers = c.w.Peers()
	}
	return e
}

// judge weighs the evidence and moves the clock. For the first time it waits
// for what the servers say.
func (c *Clock) judge() {
	if c.asking && !c.course.confirmed {
		return
	}
	e := c.evidence()
	f := c.course.decide(e)
	if f.step != 0 {
		c.adjust(f.step)
		c.w.Log.Info("clock moved", "by", f.step, "source", f.source)
		if f.step.Abs() > leastJump {
			c.w.Jumped(f.step)
		}
	}
	if f.more && !c.asking {
		c.due = min(c.due, c.last.uptime()+askAgain)
	}
	c.report(e, f)
}

// adjust moves the network time.
func (c *Clock) adjust(by time.Duration) {
	c.offset += by
	c.w.Adjust(c.offset, by)
}
