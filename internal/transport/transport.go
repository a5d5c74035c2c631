// Package transport is one Send for the whole network: it picks the session
// to a router, or opens one, and hands up what arrives through any.
//
// There is one session to a peer to send through (table.go). A router is
// dialled when something is to be sent to it (dial.go), at one of its
// addresses after the other (choose.go), and what is sent meanwhile waits for
// whichever session with it stands first, no matter who has dialled it
// (waiting.go). When two routers dial each other at once, both go on with the
// session that the one with the smaller hash dialled, so they never disagree;
// the other session is listened to for some seconds more and then closed. A
// router that could not be reached rests for a while, longer each time
// (rest.go), unless it is our own connection that is broken (outage.go).
//
// Sessions close by themselves when nothing passes through them; when there
// are too many, the idlest has to go (limit.go).
//
// Nothing here knows what messages are for. Which routers exist is asked of
// [RouterInfos], who is banned of the [Handler].
package transport

import (
	"errors"
	"fmt"
	"net/netip"
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
	"allium/internal/transport/pace"
)

// Errors of Send and Connect. Others are host.ErrFull, when no more may wait,
// host.ErrClosed after Close, and ntcp2.ErrTooLong.
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

// ErrUnpublishable is what New reports of an address that other routers would
// not dial.
var ErrUnpublishable = errors.New("address cannot be published")

// RouterInfos is what is known of other routers.
type RouterInfos interface {
	// RouterInfo gives the newest RouterInfo of a router, nil if unknown.
	RouterInfo(h data.Hash) *data.RouterInfo
}

// Handler is told what happens. Calls come in rounds, by several at once.
type Handler interface {
	// Message hands over a message whose body is lent for the round, and gives
	// whom it serves.
	Message(r *host.Round, from data.Hash, m i2np.Message) bandwidth.Class
	// RouterInfo hands over a peer's RouterInfo that it has sent itself, in
	// the handshake or later. Its signature is verified. flood asks a
	// floodfill to flood it.
	RouterInfo(r *host.Round, ri *data.RouterInfo, flood bool)
	// Connected tells that a session with a peer stands that is sent through
	// from now on.
	Connected(r *host.Round, peer data.Hash)
	// Failed tells that a router could not be reached at any of its addresses,
	// and why not at the last of them, or that it refused us, which may come
	// after Connected. What was to be sent to it is gone.
	// ErrOffline is in it when nobody at all was heard meanwhile.
	Failed(r *host.Round, peer data.Hash, err error)
	// Readdressed tells that our Addresses are others from now on, or that
	// Reached is.
	Readdressed(r *host.Round)
	// Online tells that a peer is heard again after an outage of our own
	// connection, and when the last one was heard before it.
	Online(r *host.Round, since time.Time)
	// Banned tells whether a router is not to be talked to.
	Banned(now time.Time, peer data.Hash) bool
}

// Transport is all sessions of a router.
type Transport struct {
	cfg   Config
	h     host.Host
	self  ntcp2.Local
	known RouterInfos
	up    Handler
	ntcp2 *ntcp2.Endpoint

	listeners []host.Listener
	skews     skews
	outage    outage
	stats     counts
	ready     atomic.Bool // our RouterInfo tells of this transport

	mu      sync.RWMutex
	closed  bool
	table   table
	dials   map[data.Hash]*dial
	resting resting
	ended   map[string]uint64 // established sessions, by why

	here      here
	external  [families]external
	addresses []data.RouterAddress
	own       []netip.AddrPort // where connections would come back to us
	told      State            // of all families together, when that was last told
}

// New listens on the addresses of cfg and makes ready to dial. What passes is
// counted with the limiter, and kept within its limits. It fails when
// an address cannot be listened on, or, with ErrUnpublishable, not be
// published.
//
// Connections are refused until self.RouterInfo gives a RouterInfo that has
// the Addresses, since peers ban a router that comes with another. It is not
// called before New has returned, except for such a connection.
func New(cfg Config, h host.Host, self ntcp2.Local, known RouterInfos, limiter *bandwidth.Limiter, up Handler) (*Transport, error) {
	cfg.Listen, cfg.Hosts = slices.Clone(cfg.Listen), slices.Clone(cfg.Hosts)
	for i, l := range cfg.Listen {
		cfg.Listen[i] = netip.AddrPortFrom(l.Addr().Unmap(), l.Port())
	}
	for i, a := range cfg.Hosts {
		cfg.Hosts[i] = a.Unmap()
	}
	t := &Transport{
		cfg: cfg, h: h, self: self, known: known, up: up,
		table:   newTable(self.Hash),
		dials:   make(map[data.Hash]*dial),
		resting: make(resting),
		ended:   make(map[string]uint64),
	}
	t.ntcp2 = ntcp2.New(cfg.NTCP2, h, self, pace.New(h, limiter), sessions{t})
	t.here.addrs = h.Addrs()
	now := h.Now()
	err := t.listen()
	if err == nil {
		err = t.check(now)
	}
	if err != nil {
		t.closeListeners()
		return nil, err
	}
	t.situate(now)
	t.told = t.sum(now)
	return t, nil
}

// listen opens the listeners. All addresses of a family which the machine does
// not have are passed over, unless nothing is left.
func (t *Transport) listen() error {
	var lacking error
	for _, addr := range t.cfg.Listen {
		l, err := t.h.ListenTCP(addr, t.accept)
		switch {
		case err == nil:
			t.listeners = append(t.listeners, l)
		case addr.Addr().IsUnspecified() && errors.Is(err, host.ErrUnreachable):
			lacking = err
		default:
			return fmt.Errorf("transport: %w", err)
		}
	}
	if len(t.listeners) == 0 && lacking != nil {
		return fmt.Errorf("transport: %w", lacking)
	}
	return nil
}

// accept takes a connection, unless it comes before we can say who we are:
// the ports in our RouterInfo are known only when we listen already.
func (t *Transport) accept(r *host.Round, s host.Stream) host.StreamHandler {
	if !t.ready.Load() {
		if !t.introduced(t.self.RouterInfo(r.Now)) {
			return nil
		}
		t.ready.Store(true)
	}
	return t.ntcp2.Accept(r, s)
}

// Send sends m to a router, dialling it if there is no session. The body is
// copied. It fails with one of the errors above; nothing of what is accepted
// is promised to arrive.
func (t *Transport) Send(r *host.Round, to data.Hash, m i2np.Message, c bandwidth.Class) error {
	for s := t.session(to); s != nil; s = t.leave(to, s) {
		if err := s.Send(r, m, c); !errors.Is(err, host.ErrClosed) {
			return err
		}
	}
	s, err := t.reach(r, to, &parcel{m, c, r.Now})
	if s != nil {
		err = s.Send(r, m, c)
	}
	return err
}

// session is the one to send to a router through, nil if there is none.
func (t *Transport) session(to data.Hash) *ntcp2.Session {
	t.mu.RLock()
	s := t.table.peers[to]
	t.mu.RUnlock()
	return s
}

// leave turns away from a session that takes nothing any more, although its
// end may take some seconds, and gives another one with the router if there
// is one.
func (t *Transport) leave(to data.Hash, s *ntcp2.Session) *ntcp2.Session {
	t.mu.Lock()
	defer t.mu.Unlock()
	if st := t.table.all[s]; st != nil {
		t.table.release(st)
	}
	return t.table.peers[to]
}

// Connect opens a session to a router unless there is one. It fails as Send
// does.
func (t *Transport) Connect(r *host.Round, to data.Hash) error {
	if t.session(to) != nil {
		return nil
	}
	_, err := t.reach(r, to, nil)
	return err
}

// Connected tells whether a session with a router stands.
func (t *Transport) Connected(peer data.Hash) bool { return t.session(peer) != nil }

// Remote is where a peer is that there is a session with.
func (t *Transport) Remote(peer data.Hash) (at netip.Addr, ok bool) {
	s := t.session(peer)
	if s == nil {
		return netip.Addr{}, false
	}
	return s.Remote().Addr(), true
}

// Close says good-bye to every peer, gives up all dials and stops listening.
// What waits in sessions is still sent as far as the connections take it.
func (t *Transport) Close(r *host.Round) {
	t.mu.Lock()
	t.closed = true
	var open []*ntcp2.Session
	for s := range t.table.all {
		open = append(open, s)
	}
	for _, d := range t.dials {
		if d.session != nil {
			open = append(open, d.session)
		}
	}
	clear(t.dials)
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
