package streaming

import (
	"errors"
	"io"
	"time"

	"allium/internal/data"
)

// Errors a stream ends with.
var (
	// ErrReset: the peer broke the stream off, or refused it.
	ErrReset = errors.New("streaming: reset by peer")
	// ErrTimeout: the peer did not answer, however often it was asked.
	ErrTimeout = errors.New("streaming: peer does not answer")
	// ErrClosed: this side has closed the stream.
	ErrClosed = errors.New("streaming: closed")
)

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
	// maxPayload is what one packet carries over ratchet sessions.
	maxPayload = 1812
	// minPayload is the least a peer may ask for.
	minPayload = 512
)

// machine is one stream as a step machine: packets and time go in, packets
// and the time of the next step come out. It does no input or output itself.
type machine struct {
	local  *Local
	remote data.Hash
	peer   *data.Destination // of the peer, once a packet has carried it

	localPort, remotePort uint16
	receiveID             uint32 // ours: packets to us carry it as sendID
	sendID                uint32 // the peer's; 0 until known
	initiator             bool

	phase   phase
	send    sender
	recv    receiver
	err     error // why it ended, for reader and writer
	resetTo bool  // a RESET is owed to the peer
	until   time.Time
}

func newMachine(cfg *Config, local *Local, remote data.Hash, initiator bool) machine {
	m := machine{local: local, remote: remote, initiator: initiator}
	m.send.mtu = maxPayload
	m.send.window = newWindow(cfg.MaxWindow)
	m.send.push(flagSYN)
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
	news := false
	if p.has(flagSYN) {
		news = m.learn(p)
	}
	if !p.has(flagNoAck) {
		news = m.send.acknowledge(now, p) || news
	}
	if p.has(flagDelay) {
		m.choke(now, p.delay)
	}
	if !p.isAck() {
		news = m.recv.accept(now, p) || news
	}
	m.maybeFinish(now)
	return news
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
	if p.has(flagMaxSize) {
		m.send.mtu = min(m.send.mtu, max(int(p.maxSize), minPayload))
	}
	return true
}

// choke obeys a peer that cannot keep up, until it says otherwise.
func (m *machine) choke(now time.Time, delay uint16) {
	was := m.send.choked
	m.send.choked = delay > chokeAbove
	if m.send.choked && !was {
		m.send.probeAt = now.Add(chokeProbe)
	}
}

// step lets time pass. It reports whether the stream has ended by it.
func (m *machine) step(now time.Time) bool {
	switch m.phase {
	case over:
		return false
	case lingering:
		if !now.Before(m.until) && m.recv.ackAt.IsZero() {
			m.phase = over
		}
		return false
	}
	if !m.send.timeouts(now) {
		m.fail(ErrTimeout)
		m.resetTo = m.sendID != 0
		return true
	}
	return false
}

// output returns the next packet to send now, in scratch memory that is good
// until the next call. ok is false when there is none.
func (m *machine) output(now time.Time) (p packet, ok bool) {
	p = packet{sendID: m.sendID, receiveID: m.receiveID}
	if m.resetTo {
		m.resetTo = false
		p.flags = flagReset | flagNoAck
		return p, true
	}
	if m.phase == over {
		return p, false
	}
	if seg := m.send.due(now, m.sendID != 0); seg != nil {
		m.send.sent(now, seg)
		p.sequence, p.flags, p.payload = seg.sequence, seg.flags, seg.payload
		if seg.flags&flagSYN != 0 {
			p.flags |= flagMaxSize
			p.maxSize = maxPayload
		}
		m.recv.state(&p)
		return p, true
	}
	if !m.recv.ackAt.IsZero() && !now.Before(m.recv.ackAt) {
		m.recv.state(&p)
		return p, true
	}
	return p, false
}

// wake is when step and output want to be called again although nothing
// arrives. Zero for never.
func (m *machine) wake() time.Time {
	if m.phase == over {
		return time.Time{}
	}
	at := m.recv.ackAt
	for _, t := range []time.Time{m.send.wake(), m.until} {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	return at
}

// closeSend ends our side: what was written is still delivered.
func (m *machine) closeSend() {
	m.send.closing = true
}

// closeAll ends our side and takes no interest in what the peer still sends.
func (m *machine) closeAll() {
	m.closeSend()
	m.recv.discard()
}

// maybeFinish ends the stream when both sides have closed and all is
// acknowledged. A peer that never closes is not waited for after closeAll.
func (m *machine) maybeFinish(now time.Time) {
	if m.phase != established || !m.send.done() {
		return
	}
	if m.recv.ended || m.recv.discarding {
		m.phase = lingering
		m.until = now.Add(linger)
	}
}

// abort breaks the stream off and owes the peer a RESET.
func (m *machine) abort(err error) {
	if m.phase == over {
		return
	}
	m.resetTo = m.sendID != 0
	m.fail(err)
}

func (m *machine) fail(err error) {
	m.phase = over
	if m.err == nil {
		m.err = err
	}
	m.send.drop()
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
