// Package transit carries tunnels that others have built through us.
//
// A request to be a hop comes as a ShortTunnelBuild message. What can be seen
// without public-key work is checked where it arrives; then it waits in a
// queue that gives every subnet and in it every neighbour its turn, and a worker
// opens it (admit.go).
// Yes or no, the answer is written and the message goes on. A yes enters the
// tunnel table as a hop of one of three roles:
//
//   - a participant changes tunnel messages and passes them on,
//   - an inbound gateway packs I2NP messages of anyone into tunnel messages,
//   - an outbound endpoint puts I2NP messages together and hands them on.
//
// What all hops have to do in one round is gathered and encrypted side by
// side when the round ends (relay.go). Nothing is said back to a hop whose
// messages are dropped, whatever the reason: any reaction would be a signal
// between routers that hold the same tunnel.
//
// All that others can make us keep or do is bounded: tunnels together and for
// each neighbour and subnet, requests that wait, requests answered in a second,
// and bytes relayed. Near a limit more and more requests are refused
// (pressure.go). A tunnel ends ten minutes and a little after it began
// (expire.go).
package transit

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/replay"
	"allium/internal/tunnel"
	"allium/internal/tunnel/build"
	"allium/internal/x25519"
)

// Transit is the hops we are in tunnels of others. It is safe for concurrent
// use.
type Transit struct {
	cfg     Config
	h       host.Host
	self    data.Hash
	key     *x25519.KeyPair
	table   *tunnel.Table
	replays *tunnel.Replays
	memory  *tunnel.Reassembly
	send    tunnel.Sender
	limiter *bandwidth.Limiter
	subnet  func(peer data.Hash) netip.Prefix
	local   func(r *host.Round, m i2np.Message)

	requests *replay.Filter
	counts   counts

	mu        sync.Mutex
	closed    bool
	accepting bool
	queue     queue
	pace      *rate.Limiter
	serving   int        // requests that workers have
	wake      host.Timer // of the queue, nil when it does not wait for time
	tunnels   tunnels
	timer     host.Timer
	ticks     int
	pressures Pressures
	lag       time.Duration // the longest that a request has waited for a worker since the last tick
}

// New makes the transit of the router self, whose static key is key. Hops
// enter table. Answers to requests go through send as Control, all else as
// Transit. The limiter tells what to drop and when not to answer. subnet
// tells where a neighbour is: those of one subnet share what one may have, and
// the zero Prefix is of no subnet. local takes the messages that come out of
// an outbound tunnel here and are for this very router; they are lent until it
// returns, and nothing is known of their origin.
func New(cfg Config, h host.Host, self data.Hash, key *x25519.KeyPair, table *tunnel.Table, replays *tunnel.Replays,
	memory *tunnel.Reassembly, send tunnel.Sender, limiter *bandwidth.Limiter, subnet func(peer data.Hash) netip.Prefix,
	local func(r *host.Round, m i2np.Message)) *Transit {
	t := &Transit{
		cfg: cfg, h: h, self: self, key: key, table: table, replays: replays, memory: memory,
		send: send, limiter: limiter, subnet: subnet, local: local,
		requests:  replay.New(build.MaxAge, cfg.RequestRate*int(build.MaxAge/time.Second)),
		accepting: cfg.Accept,
		queue:     newQueue(min(max(cfg.RequestRate*int(maxWait/time.Second), minWaiting), maxWaiting)),
		pace:      rate.NewLimiter(rate.Limit(cfg.RequestRate), max(cfg.RequestRate/10, 1)),
		tunnels:   newTunnels(cfg.MaxTunnels),
	}
	t.mu.Lock()
	t.timer = h.AfterFunc(tickEvery, t.tick)
	t.mu.Unlock()
	return t
}

// Accept tells whether to take on new tunnels. Without, requests are answered
// with a refusal, and the tunnels there are go on to their end.
func (t *Transit) Accept(yes bool) {
	t.mu.Lock()
	t.accepting = yes
	t.mu.Unlock()
}

// Close forgets all tunnels and requests at once.
func (t *Transit) Close() {
	t.mu.Lock()
	t.closed = true
	t.timer.Stop()
	if t.wake != nil {
		t.wake.Stop()
	}
	t.queue = newQueue(0)
	gone := t.tunnels.hops
	t.tunnels = newTunnels(0)
	t.mu.Unlock()
	for _, h := range gone {
		h.close()
	}
}
