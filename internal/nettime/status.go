package nettime

import (
	"slices"
	"time"
)

// Status is how well the time is known.
type Status struct {
	// Offset is what is added to the system's clock.
	Offset time.Duration
	// Known tells that somebody confirmed the time since the start or the last
	// sleep, Source who it was that last did, and Checked when.
	Known   bool
	Source  Source
	Checked time.Time
	// Reason is why nobody can confirm it now, empty if somebody does.
	Reason Reason
	// Servers are those asked, Peers how many peers' clocks are known.
	Servers []ServerStatus
	Peers   int
}

// ServerStatus is what came of asking one server.
type ServerStatus struct {
	Name string
	// Ahead is how far it was ahead of the network time, if Err is nil and it
	// answered.
	Ahead    time.Duration
	Answered bool
	Err      error
}

// Status tells how well the time is known.
func (c *Clock) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.status
	s.Servers = slices.Clone(s.Servers)
	return s
}

// report keeps what was found for readers, and settles.
func (c *Clock) report(e evidence, f finding) {
	c.mu.Lock()
	s := &c.status
	before := s.Reason
	s.Offset, s.Known, s.Reason, s.Peers = c.offset, c.course.confirmed, f.reason, len(e.peers)
	if f.source != Nobody {
		s.Source, s.Checked = f.source, e.now.Add(f.step)
	}
	s.Servers = s.Servers[:0]
	for i := range c.servers {
		v := &c.servers[i]
		s.Servers = append(s.Servers, ServerStatus{v.name, v.ahead - c.offset, v.heardFrom != "", v.err})
	}
	c.mu.Unlock()
	if f.reason != before && (f.reason == Disagree || f.reason == Contrary || f.reason == Implausible) {
		c.w.Log.Warn("the time is in doubt", "why", string(f.reason))
	}
	if c.course.confirmed || !c.asking {
		c.settle.Do(func() { close(c.settled) })
	}
}
