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
	gone    bool // no longer in the table
}

// Remote is the hash of the peer's Destination.
func (s *Stream) Remote() data.Hash { return s.remote }

// LocalPort and RemotePort are the two ends within their Destinations.
func (s *Stream) LocalPort() uint16 { return s.m.localPort }

// RemotePort is the peer's port.
func (s *Stream) RemotePort() uint16 { return s.m.remotePort }

// Peer is the peer's Destination, nil until it has told.
func (s *Stream) Peer() *data.Destination {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m.peer
}

// Established tells whether the peer has answered, and with an error that it
// never will.
func (s *Stream) Established() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m.sendID != 0, s.m.err
}

// Read copies what has arrived to p: 0 and nil when there is nothing yet,
// io.EOF after all of it when the peer has closed.
func (s *Stream) Read(r *host.Round, p []byte) (int, error) {
	s.mu.Lock()
	n, more, err := s.m.read(r.Now, p)
	s.mu.Unlock()
	if more {
		s.flush(r)
	}
	return n, err
}

// Write takes bytes to send, fewer than all when its buffer is full, and
// copies them.
func (s *Stream) Write(r *host.Round, p []byte) (int, error) {
	s.mu.Lock()
	n, err := s.m.write(p)
	s.mu.Unlock()
	if n > 0 {
		s.flush(r)
	}
	return n, err
}

// CloseWrite ends our side after what was written.
func (s *Stream) CloseWrite(r *host.Round) {
	s.mu.Lock()
	s.m.closeSend()
	s.mu.Unlock()
	s.flush(r)
}

// Close ends our side after what was written and drops what the peer still
// sends.
func (s *Stream) Close(r *host.Round) {
	s.mu.Lock()
	s.m.closeAll()
	if s.m.sendID == 0 {
		s.m.fail(ErrClosed)
	}
	s.m.maybeFinish(r.Now)
	s.mu.Unlock()
	s.flush(r)
}

// Reset breaks the stream off at once.
func (s *Stream) Reset(r *host.Round) { s.abort(r, ErrClosed) }

func (s *Stream) abort(r *host.Round, err error) {
	s.mu.Lock()
	s.m.abort(err)
	notify := s.notify
	s.mu.Unlock()
	s.flush(r)
	notify(r)
}

// deliver takes in a packet for this stream.
func (s *Stream) deliver(r *host.Round, from Sender, p *packet) error {
	s.mu.Lock()
	peer, err := s.authenticate(r.Now, from, p)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	s.m.peer = peer
	news, notify := s.m.input(r.Now, p), s.notify
	s.mu.Unlock()
	s.flush(r)
	if news {
		notify(r)
	}
	return nil
}

// authenticate checks that p comes from this stream's peer.
func (s *Stream) authenticate(now time.Time, from Sender, p *packet) (*data.Destination, error) {
	peer, err := p.openOptions(s.m.peer)
	if err != nil {
		return nil, err
	}
	if peer != nil && peer.Hash() != s.remote || from.Bound && from.Hash != s.remote {
		return nil, ErrSignature
	}
	return peer, p.authentic(now, peer, from)
}

// wake lets time pass.
func (s *Stream) wake(r *host.Round) {
	s.mu.Lock()
	s.timerAt = time.Time{}
	ended, notify := s.m.step(r.Now), s.notify
	s.mu.Unlock()
	s.flush(r)
	if ended {
		notify(r)
	}
}

// flush sends what may go out and arranges for the next step.
func (s *Stream) flush(r *host.Round) {
	out := outboxes.Get().(*outbox)
	s.mu.Lock()
	for {
		p, ok := s.m.output(r.Now)
		if !ok {
			break
		}
		out.add(s.streams.local.seal(out.bytes, p, s.remote))
	}
	over := s.m.phase == over && !s.gone
	if over {
		s.gone = true
	}
	s.arm(r)
	s.mu.Unlock()

	out.each(func(b []byte) {
		// A packet that cannot leave now is lost like any other: it is
		// sent again.
		_ = s.streams.send(r, s.remote, s.m.localPort, s.m.remotePort, b)
	})
	outboxes.Put(out)
	if over {
		s.streams.remove(s)
	}
}

// arm has wake called in time. A timer that fires early only looks again, so
// a later time needs no new one.
func (s *Stream) arm(r *host.Round) {
	at := s.m.wake()
	if at.IsZero() || !s.timerAt.IsZero() && !s.timerAt.After(at) {
		return
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	s.timerAt = at
	s.timer = s.streams.h.AfterFunc(max(at.Sub(r.Now), 0), s.wake)
}

// outbox gathers packets under a stream's lock, to be sent without it.
type outbox struct {
	bytes []byte
	ends  []int
}

var outboxes = sync.Pool{New: func() any { return new(outbox) }}

// add notes that bytes, with one more packet at its end, is what gathered.
func (o *outbox) add(bytes []byte) {
	o.bytes = bytes
	o.ends = append(o.ends, len(bytes))
}

// each hands over packet by packet and empties the outbox.
func (o *outbox) each(f func(b []byte)) {
	start := 0
	for _, end := range o.ends {
		f(o.bytes[start:end:end])
		start = end
	}
	o.bytes, o.ends = o.bytes[:0], o.ends[:0]
}
