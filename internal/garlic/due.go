package garlic

import (
	"slices"
	"time"

	"allium/internal/x25519"
)

// replyDelay is how long we wait for the application to say something, before
// an empty message carries what is owed.
const replyDelay = time.Second

// Due gives the peers that should get a message now, if only an empty one: a
// reply to a New Session, the first message on a new session, an answer to
// NextKey, an acknowledgement. The caller seals one for each, and calls again
// at next, which is zero when nothing is owed to anybody else, or when an
// opened message tells that a reply is due. A peer for which nothing gets
// sealed is told again a second later, five times in all.
func (s *Sessions) Due(now time.Time) (due []x25519.PublicKey, next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := s.debts.first; p != nil; p = s.debts.first {
		if !p.owed(now) || p.reminders == maxReminders {
			p.leave(byDebt)
			continue
		}
		at := p.owedAt.Add(replyDelay)
		if at.After(now) {
			return due, at
		}
		due = append(due, p.remote)
		p.reminders++
		p.owedAt = now
		s.debts.push(p)
	}
	return due, time.Time{}
}

// Lost is a tracked delivery that was not acknowledged in time, or whose
// session is gone.
type Lost struct {
	Remote x25519.PublicKey
	Handle Handle
}

// Expire forgets what is too old: New Sessions without reply after 3
// minutes, sessions 10 minutes after the last message came, replaced tag sets
// after 3 minutes. It gives the tracked deliveries that were lost since the
// last call. Call it every few seconds while deliveries are tracked, every
// half minute else.
func (s *Sessions) Expire(now time.Time) []Lost {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range []*queue{&s.strangers, &s.partners} {
		for p := q.first; p != nil; {
			next := p.links[byAge].next
			s.expire(now, p)
			p = next
		}
	}
	lost := s.lost
	s.lost = nil
	return lost
}

// openingLife is how long a reply to a New Session is waited for, and how
// long a New Session that nobody confirms is kept.
const openingLife = 3 * time.Minute

func (s *Sessions) expire(now time.Time, p *peer) {
	p.openings = slices.DeleteFunc(p.openings, func(o *opening) bool {
		old := now.Sub(o.sent) > openingLife
		if old {
			s.tags.drop(o.replies)
		}
		return old
	})
	p.incoming = slices.DeleteFunc(p.incoming, func(in *incoming) bool {
		// Beside a session the peer may use what we proposed much later.
		life := openingLife
		if len(p.sessions) > 0 {
			life = receiveLife
		}
		old := now.Sub(in.received) > life
		if old {
			s.dropProposed(in)
		}
		return old
	})
	p.sessions = slices.DeleteFunc(p.sessions, func(session *session) bool {
		old := now.Sub(session.heard) > receiveLife
		if old {
			s.dropSession(session)
		}
		s.expirePrevious(now, session)
		return old
	})
	p.tracked = slices.DeleteFunc(p.tracked, func(t tracked) bool {
		old := now.After(t.deadline)
		if old {
			s.lost = append(s.lost, Lost{p.remote, t.handle})
		}
		return old
	})
	switch {
	case p.empty():
		s.forget(p)
	case p.stranger() && p.links[byAge].in != &s.strangers:
		s.place(p)
	}
}

func (s *Sessions) expirePrevious(now time.Time, session *session) {
	previous := session.receive.previous
	if previous != nil && now.After(previous.expires) {
		s.tags.drop(previous)
		session.receive.previous = nil
	}
}

// dropProposed drops a New Session of a peer and what our replies proposed.
func (s *Sessions) dropProposed(in *incoming) {
	for _, proposed := range in.sessions {
		s.dropSession(proposed)
	}
	if in.peer.fresh == in {
		in.peer.fresh = nil
	}
}
