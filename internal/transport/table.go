package transport

import (
	"net/netip"
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/transport/ntcp2"
)

const (
	// crossing is how long after one session another can stand that was
	// dialled before the peer knew of it: what connecting and a handshake take
	// at most, and some latency.
	crossing = 30 * time.Second
	// listenOn is how long a session that lost against another is still
	// listened to before it is closed: what the peer sent through it before it
	// knew is under way.
	listenOn = 5 * time.Second
)

// table is all established sessions. Transport.mu guards it.
type table struct {
	self data.Hash

	// peers is the session to send through to each peer: the one thing that
	// every message needs.
	peers map[data.Hash]*ntcp2.Session
	// spares are the other sessions with a peer, the newest last.
	spares map[data.Hash][]*standing
	// all are these and the ones that are ending.
	all map[*ntcp2.Session]*standing

	// Of all but those that are ending.
	count, inbound int
	subnets        map[netip.Prefix]int // inbound ones by where they come from
}

// standing is an established session.
type standing struct {
	session *ntcp2.Session
	peer    data.Hash
	since   time.Time
	heard   bool // the peer has sent its RouterInfo
	over    bool // it is ending
}

func newTable(self data.Hash) table {
	return table{
		self:    self,
		peers:   make(map[data.Hash]*ntcp2.Session),
		spares:  make(map[data.Hash][]*standing),
		all:     make(map[*ntcp2.Session]*standing),
		subnets: make(map[netip.Prefix]int),
	}
}

// add adds a session that has just been established. When there was one with
// the peer, loser is the one of them that becomes a spare.
func (t *table) add(now time.Time, peer data.Hash, s *ntcp2.Session) (st, loser *standing) {
	st = &standing{session: s, peer: peer, since: now}
	loser = t.all[t.peers[peer]]
	t.all[s] = st
	t.count++
	if s.Inbound() {
		t.inbound++
		t.subnets[subnetOf(s.Remote().Addr())]++
	}
	if loser != nil && !t.replaces(loser, st) {
		loser = st
	} else {
		t.peers[peer] = s
	}
	if loser != nil {
		t.spares[peer] = append(t.spares[peer], loser)
	}
	return st, loser
}

// replaces tells whether a new session takes the place of an old one. If both
// ends have dialled at once, the one that the smaller hash dialled stays; else
// the peer no longer has the old one.
func (t *table) replaces(old, st *standing) bool {
	if old.session.Inbound() == st.session.Inbound() || st.since.Sub(old.since) > crossing {
		return true
	}
	smaller := t.self.Compare(st.peer) < 0
	return st.session.Inbound() != smaller
}

// release gives up a session that is ending. The newest spare takes its place.
func (t *table) release(st *standing) {
	if st.over {
		return
	}
	st.over = true
	t.count--
	if st.session.Inbound() {
		t.inbound--
		decrement(t.subnets, subnetOf(st.session.Remote().Addr()))
	}
	spares := slices.DeleteFunc(t.spares[st.peer], func(o *standing) bool { return o == st })
	if t.peers[st.peer] == st.session {
		delete(t.peers, st.peer)
		if last := len(spares) - 1; last >= 0 {
			t.peers[st.peer] = spares[last].session
			spares = spares[:last]
		}
	}
	if len(spares) == 0 {
		delete(t.spares, st.peer)
		return
	}
	t.spares[st.peer] = spares
}

// remove forgets a session that is gone, and returns it if it was there.
func (t *table) remove(s *ntcp2.Session) *standing {
	st := t.all[s]
	if st != nil {
		t.release(st)
		delete(t.all, s)
	}
	return st
}

// spare tells whether a session is only listened to.
func (t *table) spare(st *standing) bool { return !st.over && t.peers[st.peer] != st.session }

// decrement takes one away, and the key with the last.
func decrement(counts map[netip.Prefix]int, key netip.Prefix) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}
