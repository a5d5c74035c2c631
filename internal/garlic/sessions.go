package garlic

import (
	"slices"
	"sync"
	"time"

	"allium/internal/noise"
	"allium/internal/replay"
	"allium/internal/x25519"

	"golang.org/x/time/rate"
)

// Config bounds a Sessions. Zero values mean the defaults.
type Config struct {
	// MaxPeers is how many peers with a session, or with a New Session of
	// ours, are kept: 4096. The one not heard of for longest makes room.
	MaxPeers int
	// MaxStrangers is how many peers are kept that sent us a New Session and
	// did not confirm a reply yet: 4096.
	MaxStrangers int
	// MaxTags is how many tags we listen for, about 50 bytes each: 262144. A
	// fresh session has 24, a busy one some 800.
	MaxTags int
	// NewSessionRate is how many New Sessions we look into in a second: 250.
	// Twice as many may come at once. Each is some 0.2 ms of work, and the
	// filter against replays takes 5 KB of memory for each.
	NewSessionRate int
}

func (c Config) withDefaults() Config {
	set := func(v *int, to int) {
		if *v <= 0 {
			*v = to
		}
	}
	set(&c.MaxPeers, 4096)
	set(&c.MaxStrangers, 4096)
	set(&c.MaxTags, 1<<18)
	set(&c.NewSessionRate, 250)
	return c
}

// Form is one of the messages of the ratchet.
type Form uint8

// The forms, with the acronyms of the specification.
const (
	NewSession      Form = iota + 1 // NS
	NewSessionReply                 // NSR
	ExistingSession                 // ES
)

// String gives the acronym.
func (f Form) String() string {
	switch f {
	case NewSession:
		return "NS"
	case NewSessionReply:
		return "NSR"
	case ExistingSession:
		return "ES"
	}
	return "none"
}

// Sessions holds the ratchet sessions of one static key with all its peers.
// It may be used by several goroutines at once.
//
// A peer is known by its static key. Whose key that is, the LeaseSet tells
// that a New Session brings along: the caller must see that its encryption key
// is the one the New Session came from before it answers to its leases.
type Sessions struct {
	cfg   Config
	keys  x25519.KeyPair
	bob   handshake // initial state of a New Session to us
	seen  *replay.Filter
	limit *rate.Limiter

	ratchetAfter int

	mu        sync.Mutex
	peers     map[x25519.PublicKey]*peer
	partners  queue
	strangers queue
	debts     queue
	tags      tagTable
	lost      []Lost
	padding   lengths
	opened    payload // of the message that is being opened
}

// replayLife is for how long a New Session could come again with a good
// DateTime.
const replayLife = maxAge + maxAhead + time.Minute

// New makes an empty table for the static key pair keys.
func New(cfg Config, keys x25519.KeyPair) *Sessions {
	cfg = cfg.withDefaults()
	r := cfg.NewSessionRate
	return &Sessions{
		cfg:          cfg,
		keys:         keys,
		bob:          *noise.NewIK(noise.Ratchet(), false, keys, nil),
		seen:         replay.New(replayLife, r*int(replayLife/time.Second)),
		limit:        rate.NewLimiter(rate.Limit(r), 2*r),
		ratchetAfter: ratchetAfter,
		peers:        make(map[x25519.PublicKey]*peer),
		partners:     queue{kind: byAge},
		strangers:    queue{kind: byAge},
		debts:        queue{kind: byDebt},
		tags:         newTagTable(cfg.MaxTags),
	}
}

// Len is how many peers are known, and how many tags we listen for.
func (s *Sessions) Len() (peers, tags int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.peers), len(s.tags.refs)
}

// Drop forgets remote and all sessions with it. Deliveries to it that were
// tracked are not reported any more.
func (s *Sessions) Drop(remote x25519.PublicKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.peers[remote]; p != nil {
		p.tracked = nil
		s.forget(p)
	}
}

// peer finds or makes the entry of remote.
func (s *Sessions) peer(remote x25519.PublicKey) *peer {
	p := s.peers[remote]
	if p == nil {
		p = &peer{remote: remote}
		s.peers[remote] = p
	}
	return p
}

// place puts p, of which we heard just now, at the end of its queue, and
// makes room in that queue.
func (s *Sessions) place(p *peer) {
	if p.stranger() {
		s.strangers.push(p)
		for s.strangers.n > s.cfg.MaxStrangers {
			s.forget(s.strangers.first)
		}
		return
	}
	s.partners.push(p)
	for s.partners.n > s.cfg.MaxPeers {
		s.forget(s.partners.first)
	}
}

// extend fills the window of a tag set of p. When the table is full it
// forgets other peers, strangers first.
func (s *Sessions) extend(p *peer, set *receiveSet) {
	for missing := set.wanted() - set.tags; len(s.tags.refs)+missing > s.tags.max; {
		victim := s.strangers.first
		if victim == nil || victim == p {
			victim = s.partners.first
		}
		if victim == nil || victim == p {
			break
		}
		s.forget(victim)
	}
	s.tags.extend(set)
}

// forget drops p with all it has. Its tracked deliveries are lost.
func (s *Sessions) forget(p *peer) {
	for _, session := range p.sessions {
		s.dropSession(session)
	}
	for _, o := range p.openings {
		s.tags.drop(o.replies)
	}
	for _, in := range p.incoming {
		s.dropProposed(in)
	}
	p.incoming, p.fresh = nil, nil
	for _, t := range p.tracked {
		s.lost = append(s.lost, Lost{p.remote, t.handle})
	}
	p.sessions, p.openings, p.tracked = nil, nil, nil
	p.leave(byAge)
	p.leave(byDebt)
	delete(s.peers, p.remote)
}

func (s *Sessions) dropSession(session *session) {
	s.tags.drop(session.receive.current)
	s.tags.drop(session.receive.previous)
}

// conclude ends the New Session that taken was proposed in reply to, with the
// other proposals. Other New Sessions of the peer stay: i2pd makes one for each
// stream it opens before our first reply is there, and goes on using several
// of them.
func (s *Sessions) conclude(p *peer, taken *session) {
	i := slices.IndexFunc(p.incoming, func(in *incoming) bool { return slices.Contains(in.sessions, taken) })
	if i >= 0 {
		for _, proposed := range p.incoming[i].sessions {
			if proposed != taken {
				s.dropSession(proposed)
			}
		}
		p.incoming = slices.Delete(p.incoming, i, i+1)
	}
	p.fresh = nil
}

// establish makes session the one that is sent on. Of too many, the one not
// heard of for longest goes.
func (s *Sessions) establish(session *session) {
	p := session.peer
	p.sessions = slices.Insert(p.sessions, 0, session)
	if len(p.sessions) <= maxSessions {
		return
	}
	quietest := 1
	for i := 2; i < len(p.sessions); i++ {
		if p.sessions[i].heard.Before(p.sessions[quietest].heard) {
			quietest = i
		}
	}
	s.dropSession(p.sessions[quietest])
	p.sessions = slices.Delete(p.sessions, quietest, quietest+1)
}

// newSession makes a session of p from the keys of a reply. alice tells that
// the New Session was ours.
func (s *Sessions) newSession(now time.Time, p *peer, keys *replyKeys, alice bool) *session {
	out, in := &keys.ba, &keys.ab
	if alice {
		out, in = in, out
	}
	session := &session{peer: p, created: now, heard: now}
	session.send.chain, session.send.next = newChain(&keys.root, out)
	set := &receiveSet{session: session, highest: -1, start: minAhead}
	set.chain, set.next = newChain(&keys.root, in)
	session.receive.current = set
	s.extend(p, set)
	return session
}

// owe notes that p waits for a message of ours.
func (s *Sessions) owe(now time.Time, p *peer) {
	if p.links[byDebt].in == nil {
		p.owedAt, p.reminders = now, 0
		s.debts.push(p)
	}
}
