package transport

import (
	"net/netip"
	"time"

	"allium/internal/data"
	"allium/internal/transport/block"
	"allium/internal/transport/ntcp2"
)

const (
	// evictable is how long a session must have been idle to make room for one
	// that comes in. What is busy is not given up for somebody who may have
	// come for just that; only our own dials may.
	evictable = 15 * time.Second
	// The sessions that come in from one subnet are at most this share of all,
	// but a few at least.
	subnetShare = 64
	subnetLeast = 8
	// maxSpares is how many sessions a peer may have beside the one we send
	// through when it begins another.
	maxSpares = 3
	// The bits of a subnet: what one customer can easily have.
	subnetBits4, subnetBits6 = 24, 48
)

// subnetOf is what inbound sessions are counted by.
func subnetOf(a netip.Addr) netip.Prefix { return prefixOf(a, subnetBits4, subnetBits6) }

func prefixOf(a netip.Addr, bits4, bits6 int) netip.Prefix {
	bits := bits6
	if a.Is4() {
		bits = bits4
	}
	// It only fails for bits that no address has.
	p, _ := a.Prefix(bits)
	return p
}

// admit gives the reason to refuse a peer that has dialled us, or Unspecified
// to take it. A peer that takes the place of its own session needs no room.
func (t *Transport) admit(now time.Time, peer data.Hash, from netip.Addr) block.Reason {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.closed {
		return block.RouterShutdown
	}
	_, again := t.table.peers[peer]
	full := again && len(t.table.spares[peer]) >= maxSpares ||
		!again && (t.crowded(from) || !t.hasRoom(now))
	if full {
		t.stats.refused.Add(1)
		// Banned would make Java routers ban us, too.
		return block.ConnectionLimits
	}
	return block.Unspecified
}

// crowded tells whether too many sessions come in from one subnet already.
func (t *Transport) crowded(from netip.Addr) bool {
	most := max(t.cfg.MaxSessions/subnetShare, subnetLeast)
	return !t.cfg.AllowPrivate && t.table.subnets[subnetOf(from)] >= most
}

// hasRoom tells whether there may be one more session, or one can be closed
// for it.
func (t *Transport) hasRoom(now time.Time) bool {
	if t.table.count < t.cfg.MaxSessions {
		return true
	}
	for s, st := range t.table.all {
		if !st.over && now.Sub(s.LastActive()) >= evictable {
			return true
		}
	}
	return false
}

// evict gives up a session when there are too many with the newest, and
// returns it to be closed.
func (t *Transport) evict(newest *standing) *ntcp2.Session {
	if t.table.count <= t.cfg.MaxSessions {
		return nil
	}
	var worst *standing
	for _, st := range t.table.all {
		if !st.over && st != newest && (worst == nil || t.worse(st, worst)) {
			worst = st
		}
	}
	if worst == nil {
		return nil
	}
	t.table.release(worst)
	return worst.session
}

// worse tells which of two sessions is given up rather: one that is only
// listened to, or else the one that has been idle longer.
func (t *Transport) worse(a, b *standing) bool {
	if spare := t.table.spare(a); spare != t.table.spare(b) {
		return spare
	}
	if at, bt := a.session.LastActive(), b.session.LastActive(); !at.Equal(bt) {
		return at.Before(bt)
	}
	return compareSessions(a.session, b.session) < 0
}

// Subnet is the network that a peer with a session is in, which somebody can
// easily have many addresses of: the first 16 bits of its IPv4 address or 32 of
// its IPv6 address. It is the zero Prefix without a session, and where private
// addresses are used, as routers of one subnet are nothing special there.
func (t *Transport) Subnet(peer data.Hash) netip.Prefix {
	s := t.session(peer)
	if s == nil || t.cfg.AllowPrivate {
		return netip.Prefix{}
	}
	return networkOf(s.Remote().Addr())
}
