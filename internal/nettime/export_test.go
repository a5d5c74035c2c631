package nettime

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Evidence and Weigh show decide to tests: uptime and times are as there.
type Evidence struct {
	Uptime         time.Duration
	Servers, Peers []time.Duration
}

// Finding is a finding.
type Finding struct {
	Step   time.Duration
	Source Source
	Reason Reason
}

// Course is a course of a program made at some time.
type Course struct{ c course }

// NewCourse begins one.
func NewCourse(built time.Time) *Course { return &Course{course{built: built}} }

// Decide decides with a clock that stands at now.
func (c *Course) Decide(now time.Time, e Evidence) Finding {
	f := c.c.decide(evidence{now: now, uptime: e.Uptime, servers: e.Servers, peers: e.Peers})
	return Finding{f.step, f.source, f.reason}
}

// ErrAsked is what silent servers of a Machine answer.
var ErrAsked = errors.New("no answer")

// Machine is a machine whose clocks and servers tests move. Its true time is
// that of package time.
type Machine struct {
	Built time.Time

	mu      sync.Mutex
	began   time.Time
	slept   time.Duration
	wrong   time.Duration // how far the system's clock is ahead
	noBoot  bool
	servers map[string]func() (time.Duration, error)
	asked   map[string]int
}

// NewMachine is a machine whose clock is ahead of the true time by wrong.
func NewMachine(wrong time.Duration) *Machine {
	return &Machine{
		Built: time.Now().Add(-time.Hour), began: time.Now(), wrong: wrong,
		servers: map[string]func() (time.Duration, error){}, asked: map[string]int{},
	}
}

// Server adds a server that is ahead of the true time, or fails.
func (m *Machine) Server(name string, f func() (ahead time.Duration, err error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.servers[name] = f
}

// Set sets the system's clock ahead.
func (m *Machine) Set(by time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wrong += by
}

// Slept makes the machine have slept: call it after time has passed.
func (m *Machine) Slept(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slept += d
}

// HideBoot makes it a system that does not count sleep.
func (m *Machine) HideBoot() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.noBoot = true
}

// Asked is how often a server was asked.
func (m *Machine) Asked(name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked[name]
}

// Wrong is how far the system's clock is ahead of the true time.
func (m *Machine) Wrong() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wrong
}

func (m *Machine) read() reading {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	boot := now.Sub(m.began)
	r := reading{wall: now.Round(0).Add(m.wrong), awake: boot - m.slept, boot: boot}
	if m.noBoot {
		r.boot = -1
	}
	return r
}

func (m *Machine) built() time.Time { return m.Built }

func (m *Machine) ask(ctx context.Context, name string) answer {
	m.mu.Lock()
	f := m.servers[name]
	m.asked[name]++
	wrong := m.wrong
	m.mu.Unlock()
	a := answer{name: name, err: ErrAsked}
	if f == nil {
		select {
		case <-ctx.Done():
		case <-time.After(askTimeout):
		}
		return a
	}
	var ahead time.Duration
	if ahead, a.err = f(); a.err == nil {
		a.heardFrom, a.ahead = name, ahead-wrong
	}
	a.goAway = errors.Is(a.err, ErrGoAway)
	return a
}

// ErrGoAway is what servers answer that do not want to be asked.
var ErrGoAway = errors.New("go away")

// StartOn starts a Clock on a machine of the test.
func StartOn(m *Machine, cfg Config, w Wiring) *Clock { return start(cfg, w, m) }

// Ask asks a real server.
func Ask(ctx context.Context, d net.Dialer, name string) (from string, ahead time.Duration, goAway bool, err error) {
	a := (&system{dialer: d, began: time.Now()}).ask(ctx, name)
	return a.heardFrom, a.ahead, a.goAway, a.err
}

// ReadClocks reads the real clocks.
func ReadClocks() (wall time.Time, awake, boot time.Duration) {
	r := (&system{began: time.Now()}).read()
	return r.wall, r.awake, r.boot
}

// BuiltAt is when this very program was made.
func BuiltAt() time.Time { return (&system{}).built() }
