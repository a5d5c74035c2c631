package tunnel

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"time"

	"allium/internal/i2np"
	"allium/internal/wire"
)

const (
	// fragmentLife is how long fragments wait for the rest of their message.
	fragmentLife = 45 * time.Second

	// An endpoint forgets its oldest incomplete messages beyond these.
	maxPartials     = 128
	maxPartialBytes = 256 << 10
)

// Endpoint puts I2NP messages together again from the plain tunnel messages of
// one tunnel. Fragments may come in any order and more than once. Safe for
// concurrent use.
type Endpoint struct {
	memory *Reassembly

	mu       sync.Mutex
	partials []*partial // oldest first
	held     int        // what memory was charged for them
	closed   bool
}

// NewEndpoint makes the endpoint of a tunnel. All of a router share memory.
func NewEndpoint(memory *Reassembly) *Endpoint {
	return &Endpoint{memory: memory}
}

// Push takes a tunnel message whose layers are undone, and calls emit for each
// I2NP message that is complete with it. What m.Body points to is lent until
// emit returns. emit may be called although Push fails: with ErrMalformed the
// rest of the tunnel message is of no use; an error of i2np concerns a single
// message.
func (e *Endpoint) Push(now time.Time, message i2np.TunnelData, emit func(d Delivery, m i2np.Message)) error {
	payload, err := payloadOf(message)
	if err != nil {
		return err
	}
	var bad error
	for r := wire.NewReader(payload); r.Len() > 0; {
		in, err := ParseInstructions(&r)
		if err != nil {
			return err
		}
		fragment := r.Bytes(in.Size)
		if r.Err() != nil {
			return fmt.Errorf("tunnel: endpoint: %w: fragment of %d bytes: %w", ErrMalformed, in.Size, r.Err())
		}
		if err := e.take(now, &in, fragment, emit); err != nil {
			bad = err
		}
	}
	return bad
}

// payloadOf checks a plain tunnel message and gives what follows its padding.
func payloadOf(message i2np.TunnelData) ([]byte, error) {
	if len(message) != messageSize {
		return nil, fmt.Errorf("tunnel: endpoint: %w: %d bytes", ErrMalformed, len(message))
	}
	padding := bytes.IndexByte(message[paddingAt:], 0)
	if padding < 0 {
		return nil, fmt.Errorf("tunnel: endpoint: %w: padding without end", ErrMalformed)
	}
	payload := message[paddingAt+padding+1:]
	if sum := checksum(payload, message[ivAt:dataAt]); !bytes.Equal(sum[:], message[dataAt:paddingAt]) {
		return nil, fmt.Errorf("tunnel: endpoint: %w: checksum", ErrMalformed)
	}
	return payload, nil
}

// take delivers the message that fragment completes, if it does.
func (e *Endpoint) take(now time.Time, in *Instructions, fragment []byte, emit func(Delivery, i2np.Message)) error {
	if in.Fragment == 0 && in.Last {
		return deliver(in.Delivery, fragment, emit)
	}
	p, err := e.join(now, in, fragment)
	if p == nil {
		return err
	}
	err = deliver(p.delivery, p.message(), emit)
	e.memory.recycle(p)
	return err
}

// deliver parses a whole message.
func deliver(d Delivery, message []byte, emit func(Delivery, i2np.Message)) error {
	m, _, err := i2np.ParseStandard(message)
	if err != nil {
		return fmt.Errorf("tunnel: endpoint: %w", err)
	}
	emit(d, m)
	return nil
}

// join puts a fragment to its message, which it gives back when that is
// complete.
func (e *Endpoint) join(now time.Time, in *Instructions, fragment []byte) (*partial, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, nil
	}
	e.expire(now)
	at := e.find(in.MessageID)
	if at < 0 {
		at = len(e.partials)
		e.partials = append(e.partials, e.memory.partial(in.MessageID, now))
		e.hold(partialCost)
	}
	p := e.partials[at]
	stored, err := p.add(in, fragment)
	e.hold(stored)
	if err != nil {
		e.drop(at)
		return nil, err
	}
	if p.complete() {
		e.remove(at)
		return p, nil
	}
	for len(e.partials) > 0 && (len(e.partials) > maxPartials || e.held > maxPartialBytes || e.memory.over()) {
		e.drop(0)
	}
	return nil, nil
}

// find looks for an incomplete message, the newest first.
func (e *Endpoint) find(id uint32) int {
	for i := len(e.partials) - 1; i >= 0; i-- {
		if e.partials[i].id == id {
			return i
		}
	}
	return -1
}

// Expire forgets messages that have waited too long for their fragments. Push
// does so as well, but messages may stop coming.
func (e *Endpoint) Expire(now time.Time) {
	e.mu.Lock()
	e.expire(now)
	e.mu.Unlock()
}

func (e *Endpoint) expire(now time.Time) {
	for len(e.partials) > 0 && now.Sub(e.partials[0].born) >= fragmentLife {
		e.drop(0)
	}
}

// Close forgets all incomplete messages and gives their memory back. Of what
// is pushed later only messages in one piece come out.
func (e *Endpoint) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for len(e.partials) > 0 {
		e.drop(len(e.partials) - 1)
	}
}

// hold charges n bytes.
func (e *Endpoint) hold(n int) {
	e.held += n
	e.memory.held.Add(int64(n))
}

// remove takes an incomplete message out, and its charge back.
func (e *Endpoint) remove(at int) *partial {
	p := e.partials[at]
	e.partials = slices.Delete(e.partials, at, at+1)
	e.hold(-p.cost())
	return p
}

// drop forgets an incomplete message.
func (e *Endpoint) drop(at int) {
	e.memory.recycle(e.remove(at))
}
