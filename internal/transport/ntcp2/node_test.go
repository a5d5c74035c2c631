package ntcp2_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/sim"
	"allium/internal/transport/block"
	"allium/internal/transport/ntcp2"
	"allium/internal/transport/pace"
)

// node is a router on a host, and the handler of its sessions.
type node struct {
	self *router
	tb   testing.TB
	host host.Host
	ep   *ntcp2.Endpoint

	class     bandwidth.Class // whom all messages serve
	check     func(ri *data.RouterInfo, inbound bool) block.Reason
	onSession func(r *host.Round, s *ntcp2.Session)
	onMessage func(r *host.Round, s *ntcp2.Session, m i2np.Message)

	mu       sync.Mutex
	sessions []*ntcp2.Session
	messages []uint32 // IDs in the order they came
	infos    int
	skews    []time.Duration
	closed   []error
	refused  []error
}

// unlimited lets everything pass.
func unlimited(h host.Host) *pace.Pacer {
	return pace.New(h, bandwidth.NewLimiter(h.Now(), bandwidth.Limits{}))
}

// newNode makes a router that listens on addr, unless that is the zero
// AddrPort.
func newNode(tb testing.TB, h host.Host, addr netip.AddrPort, cfg ntcp2.Config) *node {
	tb.Helper()
	n := &node{self: newRouter(tb, addr, netID), tb: tb, host: h}
	n.ep = ntcp2.New(cfg, h, n.self.Local, unlimited(h), n)
	if addr.IsValid() {
		_, err := h.ListenTCP(addr, n.ep.Accept)
		must(tb, err)
	}
	return n
}

// dial makes a session with another node.
func (n *node) dial(to *node) (s *ntcp2.Session) {
	n.tb.Helper()
	n.host.Do(func(r *host.Round) {
		var err error
		s, err = n.ep.Dial(r, netip.Addr{}, to.self.addr, to.self.RouterInfo(n.host.Now()), bandwidth.Own)
		must(n.tb, err)
	})
	return s
}

// body is the body of the test message with that ID: its size depends on the
// ID, and its content too.
func body(id uint32, size int) []byte {
	b := make([]byte, max(size, 4))
	for i := range b {
		b[i] = byte(int(id)*7 + i)
	}
	binary.BigEndian.PutUint32(b, id)
	return b
}

func message(id uint32, size int, now time.Time) i2np.Message {
	return i2np.Message{Type: i2np.TypeTunnelData, ID: id, Expiration: now.Add(8 * time.Second), Body: body(id, size)}
}

// send sends one message in a round of its own.
func (n *node) send(s *ntcp2.Session, id uint32, size int, c bandwidth.Class) (err error) {
	n.host.Do(func(r *host.Round) { err = s.Send(r, message(id, size, r.Now), c) })
	return err
}

func (n *node) close(s *ntcp2.Session, reason block.Reason) {
	n.host.Do(func(r *host.Round) { s.Close(r, reason) })
}

func (n *node) CheckPeer(_ time.Time, ri *data.RouterInfo, _ netip.AddrPort, inbound bool) block.Reason {
	if n.check == nil {
		return block.Unspecified
	}
	return n.check(ri, inbound)
}

func (n *node) Established(r *host.Round, s *ntcp2.Session) {
	n.mu.Lock()
	n.sessions = append(n.sessions, s)
	n.mu.Unlock()
	if n.onSession != nil {
		n.onSession(r, s)
	}
}

func (n *node) Message(r *host.Round, s *ntcp2.Session, m i2np.Message) bandwidth.Class {
	if want := body(m.ID, len(m.Body)); !slices.Equal(m.Body, want) {
		n.tb.Errorf("message %d is damaged", m.ID)
	}
	n.mu.Lock()
	n.messages = append(n.messages, m.ID)
	n.mu.Unlock()
	if n.onMessage != nil {
		n.onMessage(r, s, m)
	}
	return n.class
}

func (n *node) RouterInfo(_ *host.Round, s *ntcp2.Session, ri *data.RouterInfo, _ bool) {
	if ri.Hash() != s.Peer() {
		n.tb.Error("RouterInfo of somebody else")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.infos++
}

func (n *node) ClockSkew(_ *host.Round, _ data.Hash, _ netip.AddrPort, skew time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.skews = append(n.skews, skew)
}

func (n *node) Closed(_ *host.Round, _ *ntcp2.Session, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = append(n.closed, err)
}

func (n *node) Refused(_ *host.Round, _ netip.AddrPort, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refused = append(n.refused, err)
}

// count gives a number under the lock.
func (n *node) count(f func() int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return f()
}

// received is the IDs of the messages that have come.
func (n *node) received() []uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.messages)
}

// terminated is the reason in an error.
func terminated(err error) (reason block.Reason, byPeer, ok bool) {
	var t *ntcp2.Termination
	if !errors.As(err, &t) {
		return 0, false, false
	}
	return t.Reason, t.ByPeer, true
}

// pair is two nodes in a world, and a session once connect has made it.
type pair struct {
	w          *sim.World
	a, b       *node
	hostA      *sim.Host
	hostB      *sim.Host
	fromA, toB *ntcp2.Session // the two ends
}

func newPair(tb testing.TB, w *sim.World, cfg ntcp2.Config) *pair {
	tb.Helper()
	p := &pair{w: w, hostA: w.Host("198.51.100.1"), hostB: w.Host("198.51.100.2")}
	p.a = newNode(tb, p.hostA, aliceAddr, cfg)
	p.b = newNode(tb, p.hostB, bobAddr, cfg)
	return p
}

// connect has a dial b and waits for the session.
func (p *pair) connect(tb testing.TB) {
	tb.Helper()
	p.fromA = p.a.dial(p.b)
	if !p.w.RunUntil(func() bool { return len(p.a.sessions) == 1 && len(p.b.sessions) == 1 }, time.Minute) {
		tb.Fatalf("no session: Alice %v, Bob %v", p.a.closed, p.b.refused)
	}
	p.toB = p.b.sessions[0]
}

// until waits for something.
func (p *pair) until(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	if !p.w.RunUntil(cond, 10*time.Minute) {
		tb.Fatalf("waited in vain for %s", what)
	}
}
