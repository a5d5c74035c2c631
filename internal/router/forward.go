package router

import (
	"bytes"
	"sync"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
)

// maxLoop bounds what one round sends to ourselves. Nothing that is dispatched
// sends more in the same round than it brings, as whatever answers does so from
// a worker, but one read may bring much.
const maxLoop = 1024

// loop is what one round sends to ourselves. It is dispatched when the round
// ends, so that a message never comes back into the call that sends it.
type loop struct {
	rt      *Router
	waiting []looped
}

type looped struct {
	from data.Hash
	m    i2np.Message
}

// NewBatch implements host.Gatherer.
func (rt *Router) NewBatch() host.Ender { return &loop{rt: rt} }

// add keeps a copy of m. It fails with host.ErrFull.
func (l *loop) add(from data.Hash, m i2np.Message) error {
	if len(l.waiting) >= maxLoop {
		l.rt.counts.busy.Add(1)
		return host.ErrFull
	}
	m.Body = bytes.Clone(m.Body)
	l.waiting = append(l.waiting, looped{from, m})
	return nil
}

// EndRound implements host.Ender.
func (l *loop) EndRound(r *host.Round) {
	waiting := l.waiting
	l.waiting = nil // dispatching may send more to ourselves
	for _, w := range waiting {
		l.rt.dispatch(r, w.from, w.m)
	}
}

const (
	// maxWaiting bounds the messages for routers being looked up, together
	// and for one of them, and maxWaitingBytes their bytes.
	maxWaiting      = 1024
	maxWaitingFor   = 32
	maxWaitingBytes = 4 << 20
	// maxSought bounds those routers. They can be made up by whoever has us
	// in a tunnel, so of all these bounds others get half.
	maxSought = 64
)

// waiting are messages for routers whose RouterInfo is being looked up. They
// wait as long as the lookup takes, some seconds.
type waiting struct {
	mu       sync.Mutex
	messages map[data.Hash][]waitingMessage
	count    int
	bytes    int
}

type waitingMessage struct {
	m i2np.Message
	c bandwidth.Class
}

// add keeps a copy of m. It reports whether the router is to be looked up, and
// false when there is no room.
func (w *waiting) add(to data.Hash, m i2np.Message, c bandwidth.Class) (first, ok bool) {
	share := 1
	if c != bandwidth.Own {
		share = 2
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	others := w.messages[to]
	first = len(others) == 0
	if w.count >= maxWaiting/share || len(others) >= maxWaitingFor/share ||
		w.bytes+len(m.Body) > maxWaitingBytes/share || first && len(w.messages) >= maxSought/share {
		return false, false
	}
	m.Body = bytes.Clone(m.Body)
	w.messages[to] = append(others, waitingMessage{m, c})
	w.count++
	w.bytes += len(m.Body)
	return first, true
}

// take gives what waits for a router.
func (w *waiting) take(to data.Hash) []waitingMessage {
	w.mu.Lock()
	defer w.mu.Unlock()
	messages := w.messages[to]
	delete(w.messages, to)
	w.count -= len(messages)
	for _, late := range messages {
		w.bytes -= len(late.m.Body)
	}
	return messages
}

// sendLater keeps a copy of m until the RouterInfo of to has been found. It
// fails with host.ErrFull.
func (rt *Router) sendLater(r *host.Round, to data.Hash, m i2np.Message, c bandwidth.Class) error {
	first, ok := rt.waiting.add(to, m, c)
	if !ok {
		return host.ErrFull
	}
	if first {
		rt.queries.RouterInfo(r, to, func(r *host.Round, _ *data.RouterInfo, err error) { rt.found(r, to, err) })
	}
	return nil
}

// found sends what waited for a RouterInfo, or drops it.
func (rt *Router) found(r *host.Round, to data.Hash, err error) {
	for _, late := range rt.waiting.take(to) {
		if err != nil || late.m.Expired(r.Now) || rt.transport.Send(r, to, late.m, late.c) != nil {
			rt.counts.undeliverable.Add(1)
		}
	}
}
