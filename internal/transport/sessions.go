package transport

import (
	"errors"
	"net/netip"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/transport/block"
	"allium/internal/transport/ntcp2"
)

// verdict is how long a peer may take to refuse us after the handshake.
const verdict = 10 * time.Second

// sessions is the Transport as its sessions see it.
type sessions struct{ t *Transport }

var _ ntcp2.Handler = sessions{}

// CheckPeer implements ntcp2.Handler.
func (x sessions) CheckPeer(now time.Time, ri *data.RouterInfo, remote netip.AddrPort, inbound bool) block.Reason {
	t, peer := x.t, ri.Hash()
	switch {
	case peer == t.self.Hash || t.up.Banned(now, peer):
		return block.Banned
	case inbound:
		return t.admit(now, peer, remote.Addr())
	}
	return block.Unspecified
}

// Established implements ntcp2.Handler: the session becomes the one to send
// through, unless it lost against one dialled at the same time.
func (x sessions) Established(r *host.Round, s *ntcp2.Session) {
	t, peer := x.t, s.Peer()
	t.hear(r)
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		s.Close(r, block.RouterShutdown)
		return
	}
	var late []parcel
	if d := t.dials[peer]; d != nil {
		late = d.waiting.take()
	}
	if s.Inbound() {
		t.stats.accepted.Add(1)
		delete(t.resting, peer)
	} else {
		delete(t.dials, peer)
		t.here.ways[familyOf(s.Remote().Addr())].reached(r.Now)
	}
	st, loser := t.table.add(r.Now, peer, s)
	evicted := t.evict(st)
	review := t.witness(r.Now, s)
	t.mu.Unlock()
	if review {
		t.Review(r)
	}

	t.deliver(r, peer, late)
	if loser != nil {
		t.h.AfterFunc(listenOn, func(r *host.Round) { t.dismiss(r, loser) })
	}
	if evicted != nil {
		t.stats.evicted.Add(1)
		evicted.Close(r, block.IdleTimeout)
	}
	if s.Inbound() {
		t.up.RouterInfo(r, s.RouterInfo(), false)
	}
	if loser != st {
		t.up.Connected(r, peer)
	}
}

// deliver sends what has waited for a session.
func (t *Transport) deliver(r *host.Round, peer data.Hash, late []parcel) {
	for _, p := range late {
		if p.stale(r.Now, t.cfg.NTCP2.QueueAge) || t.Send(r, peer, p.m, p.c) != nil {
			t.stats.dropped.Add(1)
		}
	}
}

// dismiss closes a session that was listened to long enough, unless it had to
// take the place of the other one.
func (t *Transport) dismiss(r *host.Round, st *standing) {
	t.mu.Lock()
	spare := t.table.spare(st)
	if spare {
		t.table.release(st)
	}
	t.mu.Unlock()
	if spare {
		st.session.Close(r, block.Unspecified)
	}
}

// Message implements ntcp2.Handler.
func (x sessions) Message(r *host.Round, s *ntcp2.Session, m i2np.Message) bandwidth.Class {
	x.t.hear(r)
	return x.t.up.Message(r, s.Peer(), m)
}

// RouterInfo implements ntcp2.Handler.
func (x sessions) RouterInfo(r *host.Round, s *ntcp2.Session, ri *data.RouterInfo, flood bool) {
	t := x.t
	t.mu.Lock()
	if st := t.table.all[s]; st != nil {
		st.heard = true
	}
	t.mu.Unlock()
	t.up.RouterInfo(r, ri, flood)
}

// ClockSkew implements ntcp2.Handler.
func (x sessions) ClockSkew(r *host.Round, peer data.Hash, remote netip.AddrPort, ahead time.Duration) {
	if peer.IsZero() {
		return
	}
	var network netip.Prefix
	if !x.t.cfg.AllowPrivate {
		network = networkOf(remote.Addr())
	}
	x.t.skews.add(skew{peer, network, ahead, r.Now})
}

// Closed implements ntcp2.Handler.
func (x sessions) Closed(r *host.Round, s *ntcp2.Session, err error) {
	t, peer := x.t, s.Peer()
	if errors.Is(err, host.ErrTimeout) && !s.LastHeard().IsZero() {
		t.outage.miss(r.Now)
	}
	t.mu.Lock()
	st := t.table.remove(s)
	refused, disowned := st != nil && t.refused(r.Now, st, err), false
	if st != nil {
		t.ended[end(err)]++
	}
	switch {
	case refused:
		t.resting.add(r.Now, s.RouterInfo(), err)
		disowned = t.refusedFor(r.Now, s, err)
	case st != nil:
		delete(t.resting, peer)
	}
	t.mu.Unlock()
	if disowned {
		t.Review(r)
	}
	switch {
	case refused:
		t.stats.failed.Add(1)
		t.up.Failed(r, peer, err)
	case st == nil && !s.Inbound():
		t.missed(r, peer, err)
	}
}

// refused tells whether a session that ended with cause never was one: for
// whoever dials it stands before the peer has said whether it wants us.
func (t *Transport) refused(now time.Time, st *standing, cause error) bool {
	s := st.session
	if s.Inbound() || st.heard || t.closed || t.table.peers[st.peer] != nil || now.Sub(st.since) > verdict {
		return false
	}
	var told *ntcp2.Termination
	byUs := errors.As(cause, &told) && !told.ByPeer || errors.Is(cause, host.ErrClosed)
	return !byUs && s.Counters().In.Messages == 0
}

// Refused implements ntcp2.Handler: there is no one to tell.
func (x sessions) Refused(*host.Round, netip.AddrPort, error) {}
