package streaming

import (
	"encoding/binary"
	"time"
)

const (
	// receiveBuffer is how many bytes may wait for a reader before the peer
	// is asked to stop.
	receiveBuffer = 256 << 10
	// ahead is how far beyond the first gap packets are kept.
	ahead = 512
	// ackEvery is how many packets are acknowledged together at most.
	ackEvery = 4
	// ackDelay is how long an acknowledgement waits for data to ride with.
	ackDelay = 25 * time.Millisecond
)

// receiver is the receiving half of a stream: what has arrived, in and out of
// order, and what to tell the peer about it.
type receiver struct {
	expected   uint32             // the first number not yet received
	highest    uint32             // the highest received
	any        bool               // something was received
	early      map[uint32]early   // beyond the first gap
	ready      [][]byte           // in order, not yet read
	size       int                // bytes in ready and early
	ended      bool               // the CLOSE has come in order
	discarding bool               // nobody will read
	choking    bool               // the peer has been asked to stop
	ackAt      time.Time          // an acknowledgement is owed by then; zero: none
	owed       int                // packets not yet acknowledged
	nacks      [4 * maxNACKs]byte // scratch of the last acknowledgement
}

type early struct {
	payload []byte
	end     bool
}

// accept takes in one packet with a sequence number. The payload is copied if
// kept. It reports whether the reader has something new.
func (v *receiver) accept(now time.Time, p *packet) bool {
	seq, end := p.sequence, p.has(flagClose)
	if seq < v.expected || v.ended || seq >= v.expected+ahead {
		v.ackNow(now)
		return false
	}
	if v.size+len(p.payload) > 2*receiveBuffer {
		v.choking = true
		v.ackNow(now)
		return false
	}
	v.any = true
	if seq > v.highest {
		v.highest = seq
	}
	if seq > v.expected {
		v.ackNow(now)
		if _, have := v.early[seq]; !have {
			if v.early == nil {
				v.early = make(map[uint32]early)
			}
			v.early[seq] = early{append([]byte(nil), p.payload...), end}
			v.size += len(p.payload)
		}
		return false
	}
	gap := len(v.early) > 0
	v.size += len(p.payload)
	v.inOrder(append([]byte(nil), p.payload...), end)
	v.fromEarly()
	v.owed++
	if gap || end || v.owed >= ackEvery {
		v.ackNow(now)
	} else if v.ackAt.IsZero() {
		v.ackAt = now.Add(ackDelay)
	}
	if v.size > receiveBuffer && !v.choking {
		v.choking = true
		v.ackNow(now)
	}
	return true
}

func (v *receiver) inOrder(payload []byte, end bool) {
	v.expected++
	if v.discarding {
		v.size -= len(payload)
	} else if len(payload) > 0 {
		v.ready = append(v.ready, payload)
	}
	v.ended = end
}

// fromEarly moves what has become contiguous.
func (v *receiver) fromEarly() {
	for !v.ended {
		e, have := v.early[v.expected]
		if !have {
			return
		}
		delete(v.early, v.expected)
		v.inOrder(e.payload, e.end)
	}
	for seq, e := range v.early {
		v.size -= len(e.payload) // after the end: not part of the stream
		delete(v.early, seq)
	}
}

// read copies what is ready to p. It reports whether the peer may go on after
// having been choked.
func (v *receiver) read(now time.Time, p []byte) (n int, unchoked bool) {
	for n < len(p) && len(v.ready) > 0 {
		m := copy(p[n:], v.ready[0])
		n += m
		if m == len(v.ready[0]) {
			v.ready[0] = nil
			v.ready = v.ready[1:]
		} else {
			v.ready[0] = v.ready[0][m:]
		}
	}
	v.size -= n
	if v.choking && v.size < receiveBuffer/2 {
		v.choking = false
		v.ackNow(now)
		return n, true
	}
	return n, false
}

// discard drops what nobody will read, now and later.
func (v *receiver) discard() {
	for _, b := range v.ready {
		v.size -= len(b)
	}
	v.ready = nil
	v.discarding = true
}

func (v *receiver) ackNow(now time.Time) { v.ackAt = now }

// state writes into p what has been received: ackThrough, the gaps below it,
// and the choke. The NACKs are lent until the next call.
func (v *receiver) state(p *packet) {
	if !v.any {
		p.flags |= flagNoAck
		return
	}
	p.ackThrough = v.highest
	n := 0
	for seq := v.expected; seq < v.highest; seq++ {
		if _, have := v.early[seq]; have {
			continue
		}
		if n == maxNACKs {
			// The byte can say no more: acknowledge only what it covers.
			p.ackThrough = seq - 1
			break
		}
		binary.BigEndian.PutUint32(v.nacks[4*n:], seq)
		n++
	}
	p.nacks = v.nacks[:4*n]
	if v.choking {
		p.flags |= flagDelay
		p.delay = chokeDelay
	}
	v.ackAt = time.Time{}
	v.owed = 0
}
