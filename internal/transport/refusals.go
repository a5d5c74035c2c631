package transport

import (
	"errors"
	"slices"
	"time"

	"allium/internal/transport/block"
	"allium/internal/transport/ntcp2"
)

const (
	// After leastRefusals peers of different networks in a row have sent us
	// away, none having taken us meanwhile, an address that is not this
	// machine's own is believed no longer, for refusalRest. Peers do so when
	// they see us come from elsewhere than our RouterInfo says, and some of
	// them for hours to come.
	leastRefusals = 3
	refusalRest   = time.Hour
)

// refusedFor notes why a peer has refused us. It reports whether our address
// is not to be published any more. The lock is held.
func (t *Transport) refusedFor(now time.Time, s *ntcp2.Session, cause error) bool {
	var told *ntcp2.Termination
	if t.cfg.AllowPrivate || !errors.As(cause, &told) || !told.ByPeer || told.Reason != block.Banned {
		return false
	}
	remote := s.Remote().Addr()
	f := familyOf(remote)
	e := &t.external[f]
	if !e.at.IsValid() || slices.Contains(t.here.addrs, e.at.Addr()) {
		return false
	}
	if len(e.refusals) > 0 && t.taken(f, e.refusals[0].at) {
		e.refusals = nil
	}
	e.refusals.add(vote{s.Peer(), networkOf(remote), e.at.Addr(), now})
	if e.refusals.count(now, e.at.Addr()) < leastRefusals {
		return false
	}
	e.refusals, e.disowned = nil, now.Add(refusalRest)
	return true
}

// taken tells that a peer which was dialled over a family since some time has
// us: it has said something, and the session still stands.
func (t *Transport) taken(f Family, since time.Time) bool {
	for s, st := range t.table.all {
		if !s.Inbound() && !st.over && familyOf(s.Remote().Addr()) == f && st.since.After(since) && s.LastHeard().After(st.since) {
			return true
		}
	}
	return false
}
