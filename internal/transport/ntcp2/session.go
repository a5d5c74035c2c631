package ntcp2

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/noise"
	"allium/internal/transport/pace"
)

// Session is a connection with one peer, from the moment it is dialled or its
// handshake is done until Handler.Closed. Its methods may be called from any
// round.
//
// Two tokens say who works on a session, so that no lock is held meanwhile.
// busy belongs to the worker that runs the handshake, establishes the session
// and hands up what has arrived by then; the calls of the stream only put
// their bytes behind it. sealing belongs to the round that writes.
type Session struct {
	e       *Endpoint
	remote  netip.AddrPort
	inbound bool
	class   bandwidth.Class // whom its handshake serves
	origin  netip.Addr      // for the count of half-open sessions
	stream  host.Stream     // set before anybody can call

	// Of whoever holds busy, or else of the calls of the stream.
	machine  machine
	answered bool // a message of the handshake has been sent
	in       receiver
	broken   error           // a frame was bad: the rest means nothing
	drain    int             // bytes to be read before a failure shows
	served   bandwidth.Bytes // whom the frames of this call served

	// Of whoever holds sealing.
	out     *noise.Cipher
	lengths mask

	place    pace.Place   // in the lines for bandwidth
	active   atomic.Int64 // when a frame was last sent or received, nanoseconds since 1970
	heard    atomic.Int64 // when a frame was last received, likewise
	ended    atomic.Bool  // cause is set: nothing is handed up any more
	checking atomic.Bool  // a RouterInfo of the peer is being verified

	framesIn, messagesIn, dataIn, malformed, wireIn, wireOut atomic.Uint64

	mu            sync.Mutex
	peer          data.Hash        // zero until the peer has said who it is
	ri            *data.RouterInfo // the newest the peer has shown us
	state         state
	known         bool // the handler has been told
	busy          bool
	pending       []byte // arrived while busy, or too few for the next step
	framesMayCome bool   // the peer need not wait for our next message
	cause         error  // why it is ending; the first counts
	gone          error  // what the stream has said with Closed
	halfOpen      bool   // counted as such
	timer         host.Timer
	idle          time.Duration // how long without frames is too long
	resend        time.Time     // when our RouterInfo is due again

	queues  [bandwidth.Classes]queue
	granted bandwidth.Bytes // may be sealed, and is paid for
	first   []byte          // sent before all frames: message 3
	control []byte          // blocks to go before all messages
	dirty   bool            // some round will seal
	sealing bool
	again   bool      // there was cause to seal while sealing
	full    time.Time // since when the stream takes nothing more
	sent    Counters
}

// state is how far a session has come.
type state uint8

const (
	shaking     state = iota // connecting, or in the handshake
	lyingLow                 // message 1 was wrong: reads on and answers nothing
	established              // messages are exchanged
	ending                   // a Termination is to be sent
	over                     // nothing more is sent
)

// Peer is the router at the other end.
func (s *Session) Peer() data.Hash {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peer
}

// RouterInfo is the newest RouterInfo of the peer within this session: the one
// it was dialled with, or has sent.
func (s *Session) RouterInfo() *data.RouterInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ri
}

// Inbound tells that the peer has dialled us.
func (s *Session) Inbound() bool { return s.inbound }

// Remote is the address of the peer's end.
func (s *Session) Remote() netip.AddrPort { return s.remote }

// Local is the address of our own end, the zero AddrPort before the connection
// stands.
func (s *Session) Local() netip.AddrPort { return s.stream.Local() }

// LastActive is when a frame was last sent or received, and the zero time
// before the session is established.
func (s *Session) LastActive() time.Time { return since1970(s.active.Load()) }

// LastHeard is when a frame was last received, or the session established, and
// the zero time before that.
func (s *Session) LastHeard() time.Time { return since1970(s.heard.Load()) }

func since1970(nanoseconds int64) time.Time {
	if nanoseconds == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanoseconds)
}

// Counters is what has passed so far.
func (s *Session) Counters() Counters {
	s.mu.Lock()
	c := s.sent
	c.Waiting = uint64(s.waiting(bandwidth.Classes))
	s.mu.Unlock()
	c.In = Traffic{Messages: s.messagesIn.Load(), Bytes: s.dataIn.Load()}
	c.Malformed = s.malformed.Load()
	c.WireIn, c.WireOut = s.wireIn.Load(), s.wireOut.Load()
	return c
}

// link is a session as its stream and its rounds see it.
type link struct{ s *Session }

// Opened implements [host.StreamHandler]: the connection that was dialled
// stands, and the handshake begins.
func (l link) Opened(*host.Round) {
	s := l.s
	s.schedule(s.e.cfg.HandshakeTimeout, s.expire)
	s.mu.Lock()
	s.busy = true
	s.mu.Unlock()
	s.startWork()
}

// Data implements [host.StreamHandler].
func (l link) Data(r *host.Round, b []byte) {
	s := l.s
	s.wireIn.Add(uint64(len(b)))
	switch {
	case s.enqueue(b):
		s.arrived(r.Now, len(b), s.handshake(len(b)))
	case s.probed():
		s.swallow(len(b))
		s.arrived(r.Now, len(b), s.handshake(len(b)))
	default:
		s.receive(r, b)
		s.arrived(r.Now, len(b), s.served)
		s.served = bandwidth.Bytes{}
	}
}

// Writable implements [host.StreamHandler].
func (l link) Writable(r *host.Round) {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = time.Time{}
	s.markDirty(r)
}

// Closed implements [host.StreamHandler]. A worker first goes on with what has
// come before: the end follows on the heels of a message 2 that tells us that
// our clock is wrong.
func (l link) Closed(r *host.Round, err error) {
	s := l.s
	s.mu.Lock()
	s.gone = err
	busy := s.busy
	s.mu.Unlock()
	if !busy {
		s.finish(r)
	}
}
