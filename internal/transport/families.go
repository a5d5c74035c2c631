package transport

import (
	"net/netip"
	"slices"
	"time"

	"allium/internal/data"
)

// Family is a kind of IP address.
type Family uint8

// The families.
const (
	IPv4 Family = iota
	IPv6
	families
)

// String is the name of the family.
func (f Family) String() string { return [...]string{"ipv4", "ipv6"}[f] }

// familyOf is the family of an address.
func familyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

const (
	// After deadEnds peers in a row that could not be reached over one family,
	// while one was over the other, it is left alone for so long, twice as
	// long each further time.
	deadEnds    = 6
	familyRest  = time.Minute
	familyRests = time.Hour
	// provenFor is how long a session shows that a family leads somewhere.
	provenFor = time.Hour
)

// way is how dialling over one family goes. What a machine's addresses
// promise need not be true, so it is learned.
type way struct {
	misses int       // in a row
	reach  time.Time // when a session was last made
	pause  time.Duration
	until  time.Time
}

// reached notes a session that was dialled.
func (w *way) reached(now time.Time) { *w = way{reach: now} }

// missed notes a peer that was not reached. other is how the other family
// goes.
func (w *way) missed(now time.Time, other *way) {
	w.misses++
	if w.misses < deadEnds || !other.proven(now) {
		return
	}
	w.pause = min(max(2*w.pause, familyRest), familyRests)
	w.until = now.Add(w.pause)
}

// rests tells a family that is left alone.
func (w *way) rests(now time.Time) bool { return now.Before(w.until) }

// proven tells that sessions have been made of late.
func (w *way) proven(now time.Time) bool {
	return !w.reach.IsZero() && now.Sub(w.reach) < provenFor && w.misses < deadEnds
}

// here is what is known of this machine, guarded by Transport.mu.
type here struct {
	addrs []netip.Addr // those it has; nil if it does not tell
	ways  [families]way
}

// has tells whether the machine has an address that can reach others of a
// family: in public one that is routable, for IPv4 any behind a gateway too.
func (h *here) has(f Family, private bool) bool {
	if len(h.addrs) == 0 {
		return true
	}
	return slices.ContainsFunc(h.addrs, func(a netip.Addr) bool {
		switch {
		case familyOf(a) != f || data.Overlay(a):
			return false
		case private:
			return true
		case f == IPv6:
			return data.Routable(a)
		}
		return !a.IsLoopback()
	})
}

// open tells whether others are dialled over a family at now. The lock is
// held.
func (t *Transport) open(now time.Time, f Family) bool {
	return t.listens(f) && t.here.has(f, t.cfg.AllowPrivate) && !t.here.ways[f].rests(now)
}

// listens tells whether we are there for a family at all. Without any
// listener it is IPv4.
func (t *Transport) listens(f Family) bool {
	if len(t.listeners) == 0 {
		return f == IPv4
	}
	for _, l := range t.listeners {
		if familyOf(l.Addr().Addr()) == f {
			return true
		}
	}
	return false
}

// Families tells over which kinds of address others are dialled now.
func (t *Transport) Families(now time.Time) (v4, v6 bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.open(now, IPv4), t.open(now, IPv6)
}

// rank orders addresses a peer likes as well: IPv6 goes first where it is
// known to work, as most systems have it, and else last.
func (t *Transport) rank(now time.Time, f Family) int {
	if f == IPv6 && !t.here.ways[IPv6].proven(now) {
		return int(families)
	}
	return int(families) - int(f) - 1
}
