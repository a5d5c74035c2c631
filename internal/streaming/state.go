package streaming

import (
	"errors"
	"io"
	"time"
)

// Errors a stream ends with.
var (
	// ErrReset: the peer broke the stream off, or refused it.
	ErrReset = errors.New("streaming: reset by peer")
	// ErrTimeout: the peer did not answer, however often it was asked. It is
	// a [net.Error] with Timeout.
	ErrTimeout error = timeoutError{}
	// ErrClosed: this side has closed the stream.
	ErrClosed = errors.New("streaming: closed")
)

type timeoutError struct{}

func (timeoutError) Error() string   { return "streaming: peer does not answer" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return false }

// phase is how far a stream has come.
type phase uint8

const (
	connecting phase = iota // our SYN is out
	established
	lingering // both sides have ended it; late packets are still answered
	over
)

const (
	// linger is how long a stream that both sides have closed answers the
	// peer's repeated CLOSE.
	linger = 30 * time.Second
	// inactivity is how long a stream is left alone before the peer is asked
	// whether it is still there.
	inactivity = 90 * time.Second
	// maxPayload is what one packet carries over ratchet sessions, in bytes.
	maxPayload = 1812
	// oldPayload is what a peer takes that does not say.
	oldPayload = 1730
	// minPayload is the least a peer may ask for.
	minPayload = 512
)

// machine is one stream as a step machine: packets and time go in, packets
// and the time of the next step come out. It does no input or output itself.
type machine struct {
	localPort, remotePort uint16
	receiveID             uint32 // ours: packets to us carry it as sendID
	sendID                uint32 // the peer's; 0 until known
	initiator             bool
	greeted               bool // our SYN was sent

	phase  phase
	peer   identity // once a packet has proved it
	send   sender
	recv   receiver
	err    error     // why it ended, for reader and writer
	reset  bool      // a RESET is owed to the peer
	until  time.Time // of connecting and lingering
	active time.Time // when a packet last came or went
}

// newMachine makes a stream that begins at now. synRoom is how much of a
// packet a SYN leaves for data.
func newMachine(cfg *Config, pool *segments, now time.Time, initiator bool, synRoom int) machine {
	m := machine{initiator: initiator, active: now}
	m.send = newSender(pool, cfg.MaxWindow, synRoom)
	m.recv.pool = pool
	if initiator {
		m.until = now.Add(cfg.ConnectTimeout)
	}
	return m
}

// input takes in a packet that belongs to this stream and has passed
// authentic. It reports whether a reader, writer or waiting dialler has
// something new.
func (m *machine) input(now time.Time, p *packet) bool {
	if m.phase == over {
		return false
	}
	if p.has(flagReset) {
		m.fail(ErrReset)
		return true
	}
	if m.sendID != 0 && p.receiveID != m.sendID {
		return false // of some other stream
	}
	m.active = now
	m.send.silences = 0
	news := false
	if p.has(flagSYN) {
		news = m.learn(p)
	}
	news = m.acknowledged(now, p) || news
	if p.isAck() {
		if p.asksAck() {
			m.recv.ackNow(now)
		}
	} else if m.unwanted(p) {
		m.fail(ErrClosed)
		m.reset = true
		return true
	} else {
		m.recv.hold = m.send.rtt.ackDelay()
		news = m.recv.accept(now, p) || news
		if p.asksAck() {
			m.recv.ackNow(now)
		}
	}
	m.maybeFinish(now)
	return news
}

// unwanted tells that data comes for a stream this side has closed for good,
// after all of our own has arrived: time to tell the peer so.
func (m *machine) unwanted(p *packet) bool {
	return m.recv.discarding && m.send.done() && len(p.payload) > 0 && p.sequence >= m.recv.expected
}

// acknowledged takes in what p says about our packets: what has arrived, and
// whether the peer can keep up. Before it knows our id it says nothing.
func (m *machine) acknowledged(now time.Time, p *packet) bool {
	if p.sendID == 0 {
		return false
	}
	acked := !p.has(flagNoAck) && m.send.acknowledge(now, p)
	switch {
	case p.has(flagDelay) && p.delay >= chokeFrom:
		m.send.choke(now)
	case p.has(flagDelay) || acked:
		// A peer that goes on choking would have said so here.
		m.send.choked = false
	}
	return acked
}

// learn takes the peer's stream id and packet size from its SYN, which
// establishes the stream. A SYN that comes again asks for our answer again.
func (m *machine) learn(p *packet) bool {
	if m.sendID != 0 {
		if !m.initiator {
			m.send.repeatFirst()
		}
		return false
	}
	m.sendID = p.receiveID
	m.phase = established
	m.until = time.Time{}
	size := oldPayload
	if p.has(flagMaxSize) {
		size = max(int(p.maxSize), minPayload)
	}
	m.send.mtu = min(m.send.mtu, size)
	m.send.synRoom = min(m.send.synRoom, size)
	return true
}

// step lets time pass. It reports whether the stream has ended by it.
func (m *machine) step(now time.Time) bool {
	late := !m.until.IsZero() && !now.Before(m.until)
	switch {
	case m.phase == over:
		return false
	case m.phase == lingering:
		if late {
			m.phase = over
			m.recv.drop()
		}
		return false
	case late: // connecting
		m.fail(ErrTimeout)
		return true
	}
	if m.idle() && !now.Before(m.active.Add(inactivity)) {
		m.active = now
		m.send.probe()
		m.send.waiting.release()
		m.recv.ready.release()
	}
	if !m.send.timeouts(now) {
		m.reset = m.sendID != 0
		m.fail(ErrTimeout)
		return true
	}
	m.maybeFinish(now)
	return false
}

// idle tells that nothing happens unless the user or the peer begins.
func (m *machine) idle() bool { return m.phase == established && m.send.idle() }

// output returns the next packet to send now, in scratch memory that is good
// until the next call. ok is false when there is none.
func (m *machine) output(now time.Time) (p packet, ok bool) {
	p = packet{sendID: m.sendID, receiveID: m.receiveID}
	if m.reset {
		// i2pd heeds a RESET in its turn only.
		m.reset = false
		p.flags = flagReset | flagNoAck
		if m.greeted {
			p.sequence = m.send.next
		}
		return p, true
	}
	if m.phase == over {
		return p, false
	}
	if seg := m.send.due(now, m.sendID != 0); seg != nil {
		last := m.send.sent(now, seg)
		m.active = now
		p.sequence, p.flags, p.payload = seg.sequence, seg.flags, seg.payload
		if seg.flags&flagSYN != 0 {
			m.greeted = true
			p.flags |= flagMaxSize
			p.maxSize = maxPayload
		} else if last {
			p.flags |= flagDelay // of zero: acknowledge at once
		}
		m.report(&p)
		return p, true
	}
	if m.sendID != 0 && !m.recv.ackAt.IsZero() && !now.Before(m.recv.ackAt) {
		m.report(&p)
		return p, p.flags&flagNoAck == 0
	}
	return p, false
}

// report adds what has been received, which a peer understands once it has
// given its id.
func (m *machine) report(p *packet) {
	if m.sendID == 0 {
		p.flags |= flagNoAck
		return
	}
	m.recv.state(p)
}

// wake is when step and output want to be called again although nothing
// arrives. Zero for never.
func (m *machine) wake() time.Time {
	if m.phase == over {
		return time.Time{}
	}
	at := earlier(m.send.wake(), m.until)
	if m.sendID != 0 {
		at = earlier(at, m.recv.ackAt)
	}
	if m.idle() {
		at = earlier(at, m.active.Add(inactivity))
	}
	return at
}

// earlier returns the earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// closeAll ends our side and takes no interest in what the peer still sends.
func (m *machine) closeAll(now time.Time) {
	if m.phase == connecting && m.send.waiting.n == 0 && m.send.unacked == 0 {
		m.fail(ErrClosed) // nothing to deliver
		return
	}
	m.send.closing = true
	m.recv.discard(now)
	m.maybeFinish(now)
}

// maybeFinish ends the stream when both sides have closed and all is
// acknowledged. A peer that never closes is not waited for after closeAll.
func (m *machine) maybeFinish(now time.Time) {
	if m.phase != established || !m.recv.ended && !m.recv.discarding {
		return
	}
	if m.recv.ended && m.send.saidGoodbye() {
		m.send.drop()
	}
	if m.send.done() {
		m.phase = lingering
		m.until = now.Add(linger)
	}
}

// abort breaks the stream off and owes the peer a RESET.
func (m *machine) abort(err error) {
	if m.phase == over {
		return
	}
	m.reset = m.sendID != 0 && m.phase != lingering
	m.fail(err)
}

func (m *machine) fail(err error) {
	m.phase = over
	if m.err == nil {
		m.err = err
	}
	m.send.drop()
	m.recv.drop()
}

// read copies what is ready to p: zero bytes with no error when there is
// nothing yet, io.EOF after the peer's CLOSE.
func (m *machine) read(now time.Time, p []byte) (n int, more bool, err error) {
	n, unchoked := m.recv.read(now, p)
	if n > 0 || len(p) == 0 {
		return n, unchoked, nil
	}
	if m.recv.ended {
		return 0, unchoked, io.EOF
	}
	return 0, unchoked, m.err
}

// write takes bytes to send: zero with no error when there is no room yet.
func (m *machine) write(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	if m.send.closing {
		return 0, ErrClosed
	}
	return m.send.write(p), nil
}
