package sim

import "allium/internal/host"

// ending is how a direction of a connection ends.
type ending uint8

const (
	notEnded ending = iota
	ended           // in order
	reset
)

// maxSegment is the most one read of the receiver takes.
const maxSegment = 64 << 10

// pipe is one direction of a TCP connection: bytes that wait, then bytes cut
// into segments that are under way. It is itself the event at which its first
// segment arrives; the ones behind wait for it, as TCP has it.
type pipe struct {
	w        *World
	from, to *stream
	delay    int64 // one way, without chance
	buf      []byte
	head     int // the first byte not yet delivered
	flight   int // bytes of segments, after head; the rest waits
	unseen   int // bytes delivered whose acknowledgement is under way
	segments []segment
	first    int  // of segments
	lent     bool // bytes before head are lent to the receiver
	queued   bool // the pipe is scheduled
	held     bool // the receiver reads nothing until it is told to
	end      ending
	departed int64 // when the last segment was cut
	since    int64 // when arrivals began to fail, 0 while they do not
	tries    int
}

type segment struct {
	when int64
	n    int
	turn bool // it has had its turn on the receiver's way down
	end  ending
}

// acked tells a sender that n bytes have arrived.
type acked struct {
	p *pipe
	n int
}

// waiting is how many bytes have not been sent.
func (p *pipe) waiting() int { return len(p.buf) - p.head - p.flight }

// push adds bytes that wait.
func (p *pipe) push(b []byte) {
	if len(p.buf)+len(b) > cap(p.buf) && p.head > len(p.buf)/2 && !p.lent {
		n := copy(p.buf, p.buf[p.head:])
		p.buf, p.head = p.buf[:n], 0
	}
	p.buf = append(p.buf, b...)
}

// pump cuts what waits into segments as far as the window allows.
func (p *pipe) pump() {
	if !p.from.open {
		return
	}
	for {
		n := min(p.waiting(), p.w.cfg.Window-p.flight-p.unseen)
		if n <= 0 {
			return
		}
		p.send(p.size(n), notEnded)
	}
}

// size draws how much of n bytes the next segment takes.
func (p *pipe) size(n int) int {
	n = min(n, maxSegment)
	if p.w.cfg.Whole {
		return n
	}
	switch p.w.rand.Uint32() % 16 {
	case 0, 1:
		return 1 + p.w.rand.IntN(n)
	case 2:
		return 1 + p.w.rand.IntN(min(n, 32))
	}
	return n
}

// finish ends the direction after what is under way; what waits for an
// orderly end has been sent by then, or is dropped.
func (p *pipe) finish(end ending) {
	p.buf = p.buf[:p.head+p.flight]
	p.end = end
	if p.from.open {
		p.send(0, end)
	}
}

// send puts a segment on its way.
func (p *pipe) send(n int, end ending) {
	w, m := p.w, p.from.host.machine
	far := &p.to.host.machine.link
	p.flight += n
	if p.joins(n, end) {
		return
	}
	when := w.depart(m, n) + p.delay + int64(m.link.Latency+far.Latency) + w.upTo(m.link.Jitter+far.Jitter)
	for tries := 0; tries < 8 && w.chance(m.link.Loss+far.Loss); tries++ {
		when += p.resend(tries)
	}
	p.departed = w.events.now
	if p.first > 64 && p.first > len(p.segments)/2 {
		n := copy(p.segments, p.segments[p.first:])
		p.segments, p.first = p.segments[:n], 0
	}
	p.segments = append(p.segments, segment{when: when, n: n, end: end})
	p.schedule()
}

// joins puts bytes into the last segment when that left at this very instant,
// by chance: a peer's read does not know where a write ended.
func (p *pipe) joins(n int, end ending) bool {
	last := len(p.segments) - 1
	if last < p.first || end != notEnded || p.w.cfg.Whole || p.departed != p.w.events.now {
		return false
	}
	s := &p.segments[last]
	if s.end != notEnded || s.turn || s.n+n > maxSegment || p.w.rand.Uint32()%2 == 0 {
		return false
	}
	p.w.depart(p.from.host.machine, n)
	s.n += n
	return true
}

// resend is how long the sender waits before its next attempt.
func (p *pipe) resend(tries int) int64 {
	return min(max(minResend, 2*p.delay)<<tries, maxResend)
}

// schedule makes the arrival of the first segment the next event of the pipe.
func (p *pipe) schedule() {
	if !p.queued && !p.held && p.first < len(p.segments) {
		p.queued = true
		p.w.events.at(p.segments[p.first].when, p)
	}
}

// fire is the arrival of the first segment.
func (p *pipe) fire(w *World) {
	p.queued = false
	if p.first == len(p.segments) {
		return
	}
	from, to := p.from.host.machine, p.to.host.machine
	switch {
	case !w.reachable(from, to) || p.from.strayed() || p.to.strayed():
		p.stall()
		return
	case p.to.host.stopped && p.to.done:
		// The machine is there, and knows nothing of the connection.
		p.clear()
		p.from.fail(host.ErrReset, w.events.now+p.delay)
		return
	}
	p.since, p.tries = 0, 0
	s := &p.segments[p.first]
	if !s.turn {
		s.turn = true
		if s.when = w.arrive(to, s.n); s.when > w.events.now {
			p.schedule()
			return
		}
	}
	if room := p.room(); room > 0 {
		p.deliver(p.take(room))
	}
}

// room asks the receiver how much it reads now. With nothing, the pipe is
// held.
func (p *pipe) room() int {
	m, metered := p.to.h.(host.Meter)
	if !metered || p.to.done || p.to.closing || p.segments[p.first].end != notEnded {
		return maxSegment
	}
	n := m.Room(maxSegment)
	if n == 0 {
		p.held = true
		m.Held()
	}
	return n
}

// release has the receiver asked again.
func (p *pipe) release() {
	if p != nil && p.held {
		p.held = false
		p.schedule()
	}
}

// take takes room bytes at most of the first segment, and at random the ones
// behind it that are there as well.
func (p *pipe) take(room int) (n int, end ending) {
	s := p.segments[p.first]
	if s.n > room {
		p.segments[p.first].n -= room
		p.schedule()
		return room, notEnded
	}
	p.first++
	n, end = s.n, s.end
	joins := !p.w.cfg.Whole && p.to.host.machine.link.Down == 0
	for joins && end == notEnded && p.first < len(p.segments) {
		s := p.segments[p.first]
		if s.when > p.w.events.now || s.end != notEnded || n+s.n > room || p.w.rand.Uint32()%2 == 0 {
			break
		}
		n += s.n
		p.first++
	}
	if p.first == len(p.segments) {
		p.segments, p.first = p.segments[:0], 0
	}
	p.schedule()
	return n, end
}

// deliver lends n bytes to the receiver and lets the sender go on.
func (p *pipe) deliver(n int, end ending) {
	b := p.buf[p.head : p.head+n : p.head+n]
	p.head += n
	p.flight -= n
	if p.waiting() > 0 {
		p.unseen += n
		p.w.events.at(p.w.events.now+p.delay, &acked{p, n})
	}
	p.lent = true
	p.to.receive(b, end)
	p.lent = false
	poison(b)
	if p.head == len(p.buf) {
		p.buf, p.head = p.buf[:0], 0
		if cap(p.buf) > maxSegment {
			p.buf = nil
		}
	}
}

func (a *acked) fire(*World) {
	p := a.p
	p.unseen -= a.n
	if p.from.done || p.end != notEnded || p.waiting() == 0 {
		return
	}
	p.pump()
	if p.waiting() == 0 {
		p.from.emptied()
	}
}

// stall waits and tries again, until the sender gives up.
func (p *pipe) stall() {
	w := p.w
	if p.from.done && !p.from.closing {
		p.clear()
		return
	}
	if p.since == 0 {
		p.since = w.events.now
	}
	limit := p.since + int64(w.cfg.StreamTimeout)
	if w.events.now >= limit {
		p.clear()
		p.from.fail(host.ErrTimeout, w.events.now)
		return
	}
	p.queued = true
	w.events.at(min(w.events.now+p.resend(p.tries), limit), p)
	p.tries = min(p.tries+1, 8)
}

// cut drops what waits.
func (p *pipe) cut() { p.buf = p.buf[:p.head+p.flight] }

// clear drops what is under way as well.
func (p *pipe) clear() {
	p.buf, p.head, p.flight = nil, 0, 0
	p.segments, p.first = nil, 0
}
