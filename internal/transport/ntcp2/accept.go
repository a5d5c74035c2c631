package ntcp2

import (
	"net/netip"

	"allium/internal/bandwidth"
	"allium/internal/host"
	"allium/internal/random"
)

// siteBits is the size of an IPv6 network that one host can have for itself.
const siteBits = 64

// Accept takes a connection for host.Host.ListenTCP. It answers only to those
// who know our RouterInfo; the handler hears of it with Established, or with
// Refused, or never when there are too many half-open sessions.
func (e *Endpoint) Accept(_ *host.Round, stream host.Stream) host.StreamHandler {
	remote := stream.Remote()
	origin := originOf(remote.Addr())
	if !e.enterHalfOpen(origin) {
		e.stats.crowded.Add(1)
		return nil
	}
	s := &Session{
		e:        e,
		remote:   remote,
		inbound:  true,
		class:    bandwidth.Control,
		origin:   origin,
		halfOpen: true,
		stream:   stream,
		machine:  newResponder(&e.local, e.obfuscation, e.replays, remote),
	}
	s.place.Enter(link{s})
	// Not always the same time, which a silent prober could tell us by.
	timeout := e.cfg.HandshakeTimeout
	s.schedule(timeout+random.Between(0, timeout/2), s.expire)
	return link{s}
}

// originOf is what half-open sessions are counted by.
func originOf(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	site, err := a.Prefix(siteBits)
	if err != nil {
		return a
	}
	return site.Addr()
}

// enterHalfOpen counts one more half-open session, if it may be.
func (e *Endpoint) enterHalfOpen(origin netip.Addr) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.waiting >= e.cfg.HalfOpen || e.halfOpen[origin] >= e.cfg.HalfOpenPerIP {
		return false
	}
	e.waiting++
	e.halfOpen[origin]++
	return true
}

// leaveHalfOpen takes that back, once.
func (s *Session) leaveHalfOpen() {
	s.mu.Lock()
	counted := s.halfOpen
	s.halfOpen = false
	s.mu.Unlock()
	if !counted {
		return
	}
	e := s.e
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting--
	e.halfOpen[s.origin]--
	if e.halfOpen[s.origin] == 0 {
		delete(e.halfOpen, s.origin)
	}
}
