package streaming

import (
	"sync"
	"time"
)

// segment is one packet with a sequence number: under way to the peer until
// it is acknowledged, or arrived before its turn.
type segment struct {
	sequence uint32
	flags    uint16
	payload  []byte
	sentAt   time.Time
	sends    int  // how often it was sent
	nacks    int  // how often it was reported missing since
	lost     bool // and is to be sent again

	room [maxPayload]byte // of payload, unless that is longer
}

// segments are segments to be used again, of all streams of a Destination.
type segments struct{ pool sync.Pool }

// get returns a segment with a payload of n bytes to be filled in.
func (s *segments) get(sequence uint32, flags uint16, n int) *segment {
	seg, _ := s.pool.Get().(*segment)
	if seg == nil {
		seg = new(segment)
	}
	seg.sequence, seg.flags = sequence, flags
	seg.sentAt, seg.sends, seg.nacks, seg.lost = time.Time{}, 0, 0, false
	if n <= maxPayload {
		seg.payload = seg.room[:n]
	} else {
		seg.payload = make([]byte, n)
	}
	return seg
}

// put takes a segment back that nobody looks at any more.
func (s *segments) put(seg *segment) {
	seg.payload = nil
	s.pool.Put(seg)
}

// ring is a queue of bytes that grows as it must.
type ring struct {
	b     []byte // its length is a power of two, or zero
	first int
	n     int
}

const (
	ringStart = 4 << 10
	// ringKeep is the most an empty ring holds on to.
	ringKeep = 64 << 10
)

// write appends p.
func (q *ring) write(p []byte) {
	if q.n+len(p) > len(q.b) {
		q.grow(q.n + len(p))
	}
	end := (q.first + q.n) & (len(q.b) - 1)
	q.n += len(p)
	copy(q.b, p[copy(q.b[end:], p):])
}

// read takes bytes from the front into p.
func (q *ring) read(p []byte) int {
	p = p[:min(len(p), q.n)]
	if len(p) == 0 {
		return 0
	}
	m := copy(p, q.b[q.first:])
	copy(p[m:], q.b)
	q.first = (q.first + len(p)) & (len(q.b) - 1)
	q.n -= len(p)
	if q.n == 0 {
		q.first = 0
		if len(q.b) > ringKeep {
			q.b = nil
		}
	}
	return len(p)
}

func (q *ring) grow(need int) {
	size := max(len(q.b), ringStart)
	for size < need {
		size *= 2
	}
	b := make([]byte, size)
	n := q.n
	q.read(b[:n])
	q.b, q.first, q.n = b, 0, n
}

// release gives memory back that holds nothing.
func (q *ring) release() {
	if q.n == 0 {
		*q = ring{}
	}
}
