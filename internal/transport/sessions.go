package transport

import (
	"net/netip"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/transport/block"
	"allium/internal/transport/ntcp2"
)

// sessions is the Transport as its sessions see it.
type sessions struct{ t *Transport }

var _ ntcp2.Handler = sessions{}

// CheckPeer implements ntcp2.Handler.
func (x sessions) CheckPeer(now time.Time, ri *data.RouterInfo, _ netip.AddrPort, _ bool) block.Reason {
	t := x.t
	if ri.Hash() == t.self.Hash || t.up.Banned(now, ri.Hash()) {
		return block.Banned
	}
	return block.Unspecified
}

// Established implements ntcp2.Handler: the session becomes the one to send
// through, unless it lost against one dialled at the same time.
func (x sessions) Established(r *host.Round, s *ntcp2.Session) {
	t, peer := x.t, s.Peer()
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		s.Close(r, block.RouterShutdown)
		return
	}
	if s.Inbound() {
		t.stats.accepted.Add(1)
	}
	delete(t.resting, peer)
	old := t.peers[peer]
	_, stands := t.all[old]
	t.all[s] = struct{}{}
	loser := old
	switch {
	case old == s || old == nil:
		loser = nil
		t.peers[peer] = s
	case !stands:
		// Our own dial is still under way. It decides when it stands.
		loser = nil
		t.peers[peer] = s
	case t.prefers(old, s):
		loser = s
	default:
		t.peers[peer] = s
	}
	evicted := t.overLimit(s)
	t.mu.Unlock()

	if loser != nil {
		t.h.AfterFunc(listenOn, func(r *host.Round) { loser.Close(r, block.Unspecified) })
	}
	if evicted != nil {
		t.stats.evicted.Add(1)
		evicted.Close(r, block.IdleTimeout)
	}
	if ri := s.RouterInfo(); ri != nil && s.Inbound() {
		t.up.RouterInfo(r, ri, false)
	}
	t.up.Connected(r, peer)
}

// prefers tells whether an old session stays the one to send through when a
// new one stands: if they were dialled from both ends, the one that the
// smaller hash dialled; else the peer has begun anew.
func (t *Transport) prefers(old, s *ntcp2.Session) bool {
	if old.Inbound() == s.Inbound() {
		return false
	}
	smaller := t.self.Hash.Compare(s.Peer()) < 0
	return old.Inbound() != smaller
}

// overLimit returns the session to close when there are too many: the one
// that has been idle longest.
func (t *Transport) overLimit(keep *ntcp2.Session) *ntcp2.Session {
	if len(t.all) <= t.cfg.MaxSessions {
		return nil
	}
	var idlest *ntcp2.Session
	for s := range t.all {
		if s == keep {
			continue
		}
		if idlest == nil || s.LastActive().Before(idlest.LastActive()) ||
			s.LastActive().Equal(idlest.LastActive()) && compareSessions(s, idlest) < 0 {
			idlest = s
		}
	}
	return idlest
}

// Message implements ntcp2.Handler.
func (x sessions) Message(r *host.Round, s *ntcp2.Session, m i2np.Message) {
	x.t.up.Message(r, s.Peer(), m)
}

// RouterInfo implements ntcp2.Handler.
func (x sessions) RouterInfo(r *host.Round, _ *ntcp2.Session, ri *data.RouterInfo, flood bool) {
	x.t.up.RouterInfo(r, ri, flood)
}

// ClockSkew implements ntcp2.Handler.
func (x sessions) ClockSkew(r *host.Round, peer data.Hash, _ netip.AddrPort, skew time.Duration) {
	if !peer.IsZero() {
		x.t.skews.add(r.Now, peer, skew)
	}
}

// Closed implements ntcp2.Handler.
func (x sessions) Closed(r *host.Round, s *ntcp2.Session, err error) {
	t, peer := x.t, s.Peer()
	t.mu.Lock()
	_, stood := t.all[s]
	delete(t.all, s)
	if t.peers[peer] == s {
		delete(t.peers, peer)
		t.adopt(peer)
	}
	failed := !stood && !s.Inbound() && !t.closed
	if failed {
		t.rest(r.Now, peer)
	}
	t.mu.Unlock()
	if failed {
		t.stats.failed.Add(1)
		t.up.Failed(r, peer, err)
	}
}

// adopt sends through another session with the peer, if one still stands.
func (t *Transport) adopt(peer data.Hash) {
	var best *ntcp2.Session
	for s := range t.all {
		if s.Peer() == peer && (best == nil || compareSessions(s, best) < 0) {
			best = s
		}
	}
	if best != nil {
		t.peers[peer] = best
	}
}

// rest leaves a router alone for a while.
func (t *Transport) rest(now time.Time, peer data.Hash) {
	last, again := t.resting[peer]
	pause := firstRest
	if again {
		pause = min(2*last.pause, longRest)
	} else {
		t.restSeen = append(t.restSeen, peer)
		if len(t.restSeen) > maxResting {
			delete(t.resting, t.restSeen[0])
			t.restSeen = t.restSeen[1:]
		}
	}
	t.resting[peer] = rest{until: now.Add(pause), pause: pause}
}

// Refused implements ntcp2.Handler: there is no one to tell.
func (x sessions) Refused(*host.Round, netip.AddrPort, error) {}
