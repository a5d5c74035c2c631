package ntcp2

import (
	"fmt"
	"time"

	"allium/internal/host"
	"allium/internal/random"
	"allium/internal/transport/block"
)

const (
	// idleSpread is by how much the idle times of sessions differ.
	idleSpread = 5 * time.Second
	// resendMin and resendMax bound the time after which our RouterInfo and
	// the time are sent again.
	resendMin, resendMax = 25 * time.Minute, 50 * time.Minute
	// ticks is how often a session looks after itself in its idle time.
	ticks = 8
)

// Close ends the session and tells the peer why, after what waits to be sent,
// as far as the connection takes it. Before the session is established it is
// cut off without a word. Handler.Closed follows in a later round.
func (s *Session) Close(r *host.Round, reason block.Reason) {
	s.terminate(r, &Termination{Reason: reason})
}

// Cut ends the session without a word, when nobody is there to hear one.
// Handler.Closed follows in a later round, with host.ErrClosed.
func (s *Session) Cut() { s.fail(host.ErrClosed) }

// terminate ends the session with a Termination, which cause wraps.
func (s *Session) terminate(r *host.Round, cause error) {
	s.mu.Lock()
	tell := s.state == established && s.cause == nil
	s.end(cause)
	if tell {
		s.state = ending
		s.markDirty(r)
	}
	silent := s.state < established
	s.mu.Unlock()
	if silent {
		s.stream.Reset()
	}
}

// fail ends the session without a word.
func (s *Session) fail(cause error) {
	s.mu.Lock()
	s.end(cause)
	s.mu.Unlock()
	s.stream.Reset()
}

// end notes why the session ends, unless that is known. Under mu.
func (s *Session) end(cause error) {
	if s.cause == nil {
		s.cause = cause
		s.ended.Store(true)
	}
}

// finish takes leave of the handler, when the stream is gone and nobody works
// on the session any more.
func (s *Session) finish(r *host.Round) {
	s.machine, s.in = nil, receiver{}
	s.mu.Lock()
	s.end(s.gone)
	s.state = over
	cause := s.cause
	known := s.known || !s.inbound
	timer := s.timer
	clear(s.queues[:])
	s.pending, s.first, s.control = nil, nil, nil
	s.mu.Unlock()

	if timer != nil {
		timer.Stop()
	}
	s.e.pacer.Leave(&s.place)
	s.leaveHalfOpen()
	if known {
		s.e.up.Closed(r, s, cause)
		return
	}
	s.e.stats.refused(cause)
	s.e.up.Refused(r, s.remote, cause)
}

// schedule puts f in the place of the session's timer.
func (s *Session) schedule(d time.Duration, f func(r *host.Round)) {
	next := s.e.host.AfterFunc(d, f)
	s.mu.Lock()
	before := s.timer
	s.timer = next
	if s.state == over {
		before = next
	}
	s.mu.Unlock()
	if before != nil {
		before.Stop()
	}
}

// expire ends a handshake that takes too long.
func (s *Session) expire(*host.Round) {
	s.mu.Lock()
	late := s.state < established
	if late {
		s.end(fmt.Errorf("ntcp2: handshake: %w", host.ErrTimeout))
	}
	s.mu.Unlock()
	if late {
		s.stream.Reset()
	}
}

// tick looks after an established session again and again.
func (s *Session) tick(r *host.Round) {
	s.mu.Lock()
	if s.state != established {
		s.mu.Unlock()
		return
	}
	quiet := r.Now.Sub(time.Unix(0, s.active.Load()))
	idle := quiet >= s.idle
	stalled := !s.full.IsZero() && r.Now.Sub(s.full) >= s.e.cfg.StallTimeout
	due := !r.Now.Before(s.resend)
	for i := range s.queues {
		s.queues[i].shrink()
	}
	s.mu.Unlock()

	switch {
	case stalled:
		s.fail(fmt.Errorf("ntcp2: %w", ErrStalled))
		return
	case idle:
		s.Close(r, block.IdleTimeout)
		return
	case due:
		s.tellRouterInfo(r)
	}
	s.schedule(s.idle/ticks, s.tick)
}

// tellRouterInfo sends the time and our RouterInfo, and will again.
func (s *Session) tellRouterInfo(r *host.Round) {
	ri := s.e.local.RouterInfo(r.Now).Bytes()
	control := make([]byte, 0, block.DateTimeSize+block.RouterInfoSize(ri))
	control = block.AppendDateTime(control, r.Now)
	control = block.AppendRouterInfo(control, ri, false)
	again := r.Now.Add(random.Between(resendMin, resendMax))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resend = again
	s.control = control
	s.markDirty(r)
}
