package garlic

import (
	"fmt"
	"slices"
	"time"

	"allium/internal/noise"
	"allium/internal/x25519"
)

// Opened is what a message held. It can be used for one message after
// another; Open empties it and reuses the room of its slices.
type Opened struct {
	Form Form
	// Remote is the static key of the sender, if Bound: an unbound New
	// Session does not tell it.
	Remote x25519.PublicKey
	Bound  bool
	// Cloves have bodies that point into the message that was opened.
	Cloves []Clove
	// Acked are the tracked deliveries that the message proves.
	Acked []Handle
	// Due tells that the sender waits for something: see Sessions.Due.
	Due bool
	// Terminated tells that the sender ended the session.
	Terminated bool
}

func (o *Opened) reset() {
	*o = Opened{Cloves: o.Cloves[:0], Acked: o.Acked[:0]}
}

// Form tells what a message to us is, by its tag alone: cheap, and nothing of
// it is taken. Without a tag of ours it is NewSession, whatever it may be. ES
// are opened with symmetric keys only; opening the others takes some 0.2 ms.
func (s *Sessions) Form(now time.Time, body []byte) Form {
	if len(body) < ExistingSessionOverhead {
		return NewSession
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	set, _ := s.tags.find(now, tagOf(body))
	switch {
	case set == nil:
		return NewSession
	case set.opening != nil:
		return NewSessionReply
	}
	return ExistingSession
}

// Open opens a message to us, in place: body is overwritten, and of no use
// after an error. It fills o. The errors are ErrUnknown, ErrMalformed,
// ErrReplayed, ErrClock and ErrThrottled.
//
// One-time answers are not looked for: ask Replies.Open first.
func (s *Sessions) Open(now time.Time, body []byte, o *Opened) error {
	o.reset()
	if len(body) < ExistingSessionOverhead {
		return fmt.Errorf("garlic: %w: %d bytes", ErrMalformed, len(body))
	}
	if known, err := s.openTagged(now, body, o); known {
		return err
	}
	return s.openNew(now, body, o)
}

// openTagged opens ES and NSR. It reports false when the message does not
// begin with a tag of ours.
func (s *Sessions) openTagged(now time.Time, body []byte, o *Opened) (known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set, n := s.tags.find(now, tagOf(body))
	switch {
	case set == nil:
		return false, nil
	case set.opening != nil:
		return true, s.openReply(now, set, n, body, o)
	}
	return true, s.openExisting(now, set, n, body, o)
}

func (s *Sessions) openExisting(now time.Time, set *receiveSet, n int, body []byte, o *Opened) error {
	key := set.keyAt(n)
	plain, err := noise.Open(body[TagSize:TagSize], &key, uint64(n), body[:TagSize], body[TagSize:])
	if err != nil {
		// Somebody on the way may have changed it: the true one is welcome.
		set.keepKey(n, key)
		return fmt.Errorf("garlic: existing session: %w", ErrUnknown)
	}
	s.tags.consume(set, n)
	session := set.session
	p := session.peer
	if !slices.Contains(p.sessions, session) {
		s.confirm(session, o)
	}
	session.heard, session.proven = now, true
	session.unheard = time.Time{}
	p.fresh = nil
	if set == session.receive.current {
		session.receive.answering = false
	}
	s.place(p)
	s.extend(p, set)

	o.Form, o.Remote, o.Bound = ExistingSession, p.remote, true
	s.opened.reset(o.Cloves)
	if err := s.opened.parse(plain); err != nil {
		return fmt.Errorf("garlic: existing session: %w", err)
	}
	o.Cloves = s.opened.cloves
	s.heed(now, session, set, n, o)
	return nil
}

// heed does what the blocks beside the cloves of an ES ask for.
func (s *Sessions) heed(now time.Time, session *session, set *receiveSet, n int, o *Opened) {
	p, got := session.peer, &s.opened
	for _, id := range got.acks {
		o.Acked = p.proved(o.Acked, func(t *tracked) bool {
			return t.acked && t.session == session && t.id == id
		})
	}
	for i := range got.nextKeys[:got.keys] {
		s.nextKey(now, session, set, &got.nextKeys[i])
	}
	if got.ackRequest {
		if len(session.acks) == maxOwedAcks {
			session.acks = slices.Delete(session.acks, 0, 1)
		}
		session.acks = append(session.acks, messageID{uint16(set.id), uint16(n)})
	}
	if got.terminate {
		o.Terminated = true
		s.terminate(session)
		return
	}
	s.due(now, p, o)
}

// terminate drops a session that the peer ended.
func (s *Sessions) terminate(session *session) {
	p := session.peer
	s.dropSession(session)
	if i := slices.Index(p.sessions, session); i >= 0 {
		p.sessions = slices.Delete(p.sessions, i, i+1)
	}
	if p.empty() {
		s.forget(p)
	}
}

// due notes what is owed to p.
func (s *Sessions) due(now time.Time, p *peer, o *Opened) {
	if p.owed(now) {
		s.owe(now, p)
		o.Due = true
	}
}

// nextKey handles a NextKey block that came on set.
func (s *Sessions) nextKey(now time.Time, session *session, set *receiveSet, k *nextKey) {
	if k.reverse {
		session.send.answered(k)
		return
	}
	receive := &session.receive
	next := receive.asked(k, set)
	if next == nil {
		// A repeated question means that our answer was lost.
		session.owesAnswer = session.owesAnswer || receive.answering && k.isQuestion(receive.current.id)
		return
	}
	s.tags.drop(receive.previous)
	set.expires = now.Add(previousLife)
	receive.previous, receive.current = set, next
	session.owesAnswer = true
	s.extend(session.peer, next)
}

// confirm takes the session that the peer chose out of those our replies to
// one New Session proposed.
func (s *Sessions) confirm(session *session, o *Opened) {
	p := session.peer
	s.conclude(p, session)
	s.establish(session)
	o.Acked = p.proved(o.Acked, func(t *tracked) bool { return t.session == session && !t.acked })
}

func (s *Sessions) openReply(now time.Time, set *receiveSet, n int, body []byte, o *Opened) error {
	if len(body) < NewSessionReplyOverhead {
		return fmt.Errorf("garlic: reply: %w: %d bytes", ErrMalformed, len(body))
	}
	opening := set.opening
	p := opening.peer
	keys, plain, err := openReply(opening.state, body)
	if err != nil {
		return fmt.Errorf("garlic: reply: %w", ErrUnknown)
	}
	s.tags.consume(set, n)
	s.extend(p, set)
	o.Form, o.Remote, o.Bound = NewSessionReply, p.remote, true
	var got payload
	got.reset(o.Cloves)
	if err := got.parse(plain); err != nil {
		return fmt.Errorf("garlic: reply: %w", err)
	}
	o.Cloves = got.cloves
	o.Acked = p.proved(o.Acked, func(t *tracked) bool { return t.opening == opening })
	s.takeReply(now, opening, &keys)
	s.place(p)
	s.due(now, p, o)
	return nil
}

// takeReply makes the session that the first reply offers. Replies after it
// only tell that our first message did not arrive yet.
func (s *Sessions) takeReply(now time.Time, opening *opening, keys *replyKeys) {
	p := opening.peer
	if session := p.establishedSince(opening); session != nil {
		if !session.proven {
			session.owesFirst = true
		}
		return
	}
	if opening.session != nil {
		return // used and dropped since
	}
	opening.session = s.newSession(now, p, keys, true)
	opening.session.owesFirst = true
	s.establish(opening.session)
	p.fresh = nil
}

// openNew opens NS. The work on keys is done without the lock.
func (s *Sessions) openNew(now time.Time, body []byte, o *Opened) error {
	if len(body) < NewSessionOverhead+dateTimeSize {
		return fmt.Errorf("garlic: %w: %d bytes", ErrUnknown, len(body))
	}
	if !s.limit.AllowN(now, 1) {
		return fmt.Errorf("garlic: %w", ErrThrottled)
	}
	state, ephemeral, plain, err := openNewSession(s.bob, body)
	if err != nil {
		return fmt.Errorf("garlic: new session: %w", ErrUnknown)
	}
	var got payload
	got.reset(o.Cloves)
	if err := got.parse(plain); err != nil {
		return fmt.Errorf("garlic: new session: %w", err)
	}
	if err := got.checkClock(now); err != nil {
		return fmt.Errorf("garlic: new session: %w", err)
	}
	// The key and not its representative: that has two bits nobody checks.
	if s.seen.Seen(now, ephemeral[:]) {
		return fmt.Errorf("garlic: new session: %w", ErrReplayed)
	}
	o.Form, o.Cloves = NewSession, got.cloves
	if state.Bound() {
		o.Remote, o.Bound, o.Due = state.RemoteStatic(), true, true
		s.welcome(now, o.Remote, state)
	}
	return nil
}

// welcome keeps a New Session of a peer, to be replied to.
func (s *Sessions) welcome(now time.Time, remote x25519.PublicKey, state *handshake) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peer(remote)
	in := &incoming{peer: p, state: *state, tags: replyChain(&state.CK), received: now}
	if len(p.incoming) == maxIncoming {
		// One that has no reply is no loss: the peer cannot have taken it.
		i := max(0, slices.IndexFunc(p.incoming, func(in *incoming) bool { return len(in.sessions) == 0 }))
		s.dropProposed(p.incoming[i])
		p.incoming = slices.Delete(p.incoming, i, i+1)
	}
	p.incoming = append(p.incoming, in)
	p.fresh = in
	s.place(p)
	s.owe(now, p)
}
