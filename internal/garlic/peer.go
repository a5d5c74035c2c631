package garlic

import (
	"slices"
	"time"

	"allium/internal/x25519"
)

// peer is all that one remote static key has with us.
type peer struct {
	remote x25519.PublicKey

	// sessions that ES can go through, newest first. Old ones are kept for
	// what the peer still sends on them.
	sessions []*session
	// openings are our New Sessions that a reply may come to, oldest first.
	openings []*opening
	// incoming are the peer's New Sessions that are not confirmed, oldest
	// first.
	incoming []*incoming
	// fresh is the newest of incoming if nothing else came from the peer
	// since: it may have lost its sessions.
	fresh *incoming
	// tracked are the deliveries somebody wants to know of, oldest first.
	tracked []tracked

	// owedAt is since when the peer is owed a message, and reminders how
	// often that was told in vain.
	owedAt    time.Time
	reminders int

	links [queues]link
}

const (
	maxSessions  = 16 // with one peer: browsers open several connections at once
	maxOpenings  = 16 // with one peer
	maxIncoming  = 16 // with one peer
	maxTracked   = 64 // with one peer
	maxReminders = 5
)

// opening is a New Session of ours.
type opening struct {
	peer    *peer
	state   handshake // as the New Session left it
	replies *receiveSet
	sent    time.Time
	after   *session // the newest there was, or nil
	// session is what the first reply led to.
	session *session
}

// incoming is a New Session of a peer.
type incoming struct {
	peer     *peer
	state    handshake // as the New Session left it
	tags     chain
	received time.Time
	// sessions are what our replies lead to if the peer takes them.
	sessions []*session
}

const (
	// maxIncomingReplies is how many replies we make to one New Session.
	maxIncomingReplies = 32
	// replyLife is for how long we reply to a New Session. After that the
	// peer does not wait for it, and we begin a session of our own.
	replyLife = time.Minute
)

// replyable reports whether another reply may be made.
func (in *incoming) replyable(now time.Time) bool {
	return in != nil && len(in.sessions) < maxIncomingReplies && now.Sub(in.received) <= replyLife
}

// session is a pair of tag sets. One that a reply of ours proposed is not
// among the sessions of its peer before the peer uses it.
type session struct {
	peer    *peer
	send    sendRatchet
	receive receiveRatchet
	created time.Time
	heard   time.Time // when the last message came on it

	proven     bool        // a message came on it
	owesFirst  bool        // the peer waits for our first message on it
	owesAnswer bool        // the peer waits for our answer to NextKey
	acks       []messageID // owed to the peer

	// unheard is when we sent the first message since the last one came.
	unheard time.Time
	probes  int // how many of those asked for an acknowledgement
	probed  time.Time
}

const (
	maxOwedAcks = 16
	// sendLife is how long a session is sent on after the last message came.
	// It is shorter than receiveLife, so that the peer knows the session for
	// as long as it is used.
	sendLife    = 8 * time.Minute
	receiveLife = 10 * time.Minute
	// silence is how long a peer may stay silent while we send, before we
	// take it that it has lost the session, and probeEvery how often it is
	// asked to acknowledge meanwhile. A router that restarts keeps the key of
	// a site and forgets its sessions.
	silence    = 12 * time.Second
	probeEvery = 5 * time.Second
	// enoughProbes is how many must be without answer.
	enoughProbes = 2
	// greetEvery is how often a New Session is sent to a peer that has become
	// silent, and later once in a greetShare-th of the time it has been so. It
	// may only have nothing to say, and not care to acknowledge, so the
	// messages in between go on through the old session.
	greetEvery = 5 * time.Second
	greetShare = 4
)

// lives reports whether the peer, if it is there, still knows s.
func (s *session) lives(now time.Time) bool {
	return now.Sub(s.heard) <= sendLife && s.send.tags < exhausted
}

// usable reports whether s is good for sending.
func (s *session) usable(now time.Time) bool {
	silent := !s.unheard.IsZero() && now.Sub(s.unheard) > silence && s.probes >= enoughProbes
	return s.lives(now) && !silent
}

// owes reports whether the peer waits for something that only this session
// can carry.
func (s *session) owes() bool {
	return s.owesFirst || s.owesAnswer || len(s.acks) > 0
}

// choose picks what the next message to the peer goes through: a session, or
// a New Session to reply to, or neither for a New Session of ours.
func (p *peer) choose(now time.Time) (*session, *incoming) {
	if p == nil {
		return nil, nil
	}
	fresh := p.fresh.replyable(now)
	for _, s := range p.sessions {
		if s.usable(now) && (s.owesFirst || !fresh && s.owes()) {
			return s, nil
		}
	}
	if fresh {
		return nil, p.fresh
	}
	for _, s := range p.sessions {
		if s.usable(now) {
			return s, nil
		}
	}
	if n := len(p.incoming); n > 0 && p.incoming[n-1].replyable(now) {
		return nil, p.incoming[n-1]
	}
	if len(p.sessions) > 0 && p.sessions[0].lives(now) && p.greeted(now) {
		return p.sessions[0], nil
	}
	return nil, nil
}

// greeted reports whether a New Session was sent to the peer just now. It is
// silent on its newest session.
func (p *peer) greeted(now time.Time) bool {
	n := len(p.openings)
	pause := max(greetEvery, now.Sub(p.sessions[0].unheard)/greetShare)
	return n > 0 && now.Sub(p.openings[n-1].sent) < pause
}

// owed reports whether the peer should hear from us even if there is nothing
// else to say.
func (p *peer) owed(now time.Time) bool {
	if p.fresh.replyable(now) && len(p.fresh.sessions) == 0 {
		return true
	}
	for _, s := range p.sessions {
		if s.owes() && s.usable(now) {
			return true
		}
	}
	return false
}

// stranger reports whether the peer is only somebody who wrote to us. We do
// not let strangers push out the others.
func (p *peer) stranger() bool { return len(p.sessions) == 0 && len(p.openings) == 0 }

// empty reports whether nothing is left to remember.
func (p *peer) empty() bool { return p.stranger() && len(p.incoming) == 0 && len(p.tracked) == 0 }

// establishedSince is the session with the peer that was made since o was
// sent, or nil.
func (p *peer) establishedSince(o *opening) *session {
	if len(p.sessions) > 0 && p.sessions[0] != o.after && !p.sessions[0].created.Before(o.sent) {
		return p.sessions[0]
	}
	return nil
}

// Handle names a delivery that the caller wants to know of. Zero is none.
type Handle uint64

// tracked is a delivery that waits for its proof: an acknowledgement of
// message id on a session, the first message on a session, or a reply to an
// opening.
type tracked struct {
	handle   Handle
	session  *session
	opening  *opening
	acked    bool // whether id counts
	id       messageID
	deadline time.Time
}

// ackLife is how long an acknowledgement is waited for.
const ackLife = 30 * time.Second

// proved takes the deliveries that match out of tracked and appends their
// handles.
func (p *peer) proved(handles []Handle, match func(*tracked) bool) []Handle {
	if len(p.tracked) == 0 {
		return handles
	}
	p.tracked = slices.DeleteFunc(p.tracked, func(t tracked) bool {
		if match(&t) {
			handles = append(handles, t.handle)
			return true
		}
		return false
	})
	return handles
}

// Queues a peer can stand in.
const (
	byAge  = iota // partners or strangers, by when they were last heard
	byDebt        // those who are owed a message, longest first
	queues
)

type link struct {
	in         *queue
	prev, next *peer
}

// queue is a list of peers in order. A peer stands in one queue of a kind at
// most.
type queue struct {
	kind        int
	first, last *peer
	n           int
}

// push puts p at the end, from wherever it stood.
func (q *queue) push(p *peer) {
	p.leave(q.kind)
	l := &p.links[q.kind]
	l.in, l.prev = q, q.last
	if q.last != nil {
		q.last.links[q.kind].next = p
	} else {
		q.first = p
	}
	q.last = p
	q.n++
}

// leave takes p out of its queue of a kind, if it stands in one.
func (p *peer) leave(kind int) {
	l := p.links[kind]
	if l.in == nil {
		return
	}
	if l.prev != nil {
		l.prev.links[kind].next = l.next
	} else {
		l.in.first = l.next
	}
	if l.next != nil {
		l.next.links[kind].prev = l.prev
	} else {
		l.in.last = l.prev
	}
	l.in.n--
	p.links[kind] = link{}
}
