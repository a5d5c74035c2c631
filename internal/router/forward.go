package router

import (
	"bytes"
	"sync"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
)

// loop is what one round sends to ourselves. It is dispatched when the round
// ends, so that a message never comes back into the call that sends it.
type loop struct {
	rt      *Router
	waiting []i2np.Message
}

// NewBatch implements host.Gatherer.
func (rt *Router) NewBatch() host.Ender { return &loop{rt: rt} }

func (l *loop) add(m i2np.Message) {
	m.Body = bytes.Clone(m.Body)
	l.waiting = append(l.waiting, m)
}

// EndRound implements host.Ender.
func (l *loop) EndRound(r *host.Round) {
	waiting := l.waiting
	l.waiting = nil // dispatching may send more to ourselves
	for _, m := range waiting {
		l.rt.dispatch(r, l.rt.hash, m)
	}
}

const (
	// maxWaiting bounds the messages for routers being looked up, together
	// and for one of them.
	maxWaiting    = 1024
	maxWaitingFor = 32
)

// waiting are messages for routers whose RouterInfo is being looked up.
type waiting struct {
	mu       sync.Mutex
	messages map[data.Hash][]waitingMessage
	count    int
}

type waitingMessage struct {
	m i2np.Message
	c bandwidth.Class
}

// sendLater keeps a copy of m until the RouterInfo of to has been found. It
// fails with host.ErrFull.
func (rt *Router) sendLater(r *host.Round, to data.Hash, m i2np.Message, c bandwidth.Class) error {
	w := &rt.waiting
	w.mu.Lock()
	if w.messages == nil {
		w.messages = make(map[data.Hash][]waitingMessage)
	}
	if w.count >= maxWaiting || len(w.messages[to]) >= maxWaitingFor {
		w.mu.Unlock()
		return host.ErrFull
	}
	first := len(w.messages[to]) == 0
	m.Body = bytes.Clone(m.Body)
	w.messages[to] = append(w.messages[to], waitingMessage{m, c})
	w.count++
	w.mu.Unlock()
	if first {
		rt.queries.RouterInfo(r, to, func(r *host.Round, ri *data.RouterInfo, err error) {
			rt.found(r, to, err)
		})
	}
	return nil
}

// found sends what waited for a RouterInfo, or drops it.
func (rt *Router) found(r *host.Round, to data.Hash, err error) {
	w := &rt.waiting
	w.mu.Lock()
	messages := w.messages[to]
	delete(w.messages, to)
	w.count -= len(messages)
	w.mu.Unlock()
	for _, late := range messages {
		if err != nil || late.m.Expired(r.Now) || rt.transport.Send(r, to, late.m, late.c) != nil {
			rt.counts.undeliverable.Add(1)
		}
	}
}
