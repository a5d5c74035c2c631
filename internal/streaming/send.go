package streaming

import (
	"time"
)

const (
	// sendBuffer is how many bytes Write takes beyond what a full window
	// holds.
	sendBuffer = 64 << 10
	// maxSilences is how many time-outs in a row, with nothing heard from the
	// peer between, end the stream.
	maxSilences = 8
	// maxGoodbyes is how often a CLOSE is sent that answers the peer's: i2pd
	// forgets a stream once it has closed and acknowledges no more.
	maxGoodbyes = 3
	// fastRetransmit is how many reports of a gap mean a loss. Packets travel
	// through several tunnels: one or two are reordering.
	fastRetransmit = 3
	// peerAckDelay is how long routers hold acknowledgements back at most.
	peerAckDelay = 500 * time.Millisecond
	// chokeProbe is how often a choked stream asks whether it still is.
	chokeProbe = 2 * time.Second
)

// sender is the sending half of a stream: what waits, what is under way, and
// when which of it goes out again.
type sender struct {
	pool    *segments
	mtu     int        // of data packets
	synRoom int        // of a SYN, beside what it carries of ours
	waiting ring       // written, not yet in a segment
	space   int        // bytes that may be written and not yet acknowledged
	flight  []*segment // by sequence: not yet acknowledged
	next    uint32     // of the next new segment
	window  window
	rtt     roundTrip

	underWay int // of flight, sent and not taken for lost
	unacked  int // bytes in flight
	silences int // time-outs since the peer was heard
	choked   bool
	probeAt  time.Time
	closing  bool // a CLOSE follows what waits
	closed   bool // the CLOSE has its segment
}

func newSender(pool *segments, limit int, synRoom int) sender {
	s := sender{pool: pool, mtu: maxPayload, synRoom: synRoom, window: newWindow(limit)}
	s.space = limit*maxPayload + sendBuffer
	s.push(flagSYN, 0)
	return s
}

// write takes as many bytes as there is space for.
func (s *sender) write(p []byte) int {
	n := max(min(len(p), s.space-s.waiting.n-s.unacked), 0)
	s.waiting.write(p[:n])
	return n
}

// done tells that everything, the CLOSE included, has been acknowledged.
func (s *sender) done() bool { return s.closed && len(s.flight) == 0 }

// idle tells that there is nothing to send and nothing under way.
func (s *sender) idle() bool { return len(s.flight) == 0 && !s.hasNew() }

// push puts a new segment in line, with n bytes of what waits. The last one
// carries the CLOSE.
func (s *sender) push(flags uint16, n int) *segment {
	seg := s.pool.get(s.next, flags, n)
	s.next++
	s.flight = append(s.flight, seg)
	s.fill(seg)
	return seg
}

// fill moves what waits into the payload of seg.
func (s *sender) fill(seg *segment) {
	s.unacked += s.waiting.read(seg.payload)
	if s.closing && !s.closed && s.waiting.n == 0 {
		seg.flags |= flagClose
		s.closed = true
	}
}

// due returns the next segment that may go out now: first what was lost, then
// what is new. Nil when there is none.
func (s *sender) due(now time.Time, established bool) *segment {
	if s.choked {
		if !s.stuck() || now.Before(s.probeAt) {
			return nil
		}
		s.probeAt = now.Add(chokeProbe)
	}
	full := s.underWay >= s.window.packets()
	if s.underWay < len(s.flight) {
		return s.again(full)
	}
	if !established || full || !s.hasNew() {
		return nil
	}
	if len(s.flight) > 0 && s.next-s.flight[0].sequence >= uint32(s.window.limit) {
		return nil // the peer keeps only so much beyond a gap
	}
	return s.push(0, min(s.waiting.n, s.mtu))
}

// stuck tells that a choked stream has nothing under way that could show
// whether it still is, and something to find out with.
func (s *sender) stuck() bool {
	if len(s.flight) > 0 {
		return s.flight[0].lost
	}
	return s.hasNew()
}

// again returns the first segment that was lost, or never sent. The oldest one
// of all is what the peer waits for, so it goes out whatever the window.
func (s *sender) again(full bool) *segment {
	for i, seg := range s.flight {
		if seg.sends > 0 && !seg.lost {
			continue
		}
		if i > 0 && full {
			return nil
		}
		if seg.sends == 0 { // the SYN
			seg.payload = seg.room[:min(s.waiting.n, s.synRoom)]
			s.fill(seg)
		}
		return seg
	}
	return nil
}

func (s *sender) hasNew() bool {
	return s.waiting.n > 0 || s.closing && !s.closed
}

// sent notes that seg goes out. It reports whether nothing follows it until
// the peer acknowledges.
func (s *sender) sent(now time.Time, seg *segment) (last bool) {
	seg.sentAt = now
	seg.sends++
	seg.nacks = 0
	seg.lost = false
	s.underWay++
	return s.underWay >= s.window.packets() || s.underWay == len(s.flight) && !s.hasNew()
}

// acknowledge takes in what a packet says of ours. It reports whether any
// segment was acknowledged.
func (s *sender) acknowledge(now time.Time, p *packet) bool {
	if p.ackThrough >= s.next || len(s.flight) == 0 || s.flight[0].sequence > p.ackThrough {
		return false // nothing new, or what was never sent
	}
	full := s.hasNew() && s.underWay+1 >= s.window.packets()
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
			if seg.sends == 1 && seg.sentAt.After(clean) {
				clean = seg.sentAt
			}
			s.release(seg)
		}
	}
	clear(s.flight[len(kept):])
	s.flight = kept
	if acked == 0 {
		return false
	}
	// Karn: a segment sent twice says nothing about the round trip.
	if !clean.IsZero() {
		s.rtt.sample(now, now.Sub(clean))
	} else {
		s.rtt.backoff = 0
	}
	s.window.acked(now, acked, &s.rtt, full)
	return true
}

// release is the end of a segment in flight.
func (s *sender) release(seg *segment) {
	s.unacked -= len(seg.payload)
	if seg.sends > 0 && !seg.lost {
		s.underWay--
	}
	s.pool.put(seg)
}

// missing counts a report that seg has not arrived. Reports that left the
// peer before seg could have arrived say nothing.
func (s *sender) missing(now time.Time, seg *segment) {
	if seg.lost || now.Sub(seg.sentAt) < s.rtt.smooth*3/4 {
		return
	}
	seg.nacks++
	if seg.nacks >= fastRetransmit && s.rtt.late(now.Sub(seg.sentAt)) {
		s.lose(seg)
		s.window.lost(seg.sequence, s.next, &s.rtt)
	}
}

func (s *sender) lose(seg *segment) {
	seg.lost = true
	s.underWay--
}

// repeatFirst sends the SYN once more if it is still unacknowledged.
func (s *sender) repeatFirst() {
	if len(s.flight) == 0 {
		return
	}
	if seg := s.flight[0]; seg.flags&flagSYN != 0 && seg.sends > 0 && !seg.lost {
		s.lose(seg)
	}
}

// choke obeys a peer that cannot keep up.
func (s *sender) choke(now time.Time) {
	if !s.choked {
		s.choked = true
		s.probeAt = now.Add(chokeProbe)
		s.window.silent(s.next, &s.rtt)
	}
	s.rtt.backoff = 0 // it is there, and hears us
}

// probe sends a packet only to have it acknowledged: an empty one, or the
// CLOSE again, after which there are no numbers.
func (s *sender) probe() {
	flags := uint16(0)
	if s.closed {
		s.next--
		flags = flagClose
	}
	s.push(flags, 0).lost = true
}

// deadline is when the oldest segment under way counts as lost. Zero when
// nothing is under way.
func (s *sender) deadline() time.Time {
	var at time.Time
	for _, seg := range s.flight {
		if seg.sends > 0 && !seg.lost && (at.IsZero() || seg.sentAt.Before(at)) {
			at = seg.sentAt
		}
	}
	if at.IsZero() {
		return at
	}
	return at.Add(s.rto())
}

func (s *sender) rto() time.Duration { return s.rtt.timeout(s.holdBack()) }

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
	if s.choked && s.stuck() {
		return earlier(s.deadline(), s.probeAt)
	}
	return s.deadline()
}

// timeouts marks what has been under way for too long. It reports false when
// the peer has been silent for too long.
func (s *sender) timeouts(now time.Time) bool {
	at := s.deadline()
	if at.IsZero() || now.Before(at) {
		return true
	}
	s.silences++
	if s.silences > maxSilences {
		return false
	}
	rto := s.rto()
	for _, seg := range s.flight {
		if seg.sends > 0 && !seg.lost && !now.Before(seg.sentAt.Add(rto)) {
			s.lose(seg)
		}
	}
	s.rtt.timedOut()
	s.window.silent(s.next, &s.rtt)
	return true
}

// saidGoodbye tells that only a CLOSE is left and has been sent as often as
// one that nobody may acknowledge is.
func (s *sender) saidGoodbye() bool {
	if len(s.flight) != 1 || s.hasNew() {
		return false
	}
	seg := s.flight[0]
	return seg.flags&flagClose != 0 && seg.lost && seg.sends >= maxGoodbyes
}

// drop forgets everything that waits.
func (s *sender) drop() {
	for _, seg := range s.flight {
		s.pool.put(seg)
	}
	s.waiting, s.flight, s.unacked, s.underWay = ring{}, nil, 0, 0
}
