package streaming

import (
	"slices"
	"time"
)

const (
	// sendBuffer is how many bytes Write takes before the peer has
	// acknowledged.
	sendBuffer = 256 << 10
	// maxSends is how often one packet is sent before the stream is given up.
	maxSends = 9
	// fastRetransmit is how many reports of a gap mean a loss. Packets travel
	// through several tunnels: one or two are reordering.
	fastRetransmit = 3
	// peerAckDelay is how long routers hold acknowledgements back.
	peerAckDelay = 500 * time.Millisecond
	// chokeProbe is how often a choked stream asks whether it still is.
	chokeProbe = 2 * time.Second
)

// segment is one packet with a sequence number, from its first sending until
// its acknowledgement.
type segment struct {
	sequence uint32
	flags    uint16
	payload  []byte
	sentAt   time.Time
	sends    int
	nacks    int
	lost     bool
}

// sender is the sending half of a stream: what waits, what is under way, and
// when which of it goes out again.
type sender struct {
	mtu      int
	waiting  []byte     // written, not yet in a segment
	flight   []*segment // by sequence
	next     uint32     // of the next new segment
	window   window
	rtt      roundTrip
	choked   bool
	probeAt  time.Time
	unacked  int // bytes in flight
	closing  bool
	closed   bool // the CLOSE segment is in flight or acknowledged
	lastSent time.Time
}

// space is how many more bytes write takes.
func (s *sender) space() int {
	return max(sendBuffer-len(s.waiting)-s.unacked, 0)
}

func (s *sender) write(p []byte) int {
	n := min(len(p), s.space())
	s.waiting = append(s.waiting, p[:n]...)
	return n
}

// done tells that everything, the CLOSE included, has been acknowledged.
func (s *sender) done() bool { return s.closed && len(s.flight) == 0 }

// push puts a segment of its own kind, such as a SYN, in line.
func (s *sender) push(flags uint16) *segment {
	seg := &segment{sequence: s.next, flags: flags}
	s.next++
	s.flight = append(s.flight, seg)
	return seg
}

// due returns the next segment that may go out now: first what was lost, then
// what is new. Nil when there is none.
func (s *sender) due(now time.Time, established bool) *segment {
	underWay := 0
	for _, seg := range s.flight {
		if seg.sends == 0 || seg.lost {
			if underWay < max(s.window.packets(), 1) {
				return seg
			}
			return nil
		}
		underWay++
	}
	if !established || !s.hasNew() || underWay >= s.window.packets() {
		return nil
	}
	if s.choked && (len(s.flight) > 0 || now.Before(s.probeAt)) {
		return nil
	}
	return s.cut(now)
}

func (s *sender) hasNew() bool {
	return len(s.waiting) > 0 || s.closing && !s.closed
}

// cut makes a segment of waiting bytes. The last one carries the CLOSE.
func (s *sender) cut(now time.Time) *segment {
	n := min(len(s.waiting), s.mtu)
	seg := s.push(0)
	seg.payload = append([]byte(nil), s.waiting[:n]...)
	s.waiting = s.waiting[n:]
	if len(s.waiting) == 0 {
		s.waiting = nil
		if s.closing {
			seg.flags = flagClose
			s.closed = true
		}
	}
	s.unacked += n
	if s.choked {
		s.probeAt = now.Add(chokeProbe)
	}
	return seg
}

// sent notes that seg goes out.
func (s *sender) sent(now time.Time, seg *segment) {
	seg.sentAt = now
	seg.sends++
	seg.nacks = 0
	seg.lost = false
	s.lastSent = now
}

// acknowledge takes in what a packet says of ours. It reports whether any
// segment was acknowledged.
func (s *sender) acknowledge(now time.Time, p *packet) bool {
	if p.ackThrough >= s.next {
		return false // it acknowledges what was never sent
	}
	acked, clean := 0, time.Time{}
	kept := s.flight[:0]
	for _, seg := range s.flight {
		switch {
		case seg.sequence > p.ackThrough || seg.sends == 0:
			kept = append(kept, seg)
		case p.reportsMissing(seg.sequence):
			s.missing(now, seg)
			kept = append(kept, seg)
		default:
			acked++
			s.unacked -= len(seg.payload)
			if seg.sends == 1 && seg.sentAt.After(clean) {
				clean = seg.sentAt
			}
		}
	}
	clear(s.flight[len(kept):])
	s.flight = kept
	if acked == 0 {
		return false
	}
	// Karn: a segment sent twice says nothing about the round trip.
	if !clean.IsZero() {
		s.rtt.sample(now.Sub(clean))
	} else {
		s.rtt.backoff = 0
	}
	s.window.acked(acked)
	return true
}

// missing counts a report that seg has not arrived. Reports that left the
// peer before seg could have arrived say nothing.
func (s *sender) missing(now time.Time, seg *segment) {
	if seg.lost || now.Sub(seg.sentAt) < s.rtt.smooth*3/4 {
		return
	}
	seg.nacks++
	if seg.nacks >= fastRetransmit {
		seg.lost = true
		s.window.lost(seg.sequence, s.next)
	}
}

// repeatFirst sends the SYN once more if it is still unacknowledged.
func (s *sender) repeatFirst() {
	if len(s.flight) > 0 && s.flight[0].flags&flagSYN != 0 && s.flight[0].sends > 0 && s.flight[0].sends < maxSends {
		s.flight[0].lost = true
	}
}

// reportsMissing tells whether the NACKs name sequence.
func (p *packet) reportsMissing(sequence uint32) bool {
	for i := range p.nackCount() {
		if p.nack(i) == sequence {
			return true
		}
	}
	return false
}

// deadline is when the oldest segment under way counts as lost. Zero when
// nothing is under way.
func (s *sender) deadline() time.Time {
	var at time.Time
	for _, seg := range s.flight {
		if seg.sends == 0 || seg.lost {
			continue
		}
		t := seg.sentAt.Add(s.rtt.timeout(s.holdBack()))
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	return at
}

// holdBack allows for acknowledgements the peer delays: with more packets
// under way than it would wait for, it does not.
func (s *sender) holdBack() time.Duration {
	if len(s.flight) > 2 {
		return 0
	}
	return min(peerAckDelay, max(s.rtt.smooth, 50*time.Millisecond))
}

// wake is when due may have something although nothing arrives.
func (s *sender) wake() time.Time {
	at := s.deadline()
	if s.choked && s.hasNew() && len(s.flight) == 0 && (at.IsZero() || s.probeAt.Before(at)) {
		at = s.probeAt
	}
	return at
}

// timeouts marks what has been under way for too long. It reports false when
// a segment has been sent as often as it may be.
func (s *sender) timeouts(now time.Time) bool {
	at := s.deadline()
	if at.IsZero() || now.Before(at) {
		return true
	}
	if slices.ContainsFunc(s.flight, func(seg *segment) bool { return seg.sends >= maxSends }) {
		return false
	}
	rto := s.rtt.timeout(s.holdBack())
	for _, seg := range s.flight {
		if seg.sends > 0 && !seg.lost && !now.Before(seg.sentAt.Add(rto)) {
			seg.lost = true
		}
	}
	s.rtt.timedOut()
	s.window.silent(s.next)
	return true
}

// drop forgets everything that waits.
func (s *sender) drop() {
	s.waiting, s.flight, s.unacked = nil, nil, 0
}
