package streaming

import (
	"sync"
	"time"

	"allium/internal/data"
	"allium/internal/host"
)

// Stream is one connection between two Destinations, driven by events: its
// calls never block, and notify is called when one of them may go further.
// [Conn] is the blocking form of it.
//
// What a round brings to a stream leaves it at the end of the round: one
// acknowledgement for many packets, and data in the very SYN of a stream that
// is opened and written to in the same round.
type Stream struct {
	streams *Streams
	remote  data.Hash

	mu sync.Mutex
	// notify is called, in a round and without locks, after the stream was
	// opened, got data or room to write, or ended.
	notify  func(r *host.Round)
	m       machine
	timer   host.Timer
	timerAt time.Time
	queued  bool // some round will end with endRound
	news    bool // which will call notify
	listed  bool // in the table
}

func (ss *Streams) newStream(r *host.Round, remote data.Hash, initiator bool) *Stream {
	room := maxPayload - ss.local.sealedLen()
	return &Stream{
		streams: ss,
		remote:  remote,
		notify:  func(*host.Round) {},
		m:       newMachine(&ss.cfg, &ss.segments, r.Now, initiator, max(room, 0)),
	}
}

// Remote is the hash of the peer's Destination.
func (s *Stream) Remote() data.Hash { return s.remote }

// LocalPort is our port.
func (s *Stream) LocalPort() uint16 { return s.m.localPort }

// RemotePort is the peer's port.
func (s *Stream) RemotePort() uint16 { return s.m.remotePort }

// Peer is the peer's Destination, nil until it has told.
func (s *Stream) Peer() *data.Destination {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m.peer.destination
}

// Established tells whether the peer has answered, and with an error that the
// stream has ended.
func (s *Stream) Established() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m.sendID != 0, s.m.err
}

// Read copies what has arrived to p: 0 and nil when there is nothing yet,
// io.EOF after all of it when the peer has closed.
func (s *Stream) Read(r *host.Round, p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, more, err := s.m.read(r.Now, p)
	if more {
		s.later(r)
	}
	return n, err
}

// Write takes bytes to send, fewer than all when its buffer is full, and
// copies them.
func (s *Stream) Write(r *host.Round, p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.m.write(p)
	if n > 0 {
		s.later(r)
	}
	return n, err
}

// CloseWrite ends our side after what was written.
func (s *Stream) CloseWrite(r *host.Round) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m.send.closing = true
	s.later(r)
}

// Close ends our side after what was written and drops what the peer still
// sends.
func (s *Stream) Close(r *host.Round) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m.closeAll(r.Now)
	s.later(r)
}

// Reset breaks the stream off at once.
func (s *Stream) Reset(r *host.Round) {
	s.mu.Lock()
	s.m.abort(ErrClosed)
	s.news = true
	s.later(r)
	s.mu.Unlock()
	s.flush(r) // the round may end after what carries our packets
}

// deliver takes in a packet for this stream.
func (s *Stream) deliver(r *host.Round, from Sender, p *packet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if from.Bound && from.Hash != s.remote {
		return ErrSignature
	}
	peer, err := p.openOptions(s.m.peer)
	if err != nil {
		return err
	}
	if peer.destination != nil && !peer.is(s.remote) {
		return ErrSignature
	}
	// A RESET may be all that ever comes, without its sender's Destination:
	// then the session is the only proof.
	if peer.destination != nil || !from.Bound {
		if err := p.authentic(r.Now, peer, s.m.peer, from); err != nil {
			return err
		}
	}
	s.m.peer = peer
	if s.m.input(r.Now, p) {
		s.news = true
	}
	s.later(r)
	return nil
}

// wake lets time pass.
func (s *Stream) wake(r *host.Round) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timerAt = time.Time{}
	if s.m.step(r.Now) {
		s.news = true
	}
	s.later(r)
}

// later has the round end with endRound. The lock is held.
func (s *Stream) later(r *host.Round) {
	if !s.queued {
		s.queued = true
		r.Later(host.Encrypt, (*ender)(s))
	}
}

// ender is a Stream as rounds see it.
type ender Stream

// EndRound implements [host.Ender].
func (e *ender) EndRound(r *host.Round) {
	s := (*Stream)(e)
	for notify := s.takeNews(); notify != nil; notify = s.takeNews() {
		notify(r)
	}
	s.flush(r)
}

// takeNews returns notify if it is to be called. From when it is not, a change
// to the stream asks for another EndRound.
func (s *Stream) takeNews() func(r *host.Round) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queued = s.news
	if !s.news {
		return nil
	}
	s.news = false
	return s.notify
}

// flush sends what may go out and arranges for the next step.
func (s *Stream) flush(r *host.Round) {
	ss := s.streams
	out, _ := ss.outboxes.Get().(*outbox)
	if out == nil {
		out = new(outbox)
	}
	s.mu.Lock()
	for {
		p, ok := s.m.output(r.Now)
		if !ok {
			break
		}
		out.add(ss.local.seal(out.bytes, &p, &s.remote))
	}
	ended := s.m.phase == over && s.listed
	if ended {
		s.listed = false
	}
	s.arm(r)
	s.mu.Unlock()

	start := 0
	for _, end := range out.ends {
		// A packet that cannot leave now is lost like any other: it is
		// sent again.
		_ = ss.send(r, s.remote, s.m.localPort, s.m.remotePort, out.bytes[start:end:end])
		start = end
	}
	out.bytes, out.ends = out.bytes[:0], out.ends[:0]
	ss.outboxes.Put(out)
	if ended {
		ss.remove(s)
	}
}

// arm has wake called in time. A timer that fires early only looks again, so
// a later time needs no new one.
func (s *Stream) arm(r *host.Round) {
	at := s.m.wake()
	if at.IsZero() {
		s.stopTimer()
		return
	}
	if !s.timerAt.IsZero() && !s.timerAt.After(at) {
		return
	}
	s.stopTimer()
	s.timerAt = at
	s.timer = s.streams.h.AfterFunc(max(at.Sub(r.Now), 0), s.wake)
}

// stopTimer cancels the next step. The lock is held.
func (s *Stream) stopTimer() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	s.timerAt = time.Time{}
}

// outbox gathers packets under a stream's lock, to be sent without it.
type outbox struct {
	bytes []byte
	ends  []int
}

// add notes that bytes, with one more packet at its end, is what gathered.
func (o *outbox) add(bytes []byte) {
	o.bytes = bytes
	o.ends = append(o.ends, len(bytes))
}
