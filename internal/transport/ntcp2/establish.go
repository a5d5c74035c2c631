package ntcp2

import (
	"errors"
	"fmt"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/noise"
	"allium/internal/random"
	"allium/internal/transport/block"
)

const (
	// pendingShaking bounds what is kept of a handshake: a message and what is
	// too much of it.
	pendingShaking = 8 << 10
	// pendingFrames bounds what is kept once the peer may go on with frames,
	// while a worker looks at its message 3 or hands up what came before. It
	// may have a long queue for us and there is no way to slow it down.
	pendingFrames = 1 << 20
	// maxSwallow is the most that is read after a wrong message 1.
	maxSwallow = 288
)

// enqueue keeps bytes for the worker, and starts one when there are enough for
// the next step of the handshake. It reports false when they are for nobody
// but the caller.
func (s *Session) enqueue(b []byte) bool {
	s.mu.Lock()
	if !s.busy && s.state != shaking {
		s.mu.Unlock()
		return false
	}
	if s.cause != nil {
		s.mu.Unlock()
		return true
	}
	limit := pendingShaking
	if s.framesMayCome {
		limit = pendingFrames
	}
	flood := len(s.pending)+len(b) > limit
	if !flood {
		s.pending = append(s.pending, b...)
	}
	start := !flood && !s.busy && len(s.pending) >= s.machine.need()
	s.busy = s.busy || start
	s.mu.Unlock()
	switch {
	case flood:
		s.fail(fmt.Errorf("ntcp2: %w: too many bytes", ErrHandshake))
	case start:
		s.startWork()
	}
	return true
}

// startWork has a worker go on. busy is set.
func (s *Session) startWork() {
	leave := s.e.host.Spawn
	if s.class != bandwidth.Own {
		leave = s.e.host.Serve
	}
	if leave(s.work) {
		return
	}
	s.mu.Lock()
	s.busy = false
	s.mu.Unlock()
	s.fail(fmt.Errorf("ntcp2: handshake: %w", ErrBusy))
}

// work runs the handshake as far as the bytes reach, and hands up what has
// come behind it.
func (s *Session) work(r *host.Round) {
	for {
		b, do := s.nextWork()
		switch do {
		case doStep:
			s.step(r, b)
		case doReceive:
			s.receive(r, b)
			s.in.lent()
			s.served = bandwidth.Bytes{} // counted when it came
		case doFinish:
			s.finish(r)
			return
		case doRest:
			return
		}
	}
}

// task is what there is to do for a worker.
type task uint8

const (
	doRest task = iota
	doStep
	doReceive
	doFinish
)

// nextWork gives the next task and its bytes, or puts busy down.
func (s *Session) nextWork() ([]byte, task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.cause != nil:
	case s.state == shaking && len(s.pending) >= s.machine.need():
		n := s.machine.need()
		b := s.pending[:n:n]
		s.pending = s.pending[n:]
		return b, doStep
	case s.state == established && len(s.pending) > 0:
		b := s.pending
		s.pending = nil
		return b, doReceive
	}
	s.busy = false
	if s.gone != nil {
		return nil, doFinish
	}
	return nil, doRest
}

// step does one step of the handshake with the bytes it needs.
func (s *Session) step(r *host.Round, b []byte) {
	message, err := s.machine.step(r.Now, b)
	if message != nil && s.hasPending() {
		message, err = nil, fmt.Errorf("ntcp2: %w: bytes where none may be", ErrHandshake)
	}
	s.reportSkew(r, err)
	switch {
	case err != nil:
		s.refuse(r, message, err)
	case s.machine.done():
		s.establish(r, message)
	case message != nil:
		s.answer(r.Now, message)
	}
}

// answer sends message 1 or 2. After message 3, which answers message 2, the
// peer may go on at once.
func (s *Session) answer(now time.Time, message []byte) {
	s.answered = true
	s.mu.Lock()
	s.framesMayCome = s.inbound
	s.mu.Unlock()
	s.writeMessage(now, message)
}

// writeMessage writes message 1 or 2, whole. If the connection is gone, Closed
// will tell.
func (s *Session) writeMessage(now time.Time, message []byte) {
	s.wireOut.Add(uint64(len(message)))
	s.e.pacer.Settle(now, &s.place, bandwidth.Bytes{}, s.handshake(len(message)))
	s.stream.Write(message)
}

func (s *Session) hasPending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending) > 0
}

// reportSkew tells the handler once what the handshake says of the peer's
// clock: at its end, or when it ends for that.
func (s *Session) reportSkew(r *host.Round, err error) {
	found := s.machine.outcome()
	if errors.Is(err, ErrClockSkew) || err == nil && s.machine.done() {
		var peer data.Hash
		if found.ri != nil {
			peer = found.ri.Hash()
		}
		s.e.up.ClockSkew(r, peer, s.remote, found.skew)
	}
}

// refuse ends a handshake in the way that fits how far it has come.
func (s *Session) refuse(r *host.Round, message []byte, err error) {
	var told *Termination
	switch {
	case message != nil:
		// The peer may know our time, but no more.
		s.writeMessage(r.Now, message)
		s.mu.Lock()
		s.end(err)
		s.mu.Unlock()
		s.stream.Close()
	case errors.As(err, &told):
		s.useKeys()
		s.mu.Lock()
		if s.cause == nil {
			s.end(err)
			s.state = ending
			s.markDirty(r)
		}
		s.mu.Unlock()
	case s.inbound && !s.answered:
		s.lieLow(err)
	default:
		s.fail(err)
	}
}

// lieLow keeps from whoever sent a wrong message 1 that it was wrong: we read
// on for a number of bytes nobody knows, or until the handshake takes too
// long, and then reset.
func (s *Session) lieLow(err error) {
	s.mu.Lock()
	s.end(err)
	s.state = lyingLow
	s.drain = random.IntN(maxSwallow)
	n := len(s.pending)
	s.pending = nil
	s.mu.Unlock()
	s.swallow(n)
}

func (s *Session) probed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == lyingLow
}

// swallow counts bytes that mean nothing.
func (s *Session) swallow(n int) {
	s.drain -= n
	if s.drain <= 0 {
		s.stream.Reset()
	}
}

// establish makes a session of a finished handshake, if the handler wants it.
func (s *Session) establish(r *host.Round, message []byte) {
	found := s.machine.outcome()
	if reason := s.e.up.CheckPeer(r.Now, found.ri, s.remote, s.inbound); reason != block.Unspecified {
		err := &Termination{Reason: reason}
		if s.inbound {
			s.refuse(r, nil, err)
		} else {
			s.fail(err) // before message 3 has said who we are
		}
		return
	}
	s.useKeys()
	s.machine = nil
	s.active.Store(r.Now.UnixNano())
	s.heard.Store(r.Now.UnixNano())
	resend := r.Now.Add(random.Between(resendMin, resendMax))

	s.mu.Lock()
	if s.gone != nil {
		s.end(s.gone)
	}
	if s.cause != nil {
		s.mu.Unlock()
		return
	}
	s.state, s.known, s.framesMayCome = established, true, true
	s.ri, s.peer = found.ri, found.ri.Hash()
	s.first = message
	s.resend = resend
	s.idle = s.e.cfg.IdleTimeout + random.Between(-idleSpread, idleSpread)
	s.markDirty(r)
	s.mu.Unlock()

	s.schedule(s.idle/ticks, s.tick)
	s.leaveHalfOpen()
	s.e.stats.established(s.inbound)
	s.e.up.Established(r, s)
	if s.inbound {
		s.tellRouterInfo(r)
	}
}

// useKeys takes up the secrets of the handshake.
func (s *Session) useKeys() {
	found := s.machine.outcome()
	s.in = newReceiver(&found.receive)
	s.out = noise.NewCipher(&found.send.key)
	s.lengths = newMask(&found.send.sip)
}
