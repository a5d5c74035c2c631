package garlic

import (
	"slices"
	"time"

	"allium/internal/noise"
	"allium/internal/x25519"
)

// Next is the form the next message to remote will have. Who sends NS or NSR
// should put its LeaseSet into it, stored with a Local clove, so that the
// peer can answer.
func (s *Sessions) Next(now time.Time, remote x25519.PublicKey) Form {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch session, in := s.peers[remote].choose(now); {
	case session != nil:
		return ExistingSession
	case in != nil:
		return NewSessionReply
	}
	return NewSession
}

// Seal seals cloves for remote, through an existing session, as a reply to a
// New Session or as a New Session, whatever is right at the moment, and
// appends the message to dst. Without cloves it makes an empty message, which
// pays what is owed to the peer.
//
// A track other than zero names the delivery. It is reported once: by Open
// when the peer has shown that it got the message, or by Expire.
//
// Seal fails with ErrTooLarge, and with x25519.ErrLowOrder for a key nobody
// has; dst is then given back as it was.
func (s *Sessions) Seal(dst []byte, now time.Time, remote x25519.PublicKey, cloves []Clove, track Handle) ([]byte, error) {
	size := cloveBytes(cloves)
	if size > MaxPayload-maxExtras {
		return dst, ErrTooLarge
	}
	dst = slices.Grow(dst, NewSessionOverhead+size+maxExtras)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch session, in := s.peers[remote].choose(now); {
	case session != nil:
		return s.sealExisting(dst, now, session, cloves, track), nil
	case in != nil:
		return s.sealReply(dst, now, in, cloves, track)
	}
	return s.sealNew(dst, now, remote, cloves, track)
}

// maxExtras is how large the blocks beside the cloves can be together.
const maxExtras = dateTimeSize + 2*(blockHeaderSize+3+keySize) +
	blockHeaderSize + ackSize*maxOwedAcks + (blockHeaderSize + 1) +
	blockHeaderSize + maxPadding

// SealUnbound seals cloves as a New Session that does not tell who sent it and
// that nobody can reply to, and appends it to dst. It fails as Seal does.
func SealUnbound(dst []byte, now time.Time, remote *x25519.PublicKey, cloves ...Clove) ([]byte, error) {
	size := cloveBytes(cloves)
	if size > MaxPayload-maxExtras {
		return dst, ErrTooLarge
	}
	b, state, err := appendNewSession(slices.Grow(dst, NewSessionOverhead+size+maxExtras), nil, remote)
	if err != nil {
		return dst, err
	}
	start := len(b)
	b = appendDateTime(b, now)
	b = appendCloves(b, cloves)
	var l lengths
	b = l.appendPadding(b, start)
	return state.EncryptAndHash(b[:start], b[start:]), nil
}

// Terminate ends the session with remote. It appends to dst the message that
// tells the peer, or nothing when there is no session, and forgets the peer.
func (s *Sessions) Terminate(dst []byte, now time.Time, remote x25519.PublicKey) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers[remote]
	if p == nil {
		return dst
	}
	if session, _ := p.choose(now); session != nil {
		n := session.send.tags
		start := len(dst)
		dst = appendTag(dst, session.send.tag())
		key := session.send.key()
		dst = appendTermination(dst)
		dst = sealTagged(dst, start, &key, n)
	}
	p.tracked = nil
	s.forget(p)
	return dst
}

// sealTagged seals the payload behind the tag at start.
func sealTagged(dst []byte, start int, key *[32]byte, n int) []byte {
	at := start + TagSize
	return noise.Seal(dst[:at], key, uint64(n), dst[start:at], dst[at:])
}

func (s *Sessions) sealNew(dst []byte, now time.Time, remote x25519.PublicKey, cloves []Clove, track Handle) ([]byte, error) {
	b, state, err := appendNewSession(dst, &s.keys, &remote)
	if err != nil {
		return dst, err
	}
	start := len(b)
	b = appendDateTime(b, now)
	b = appendCloves(b, cloves)
	b = s.padding.appendPadding(b, start)
	b = state.EncryptAndHash(b[:start], b[start:])

	p := s.peer(remote)
	o := &opening{peer: p, state: *state, sent: now}
	if len(p.sessions) > 0 {
		o.after = p.sessions[0]
	}
	o.replies = &receiveSet{chain: replyChain(&state.CK), opening: o, highest: -1}
	if len(p.openings) == maxOpenings {
		s.tags.drop(p.openings[0].replies)
		p.openings = slices.Delete(p.openings, 0, 1)
	}
	p.openings = append(p.openings, o)
	s.place(p)
	s.extend(p, o.replies)
	s.track(p, tracked{handle: track, opening: o, deadline: now.Add(ackLife)})
	return b, nil
}

func (s *Sessions) sealReply(dst []byte, now time.Time, in *incoming, cloves []Clove, track Handle) ([]byte, error) {
	b, keys, err := appendReply(dst, in.state, in.tags.tag())
	if err != nil {
		return dst, err
	}
	start := len(b)
	b = appendCloves(b, cloves)
	b = s.padding.appendPadding(b, start)
	key := keys.payloadKey()
	b = noise.Seal(b[:start], &key, 0, keys.h[:], b[start:])

	session := s.newSession(now, in.peer, &keys, false)
	in.sessions = append(in.sessions, session)
	s.track(in.peer, tracked{handle: track, session: session, deadline: now.Add(ackLife)})
	s.settle(now, in.peer)
	return b, nil
}

func (s *Sessions) sealExisting(dst []byte, now time.Time, session *session, cloves []Clove, track Handle) []byte {
	send := &session.send
	id := messageID{uint16(send.id), uint16(send.tags)}
	n, start := send.tags, len(dst)
	if n >= s.ratchetAfter {
		send.ask()
	}
	dst = appendTag(dst, send.tag())
	key := send.key()
	if session.probe(now) || track != 0 {
		dst = appendAckRequest(dst)
	}
	dst = appendCloves(dst, cloves)
	dst = session.appendDebts(dst)
	dst = s.padding.appendPadding(dst, start+TagSize)
	dst = sealTagged(dst, start, &key, n)

	s.track(session.peer, tracked{handle: track, session: session, acked: true, id: id, deadline: now.Add(ackLife)})
	s.settle(now, session.peer)
	return dst
}

// probe notes that a message goes out, and reports whether it should ask for
// an acknowledgement: because it is the first on the session, or nothing was
// heard for long.
func (s *session) probe(now time.Time) bool {
	if s.unheard.IsZero() {
		s.unheard, s.probed, s.probes = now, now, 0
		if s.proven {
			return false
		}
	} else if now.Sub(s.probed) < probeEvery {
		return false
	}
	s.probed = now
	s.probes++
	return true
}

// appendDebts appends the blocks that are owed to the peer, and those of the
// exchange of keys.
func (s *session) appendDebts(b []byte) []byte {
	if len(s.acks) > 0 {
		b = appendAcks(b, s.acks)
		s.acks = s.acks[:0]
	}
	if s.receive.answering {
		answer := s.receive.answer()
		b = appendNextKey(b, &answer)
	}
	if s.send.asking {
		question := s.send.question()
		b = appendNextKey(b, &question)
	}
	s.owesFirst, s.owesAnswer = false, false
	return b
}

// track keeps a delivery that has a handle.
func (s *Sessions) track(p *peer, t tracked) {
	if t.handle == 0 {
		return
	}
	if len(p.tracked) == maxTracked {
		s.lost = append(s.lost, Lost{p.remote, p.tracked[0].handle})
		p.tracked = slices.Delete(p.tracked, 0, 1)
	}
	p.tracked = append(p.tracked, t)
}

// settle notes that a message went to p.
func (s *Sessions) settle(now time.Time, p *peer) {
	if p.links[byDebt].in != nil && !p.owed(now) {
		p.leave(byDebt)
	}
}
