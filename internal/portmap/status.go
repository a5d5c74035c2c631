package portmap

import (
	"net/netip"
	"slices"
	"time"
)

// Status is what became of asking.
type Status struct {
	// Ports are the mappings that stand.
	Ports []Port
	// Tried is how the last search for a gateway went, in its order, and when.
	Tried []Attempt
	At    time.Time
}

// Port is one that a gateway passes on.
type Port struct {
	Protocol        Protocol
	Local, External netip.AddrPort
	Method          string
}

// Attempt is one gateway in one language; Err is nil for the one that worked.
type Attempt struct {
	Method string
	Err    error
}

// Status tells how it is.
func (m *Mapper) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.status
	s.Ports, s.Tried = slices.Clone(s.Ports), slices.Clone(s.Tried)
	return s
}

// reportHeld keeps what is mapped for readers.
func (m *Mapper) reportHeld() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Ports = nil
	for _, h := range m.held {
		m.status.Ports = append(m.status.Ports, Port{h.protocol, h.local, h.external, m.way.String()})
	}
}

// reportTried keeps how a search went.
func (m *Mapper) reportTried(tried []Attempt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Tried, m.status.At = tried, time.Now()
}
