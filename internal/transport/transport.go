// Package transport is one Send for the whole network: it picks the session
// to a router, or opens one, and hands up what arrives through any.
//
// There is one session to a peer to send through. Dials are made when
// something is to be sent; what is sent meanwhile waits in the session. When
// two routers dial each other at once, both keep the session that the one with
// the smaller hash dialled, so they never disagree; the other one is still
// listened to for some seconds and then closed. A router that could not be
// reached is left alone for a while, longer each time.
//
// Nothing here knows what messages are for. Which routers exist is asked of
// [RouterInfos], who is banned of the [Handler].
package transport

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/transport/block"
	"allium/internal/transport/ntcp2"
)

// Errors of Send. A session's own are those of package ntcp2.
var (
	// ErrUnknownRouter reports a router whose RouterInfo is not known: look it
	// up and try again.
	ErrUnknownRouter = errors.New("transport: router unknown")
	// ErrNoAddress reports a router without an address we can dial.
	ErrNoAddress = errors.New("transport: no address to dial")
	// ErrBanned reports a router that is not to be talked to.
	ErrBanned = errors.New("transport: router banned")
	// ErrUnreachable reports a router that could not be reached a short while
	// ago.
	ErrUnreachable = errors.New("transport: router unreachable")
	// ErrSelf reports our own hash: the caller delivers to itself.
	ErrSelf = errors.New("transport: that is ourselves")
)

// RouterInfos is what is known of other routers.
type RouterInfos interface {
	// RouterInfo gives the newest RouterInfo of a router, nil if unknown.
	RouterInfo(h data.Hash) *data.RouterInfo
}

// Handler is told what happens. Calls come in rounds, by several at once.
type Handler interface {
	// Message hands over a message whose body is lent for the round.
	Message(r *host.Round, from data.Hash, m i2np.Message)
	// RouterInfo hands over a verified RouterInfo of a peer, by itself.
	RouterInfo(r *host.Round, ri *data.RouterInfo, flood bool)
	// Connected tells that a session with a peer stands.
	Connected(r *host.Round, peer data.Hash)
	// Failed tells that a router could not be reached, once for each attempt.
	Failed(r *host.Round, peer data.Hash, err error)
	// Banned tells whether a router is not to be talked to.
	Banned(now time.Time, peer data.Hash) bool
}

const (
	// listenOn is how long a session that lost against another is still
	// listened to before it is closed.
	listenOn = 5 * time.Second
	// A router that could not be reached is left alone for so long, twice as
	// long after each further failure.
	firstRest = 5 * time.Second
	longRest  = 5 * time.Minute
	// maxResting bounds how many such routers are remembered.
	maxResting = 4096
)

// Transport is all sessions of a router.
type Transport struct {
	cfg     Config
	h       host.Host
	self    ntcp2.Local
	known   RouterInfos
	limiter *bandwidth.Limiter
	up      Handler
	ntcp2   *ntcp2.Endpoint

	listeners []host.Listener
	addresses []data.RouterAddress
	skews     skews
	stats     counts

	mu       sync.RWMutex
	closed   bool
	peers    map[data.Hash]*ntcp2.Session // to send through
	all      map[*ntcp2.Session]struct{}  // established, those being listened to included
	resting  map[data.Hash]rest
	restSeen []data.Hash // in the order they failed
}

// rest is how long a router is left alone.
type rest struct {
	until time.Time
	pause time.Duration
}

type counts struct {
	dialled, accepted, failed, evicted atomic.Uint64
}

// New listens on the addresses of cfg and makes ready to dial. It fails when
// an address cannot be listened on.
func New(cfg Config, h host.Host, self ntcp2.Local, known RouterInfos, limiter *bandwidth.Limiter, up Handler) (*Transport, error) {
	t := &Transport{
		cfg: cfg, h: h, self: self, known: known, limiter: limiter, up: up,
		peers:   make(map[data.Hash]*ntcp2.Session),
		all:     make(map[*ntcp2.Session]struct{}),
		resting: make(map[data.Hash]rest),
	}
	t.ntcp2 = ntcp2.New(cfg.NTCP2, h, self, sessions{t})
	for _, addr := range cfg.Listen {
		l, err := h.ListenTCP(addr, t.ntcp2.Accept)
		if err != nil {
			t.closeListeners()
			return nil, fmt.Errorf("transport: %w", err)
		}
		t.listeners = append(t.listeners, l)
	}
	var err error
	if t.addresses, err = t.ownAddresses(); err != nil {
		t.closeListeners()
		return nil, err
	}
	return t, nil
}

// Send sends m to a router, dialling it if there is no session. The body is
// copied. It fails with one of the errors above, or with those of
// ntcp2.Session.Send; nothing of what is accepted is promised to arrive.
func (t *Transport) Send(r *host.Round, to data.Hash, m i2np.Message, c bandwidth.Class) error {
	if c == bandwidth.Own {
		t.limiter.Spend(r.Now, bandwidth.Out, c, len(m.Body))
	}
	t.mu.RLock()
	s := t.peers[to]
	t.mu.RUnlock()
	if s == nil {
		var err error
		if s, err = t.dial(r, to); err != nil {
			return err
		}
	}
	return s.Send(r, m, c)
}

// Connect opens a session to a router unless there is one.
func (t *Transport) Connect(r *host.Round, to data.Hash) error {
	t.mu.RLock()
	s := t.peers[to]
	t.mu.RUnlock()
	if s != nil {
		return nil
	}
	_, err := t.dial(r, to)
	return err
}

// Connected tells whether an established session with a router stands.
func (t *Transport) Connected(peer data.Hash) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	s := t.peers[peer]
	_, established := t.all[s]
	return established
}

// dial returns the session to a router, a new one unless another call was
// faster.
func (t *Transport) dial(r *host.Round, to data.Hash) (*ntcp2.Session, error) {
	if to == t.self.Hash {
		return nil, ErrSelf
	}
	if t.up.Banned(r.Now, to) {
		return nil, ErrBanned
	}
	ri := t.known.RouterInfo(to)
	if ri == nil {
		return nil, ErrUnknownRouter
	}
	local, addr, ok := t.choose(ri)
	if !ok {
		return nil, ErrNoAddress
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, host.ErrClosed
	}
	if s := t.peers[to]; s != nil {
		return s, nil
	}
	if r.Now.Before(t.resting[to].until) {
		return nil, ErrUnreachable
	}
	// Dial neither waits nor calls back: the lock may be held.
	s, err := t.ntcp2.Dial(r, local, addr, ri)
	if err != nil {
		return nil, err
	}
	t.stats.dialled.Add(1)
	t.peers[to] = s
	return s, nil
}

// Close says good-bye to every peer and stops listening.
func (t *Transport) Close(r *host.Round) {
	t.mu.Lock()
	t.closed = true
	open := make([]*ntcp2.Session, 0, len(t.all))
	for s := range t.all {
		open = append(open, s)
	}
	for _, s := range t.peers {
		if _, established := t.all[s]; !established {
			open = append(open, s)
		}
	}
	t.mu.Unlock()
	t.closeListeners()
	slices.SortFunc(open, compareSessions)
	for _, s := range open {
		s.Close(r, block.RouterShutdown)
	}
}

func (t *Transport) closeListeners() {
	for _, l := range t.listeners {
		// Closing a listener only fails when it is closed.
		_ = l.Close()
	}
}

// compareSessions gives sessions an order that does not depend on a map.
func compareSessions(a, b *ntcp2.Session) int {
	if c := a.Peer().Compare(b.Peer()); c != 0 {
		return c
	}
	return a.Remote().Compare(b.Remote())
}

// Stats is what the transport has done so far.
type Stats struct {
	Sessions int    `json:"sessions"`
	Inbound  int    `json:"inbound"`
	Dialled  uint64 `json:"dialled"`
	Accepted uint64 `json:"accepted"`
	Failed   uint64 `json:"failed"`
	Evicted  uint64 `json:"evicted"`
}

// Stats tells what the transport has done so far.
func (t *Transport) Stats() Stats {
	s := Stats{
		Dialled:  t.stats.dialled.Load(),
		Accepted: t.stats.accepted.Load(),
		Failed:   t.stats.failed.Load(),
		Evicted:  t.stats.evicted.Load(),
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	s.Sessions = len(t.all)
	for session := range t.all {
		if session.Inbound() {
			s.Inbound++
		}
	}
	return s
}

// Peers are the routers with an established session, in order.
func (t *Transport) Peers() []data.Hash {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var all []data.Hash
	for peer, s := range t.peers {
		if _, established := t.all[s]; established {
			all = append(all, peer)
		}
	}
	slices.SortFunc(all, data.Hash.Compare)
	return all
}
