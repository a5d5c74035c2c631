package streaming

import (
	"encoding/binary"
	"time"
)

const (
	// receiveBuffer is how many bytes may wait for a reader before the peer
	// is asked to stop. As many again are taken in while it does.
	receiveBuffer = 256 << 10
	// ahead is how far beyond the first gap packets are kept.
	ahead = 512
	// ackEvery is how many packets are acknowledged together at most.
	ackEvery = 4
	// ackDelay is how long an acknowledgement waits for data to ride with, at
	// most, and leastAckDelay on the shortest paths. i2pd sends again what is
	// not acknowledged within one and a half round trips or 20 ms, and halves
	// its window: with fewer packets in it than are acknowledged together, it
	// would do so each time.
	ackDelay      = 25 * time.Millisecond
	leastAckDelay = 2 * time.Millisecond
	// unchokes is how many packets say that a choke is over: Java routers
	// want to be told, and one packet may be lost.
	unchokes = 8
)

// receiver is the receiving half of a stream: what has arrived, in and out of
// order, and what to tell the peer about it.
type receiver struct {
	pool       *segments
	expected   uint32 // the first number not yet received
	highest    uint32 // the highest received
	any        bool   // something was received
	early      map[uint32]*segment
	earlySize  int           // bytes in early
	ready      ring          // in order, not yet read
	ended      bool          // the CLOSE has come in order
	discarding bool          // nobody will read
	choking    bool          // the peer has been asked to stop
	unchoke    int           // packets that will yet say it may go on
	ackAt      time.Time     // an acknowledgement is owed by then; zero: none
	hold       time.Duration // how long the next one may wait
	owed       int           // packets not yet acknowledged
	nacks      []byte        // scratch of the last acknowledgement
}

// accept takes in one packet with a sequence number and copies its payload.
// It reports whether it is a new one, and the reader has something new.
func (v *receiver) accept(now time.Time, p *packet) bool {
	seq := p.sequence
	switch {
	case seq < v.expected || v.ended || seq >= v.expected+ahead:
		v.ackNow(now)
		return false
	case seq > v.expected:
		v.keep(p)
		v.ackNow(now)
		return false
	case v.ready.n+len(p.payload) > 2*receiveBuffer:
		v.choking = true
		v.ackNow(now)
		return false
	}
	v.received(seq)
	gap := len(v.early) > 0
	v.inOrder(p.payload, p.has(flagClose))
	v.fromEarly()
	v.owed++
	if v.ready.n > receiveBuffer && !v.choking {
		v.choking = true
		v.ackNow(now)
	}
	if gap || v.ended || v.owed >= ackEvery {
		v.ackNow(now)
	} else if v.ackAt.IsZero() {
		v.ackAt = now.Add(v.hold)
	}
	return true
}

// keep stores a packet that came before its turn.
func (v *receiver) keep(p *packet) {
	if v.early[p.sequence] != nil {
		return
	}
	if v.ready.n+v.earlySize+len(p.payload) > 2*receiveBuffer {
		return // it is reported missing and comes again
	}
	if v.early == nil {
		v.early = make(map[uint32]*segment)
	}
	seg := v.pool.get(p.sequence, p.flags, len(p.payload))
	copy(seg.payload, p.payload)
	v.early[p.sequence] = seg
	v.earlySize += len(p.payload)
	v.received(p.sequence)
}

func (v *receiver) received(seq uint32) {
	v.any = true
	v.highest = max(v.highest, seq)
}

func (v *receiver) inOrder(payload []byte, end bool) {
	v.expected++
	v.ended = end
	if !v.discarding {
		v.ready.write(payload)
	}
}

// fromEarly moves what has become contiguous. What lies beyond the end is not
// part of the stream.
func (v *receiver) fromEarly() {
	for !v.ended {
		seg := v.early[v.expected]
		if seg == nil {
			return
		}
		v.inOrder(seg.payload, seg.flags&flagClose != 0)
		v.forget(seg)
	}
	for _, seg := range v.early {
		v.forget(seg)
	}
	v.highest = v.expected - 1
}

func (v *receiver) forget(seg *segment) {
	delete(v.early, seg.sequence)
	v.earlySize -= len(seg.payload)
	v.pool.put(seg)
}

// drop forgets what came early when the stream ends without the rest. What
// came in order can still be read.
func (v *receiver) drop() {
	for _, seg := range v.early {
		v.forget(seg)
	}
	v.early, v.nacks = nil, nil
}

// read copies what is ready to p. It reports whether the peer may go on after
// having been choked.
func (v *receiver) read(now time.Time, p []byte) (n int, unchoked bool) {
	n = v.ready.read(p)
	return n, v.relax(now)
}

// relax ends the choke when little enough waits to be read.
func (v *receiver) relax(now time.Time) bool {
	if !v.choking || v.ready.n >= receiveBuffer/2 {
		return false
	}
	v.choking = false
	v.unchoke = unchokes
	v.ackNow(now)
	return true
}

// discard drops what nobody will read, now and later.
func (v *receiver) discard(now time.Time) {
	v.ready = ring{}
	v.discarding = true
	v.relax(now)
}

// ackNow has the next acknowledgement go out at once.
func (v *receiver) ackNow(now time.Time) { v.ackAt = now }

// state writes into p what has been received: ackThrough, the gaps below it,
// and the choke. The NACKs are lent until the next call.
func (v *receiver) state(p *packet) {
	v.ackAt = time.Time{}
	v.owed = 0
	if !v.any {
		p.flags |= flagNoAck
		return
	}
	p.ackThrough = v.highest
	if v.expected <= v.highest {
		v.reportGaps(p)
	}
	switch {
	case v.choking:
		p.flags |= flagDelay
		p.delay = chokeDelay
	case v.unchoke > 0:
		v.unchoke--
		p.flags |= flagDelay
		p.delay = 0
	}
}

// reportGaps fills in the NACKs. The count byte can say no more than 255 of
// them: ackThrough ends where they do.
func (v *receiver) reportGaps(p *packet) {
	v.nacks = v.nacks[:0]
	for seq := v.expected; seq < v.highest; seq++ {
		if v.early[seq] != nil {
			continue
		}
		if len(v.nacks) == 4*maxNACKs {
			p.ackThrough = seq - 1
			break
		}
		v.nacks = binary.BigEndian.AppendUint32(v.nacks, seq)
	}
	p.nacks = v.nacks
}
