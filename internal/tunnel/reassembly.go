package tunnel

import (
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// partialCost is what an incomplete message is charged beside its bytes.
	partialCost = 512

	// What a Reassembly keeps for use again.
	sparePartials = 64
	spareBytes    = 64 << 10 // of each
)

// Reassembly is the memory all endpoints of a router share for messages that
// lack fragments: a bound, and buffers that are used again. Safe for
// concurrent use.
type Reassembly struct {
	limit int64
	held  atomic.Int64

	mu    sync.Mutex
	spare []*partial
}

// NewReassembly bounds the memory at limit bytes, about. Endpoints that reach
// it forget their oldest incomplete messages.
func NewReassembly(limit int) *Reassembly {
	return &Reassembly{limit: int64(limit)}
}

// Held is how many bytes wait for fragments.
func (m *Reassembly) Held() int { return int(m.held.Load()) }

func (m *Reassembly) over() bool { return m.held.Load() > m.limit }

// partial gives an empty message.
func (m *Reassembly) partial(id uint32, now time.Time) *partial {
	m.mu.Lock()
	defer m.mu.Unlock()
	var p *partial
	if n := len(m.spare); n > 0 {
		p, m.spare = m.spare[n-1], m.spare[:n-1]
	} else {
		p = new(partial)
	}
	p.reset(id, now)
	return p
}

// recycle takes back a message that nobody looks at any more.
func (m *Reassembly) recycle(p *partial) {
	if cap(p.arrived)+cap(p.ordered) > spareBytes {
		return
	}
	m.mu.Lock()
	if len(m.spare) < sparePartials {
		m.spare = append(m.spare, p)
	}
	m.mu.Unlock()
}

// partial is a message some of whose fragments have come.
type partial struct {
	id       uint32
	born     time.Time
	delivery Delivery
	have     uint64 // a bit for each fragment that has come
	end      int    // one more than the number of the last fragment; 0 unknown
	inOrder  bool   // each fragment has come after those before it
	// where tells where in arrived each fragment is.
	where   [MaxFragments]struct{ at, size uint16 }
	arrived []byte // the fragments as they came, at most 64 KB
	ordered []byte // room for message
}

func (p *partial) reset(id uint32, now time.Time) {
	*p = partial{id: id, born: now, inOrder: true, arrived: p.arrived[:0], ordered: p.ordered[:0]}
}

// cost is what the message is charged.
func (p *partial) cost() int { return partialCost + len(p.arrived) }

// add keeps a fragment and tells how many bytes that took: none when it has
// come before. It fails with ErrMalformed when fragments contradict each other
// about the last.
func (p *partial) add(in *Instructions, fragment []byte) (int, error) {
	number := int(in.Fragment)
	if p.have&(1<<number) != 0 {
		return 0, nil
	}
	highest := bits.Len64(p.have) // one more than its number
	if p.end > 0 && number >= p.end || in.Last && (p.end > 0 || highest > number) {
		return 0, fmt.Errorf("tunnel: endpoint: %w: fragment %d after the last", ErrMalformed, number)
	}
	if number < highest {
		p.inOrder = false
	}
	if number == 0 {
		p.delivery = in.Delivery
	}
	if in.Last {
		p.end = number + 1
	}
	p.have |= 1 << number
	p.where[number].at, p.where[number].size = uint16(len(p.arrived)), uint16(len(fragment))
	p.arrived = append(p.arrived, fragment...)
	return len(fragment), nil
}

// complete tells whether nothing is missing.
func (p *partial) complete() bool {
	return p.end > 0 && bits.OnesCount64(p.have) == p.end
}

// message is the whole message, good until the partial is used again.
func (p *partial) message() []byte {
	if p.inOrder {
		return p.arrived
	}
	for _, w := range p.where[:p.end] {
		p.ordered = append(p.ordered, p.arrived[w.at:int(w.at)+int(w.size)]...)
	}
	return p.ordered
}
