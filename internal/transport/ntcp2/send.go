package ntcp2

import (
	"errors"
	"fmt"
	"math"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/transport/block"
)

// What Send reports, made once so that a full queue costs nothing more.
var (
	errSendFull    = fmt.Errorf("ntcp2: send: %w", host.ErrFull)
	errSendClosed  = fmt.Errorf("ntcp2: send: %w", host.ErrClosed)
	errSendTooLong = fmt.Errorf("ntcp2: send: %w", ErrTooLong)
)

// noLimit is the time messages other than those in transit may wait: as long
// as they are of use.
const noLimit = time.Duration(math.MaxInt64)

// Send copies m to what waits in the session, which is sealed and written when
// the round ends or as soon as the session is established. Messages go in the
// order of their classes, and where the queue is full the oldest of those that
// go last make room. It fails with host.ErrFull, host.ErrClosed and ErrTooLong.
func (s *Session) Send(r *host.Round, m i2np.Message, c bandwidth.Class) error {
	size := block.I2NPSize(m)
	if size > maxFrame {
		return errSendTooLong
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil {
		return errSendClosed
	}
	if !s.makeRoom(size, c) {
		s.sent.Dropped++
		return errSendFull
	}
	s.queues[c].push(r.Now, m)
	if s.state == established {
		s.markDirty(r)
	}
	return nil
}

// makeRoom drops what a message of class c goes before, until there is room
// for size bytes of it. Messages in transit give way to newer ones, but a
// quarter of the queue is theirs: when our own have to wait for their limit,
// transit may still have its own. It reports false when there is no room, and
// then drops nothing. Under mu.
func (s *Session) makeRoom(size int, c bandwidth.Class) bool {
	limit := int(s.e.cfg.QueueSize)
	if c != bandwidth.Transit && s.waiting(c+1)+size > limit-limit/4 {
		return false
	}
	for last := bandwidth.Transit; s.waiting(bandwidth.Classes)+size > limit; {
		if s.queues[last].empty() {
			last--
			continue
		}
		s.queues[last].pop()
		s.sent.Dropped++
	}
	return true
}

// waiting is how many bytes wait in the classes before end. Under mu.
func (s *Session) waiting(end bandwidth.Class) (n int) {
	for i := range end {
		n += s.queues[i].size()
	}
	return n
}

// markDirty has the session sealed when the round ends. Under mu.
func (s *Session) markDirty(r *host.Round) {
	if !s.dirty {
		s.dirty = true
		r.Later(host.Seal, link{s})
	}
}

// EndRound implements [host.Ender]: it seals and writes what waits.
func (l link) EndRound(r *host.Round) {
	l.s.mu.Lock()
	l.s.dirty = false
	l.s.mu.Unlock()
	l.seal(r)
}

// seal seals and writes what waits, as far as the limits of bandwidth let it
// and the stream takes it. Frames must be written in the order they were
// sealed, so only one round does that at a time, and the others leave it their
// work.
func (l link) seal(r *host.Round) {
	s := l.s
	s.mu.Lock()
	if s.sealing {
		s.again = true
		s.mu.Unlock()
		return
	}
	s.sealing = true
	s.mu.Unlock()
	b := r.Gather(host.Seal, &s.e.batches).(*batch)
	for more := true; more; {
		// Above the half, the stream tells when it is empty again.
		room := s.stream.Queued() <= host.StreamQueue/2
		took := s.take(r.Now, room)
		b.reset(took)
		more = s.fill(r.Now, b, room)
		s.e.pacer.Settle(r.Now, &s.place, took, b.sealed)
		s.write(r.Now, b)
	}
}

// fill takes what is to be written next out of the queues, or puts sealing
// down and reports false.
func (s *Session) fill(now time.Time, b *batch, room bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if room && (s.cause == nil && s.state == established || s.state == ending) {
		s.pack(now, b)
	}
	if s.state == ending && (!room || len(b.buf) == 0) {
		s.packTermination(b)
	}
	switch {
	case len(b.buf) > 0:
		s.full = time.Time{}
	case s.again:
		s.again = false
	default:
		if !room && s.full.IsZero() {
			s.full = now
		}
		s.sealing = false
		return false
	}
	return true
}

// pack fills frames with what waits: message 3 before them, then control
// blocks, and messages in the order of their classes. Under mu.
func (s *Session) pack(now time.Time, b *batch) {
	b.buf = append(b.buf, s.first...)
	s.first = nil
	b.sealed[bandwidth.Control] += len(b.buf)
	for len(b.buf) < batchSize {
		b.open()
		b.buf = append(b.buf, s.control...)
		s.control = nil
		for c := range bandwidth.Classes {
			s.packMessages(now, b, c)
		}
		if !b.close(s.e.cfg.Padding) {
			return
		}
	}
}

// packMessages fills the open frame from one queue, and drops what is of no
// use any more, or is in transit and has waited too long.
func (s *Session) packMessages(now time.Time, b *batch, c bandwidth.Class) {
	q, sent := &s.queues[c], &s.sent.Sent[c]
	age := noLimit
	if c == bandwidth.Transit {
		age = s.e.cfg.QueueAge
	}
	for !q.empty() {
		it, message := q.front()
		switch {
		case it.late(now):
			s.sent.Expired++
		case it.older(now, age):
			s.sent.Dropped++
		case !b.fits(it.size) || !b.mayTake(c):
			return
		default:
			b.add(c, message)
			sent.Messages++
			sent.Bytes += uint64(it.size - block.HeaderSize)
		}
		q.pop()
	}
}

// packTermination makes the last frame. Under mu.
func (s *Session) packTermination(b *batch) {
	var told *Termination
	errors.As(s.cause, &told)
	b.open()
	b.buf = block.AppendTermination(b.buf, block.TypeTerminationNTCP2, block.Termination{
		Received: s.framesIn.Load(),
		Reason:   told.Reason,
	})
	b.close(s.e.cfg.Padding)
	b.last = true
	s.state = over
}

// write seals a batch and writes it at once.
func (s *Session) write(now time.Time, b *batch) {
	if len(b.buf) == 0 {
		return
	}
	b.seal(s.out, &s.lengths)
	if err := s.stream.Write(b.buf); err != nil {
		s.fail(fmt.Errorf("ntcp2: write: %w", err))
		return
	}
	s.active.Store(now.UnixNano())
	s.wireOut.Add(uint64(len(b.buf)))
	if b.last {
		s.stream.Close()
	}
}
