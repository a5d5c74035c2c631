package transport

import (
	"net/netip"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/transport/ntcp2"
)

// Source is how we come to know an address of ours.
type Source string

// The sources, the surest first.
const (
	// SourceSettings: the operator says so.
	SourceSettings Source = "settings"
	// SourceListen: it is what we listen on.
	SourceListen Source = "listen"
	// SourceSessions: sessions with several peers of different networks end at
	// it on this machine.
	SourceSessions Source = "sessions"
	// SourceMapped: a gateway forwards the port.
	SourceMapped Source = "mapped"
)

// State is whether others can connect to us over a family.
type State string

// The states.
const (
	// Unused: we do not listen, or the machine has no such address.
	Unused State = "unused"
	// Unknown: an address is published, and nobody has come yet.
	Unknown State = "unknown"
	// Reachable: peers have connected to the published address of late.
	Reachable State = "reachable"
	// Firewalled: there is no address to publish, or nobody came to it.
	Firewalled State = "firewalled"
)

const (
	// stillReachable is how long after the last peer that came we count as
	// reachable.
	stillReachable = 3 * time.Hour
	// doubtAfter is how long nobody may come to an address before we take it
	// for firewalled, though we have doubtSessions sessions. After retryAfter
	// it is published again, twice as long each further time, to retryMost.
	doubtAfter    = time.Hour
	doubtSessions = 10
	retryAfter    = 6 * time.Hour
	retryMost     = 48 * time.Hour
)

// external is what we know of our address of one family. Transport.mu guards
// it.
type external struct {
	votes votes
	// mapped is what a gateway forwards to the port inner here.
	mapped netip.AddrPort
	inner  uint16

	// What is published now: the address, how we know it, and since when.
	at     netip.AddrPort
	source Source
	since  time.Time

	inbound uint64    // peers that came to it
	proof   time.Time // when the last did
	// Nobody came for long: until then nothing is published.
	shut  time.Time
	pause time.Duration
	// Peers sent us away because of the address, in a row: likewise.
	refusals votes
	disowned time.Time
}

// Reachability is what we know of whether others can connect to us over one
// family, and how.
type Reachability struct {
	Family Family
	State  State
	// Address is what is published, and Source how it is known. Agree is how
	// many peers of different networks have sessions that end at it.
	Address netip.AddrPort
	Source  Source
	Since   time.Time
	Agree   int
	// Inbound counts the peers that came, Last is when the last one did.
	Inbound uint64
	Last    time.Time
}

// outer is the address others reach a listener at, if one is published, and
// how it is known. The lock is held.
func (t *Transport) outer(now time.Time, bound netip.AddrPort) (at netip.AddrPort, source Source) {
	f := familyOf(bound.Addr())
	e := &t.external[f]
	if !t.cfg.Publish || now.Before(e.shut) || now.Before(e.disowned) {
		return at, ""
	}
	for _, configured := range t.cfg.Hosts {
		if familyOf(configured) == f {
			return netip.AddrPortFrom(configured, bound.Port()), SourceSettings
		}
	}
	switch winner, _ := e.votes.winner(now); {
	case !bound.Addr().IsUnspecified() && t.takes(bound.Addr()):
		return bound, SourceListen
	case bound.Addr().IsUnspecified() && winner.IsValid() && data.PublishablePort(bound.Port()):
		return netip.AddrPortFrom(winner, bound.Port()), SourceSessions
	case e.mapped.IsValid() && e.inner == bound.Port():
		return e.mapped, SourceMapped
	}
	return at, ""
}

// takes tells an address that others could connect to.
func (t *Transport) takes(a netip.Addr) bool { return t.cfg.AllowPrivate || data.Routable(a) }

// Mapped tells that a gateway forwards external to local, or with a zero
// external that it does so no longer.
func (t *Transport) Mapped(r *host.Round, local, external netip.AddrPort) {
	external = netip.AddrPortFrom(external.Addr().Unmap(), external.Port())
	usable := external.IsValid() && t.takes(external.Addr()) && (t.cfg.AllowPrivate || data.PublishablePort(external.Port()))
	f := familyOf(local.Addr().Unmap())
	if usable {
		f = familyOf(external.Addr())
	}
	t.mu.Lock()
	e := &t.external[f]
	if !usable {
		external = netip.AddrPort{}
	}
	if e.mapped != external {
		e.shut, e.disowned, e.refusals = time.Time{}, time.Time{}, nil
	}
	e.mapped, e.inner = external, local.Port()
	t.mu.Unlock()
	t.Review(r)
}

// Review looks again at what we know of our addresses. What has come of it is
// told with Handler.Readdressed.
func (t *Transport) Review(r *host.Round) {
	t.mu.Lock()
	t.doubt(r.Now)
	changed := t.situate(r.Now)
	if sum := t.sum(r.Now); sum != t.told {
		t.told, changed = sum, true
	}
	t.mu.Unlock()
	if changed {
		t.up.Readdressed(r)
	}
}

// doubt gives up addresses that nobody comes to. The lock is held.
func (t *Transport) doubt(now time.Time) {
	for f := range t.external {
		e := &t.external[f]
		waited := now.Sub(latest(e.since, e.proof))
		switch {
		case t.cfg.AllowPrivate || !e.at.IsValid() || e.source == SourceSettings:
		case !e.proof.IsZero() && waited < stillReachable:
		case waited < doubtAfter || t.table.count < doubtSessions:
		default:
			e.pause = min(max(2*e.pause, retryAfter), retryMost)
			e.shut = now.Add(e.pause)
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// witness notes what a session that has just been established says of our own
// address. It reports whether there is something to review. The lock is held.
func (t *Transport) witness(now time.Time, s *ntcp2.Session) bool {
	local, remote := s.Local().Addr().Unmap(), s.Remote().Addr()
	if !local.IsValid() || t.cfg.AllowPrivate {
		return false
	}
	f := familyOf(local)
	e := &t.external[f]
	review := false
	if s.Inbound() && data.Routable(remote) {
		review = e.proof.IsZero() || now.Sub(e.proof) > stillReachable
		e.inbound++
		e.proof, e.pause, e.shut = now, 0, time.Time{}
	}
	if data.Routable(local) && data.Routable(remote) {
		before, _ := e.votes.winner(now)
		e.votes.add(vote{s.Peer(), networkOf(remote), local, now})
		after, _ := e.votes.winner(now)
		review = review || before != after
	}
	return review
}

// strayedVotes drops what speaks for addresses the machine no longer has. The
// lock is held.
func (t *Transport) strayedVotes() {
	for f := range t.external {
		e := &t.external[f]
		e.votes = e.votes.without(func(a netip.Addr) bool { return strayed(a, t.here.addrs) })
	}
}

// state is whether others can connect to us over a family. The lock is held.
func (t *Transport) state(now time.Time, f Family) State {
	e := &t.external[f]
	switch {
	case !t.listens(f) || !t.here.has(f, t.cfg.AllowPrivate):
		return Unused
	case !e.at.IsValid():
		return Firewalled
	case t.cfg.AllowPrivate, !e.proof.IsZero() && !e.proof.Before(e.since) && now.Sub(e.proof) < stillReachable:
		return Reachable
	}
	return Unknown
}

// Reachability is what we know of whether others can connect to us, for each
// family.
func (t *Transport) Reachability(now time.Time) []Reachability {
	t.mu.RLock()
	defer t.mu.RUnlock()
	all := make([]Reachability, families)
	for f := range all {
		e := &t.external[f]
		all[f] = Reachability{
			Family: Family(f), State: t.state(now, Family(f)), Address: e.at, Source: e.source, Since: e.since,
			Agree: e.votes.count(now, e.at.Addr()), Inbound: e.inbound, Last: e.proof,
		}
	}
	return all
}

// Reached sums it up for our RouterInfo: whether others can connect to us in
// some family, or in none at all. Both are false while that is not known.
func (t *Transport) Reached(now time.Time) (reachable, unreachable bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	sum := t.sum(now)
	return sum == Reachable, sum == Firewalled
}

// sum is the state of all families together. The lock is held.
func (t *Transport) sum(now time.Time) State {
	sum := Firewalled
	for f := range families {
		switch t.state(now, f) {
		case Reachable:
			return Reachable
		case Unknown:
			sum = Unknown
		}
	}
	return sum
}

// settle notes what is published for a family from now on. The lock is held.
func (e *external) settle(now time.Time, at netip.AddrPort, source Source) {
	if e.at != at {
		e.since = now
		e.inbound, e.proof = 0, time.Time{}
	}
	e.at, e.source = at, source
}
