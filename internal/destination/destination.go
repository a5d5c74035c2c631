// Package destination is a local Destination: its tunnels, the LeaseSet that
// says how to reach it, and the end-to-end encrypted messages it exchanges
// with other Destinations.
//
// A message to a peer needs the peer's LeaseSet, which is looked up through
// our own tunnels and afterwards comes along with the peer's messages. It is
// sealed in a ratchet session, and sent through one of our outbound tunnels
// to the gateway of one of the peer's inbound ones. That pair is kept while
// it works, because each pair has its own delay; when a peer falls silent
// although it has been sent something, the next pair is tried.
//
// Whoever writes to us learns from our New Session or reply where we are: it
// brings our LeaseSet along, and so does the first message after our leases
// have changed. See leaseset.go, outbound.go and inbound.go.
package destination

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/random"
	"allium/internal/router"
	"allium/internal/tunnel/pool"
	"allium/internal/x25519"
)

// Errors of sending.
var (
	// ErrNoLeaseSet reports a Destination that nobody knows how to reach.
	ErrNoLeaseSet = errors.New("destination: no LeaseSet found")
	// ErrNoTunnel reports that there is no outbound tunnel yet.
	ErrNoTunnel = errors.New("destination: no outbound tunnel")
	// ErrEncryption reports a Destination that publishes no key of a type we
	// can encrypt to.
	ErrEncryption = errors.New("destination: no usable encryption key")
	// ErrClosed reports use after Close.
	ErrClosed = errors.New("destination: closed")
)

// Config is how a Destination behaves.
type Config struct {
	// Name is for status.
	Name string
	// Tunnels is how many tunnels of which length.
	Tunnels pool.Config
	// Unpublished keeps the LeaseSet out of the network database: only those
	// we write to can answer. For clients.
	Unpublished bool
	// Compress messages where that makes them shorter.
	Compress bool
}

// Sender is what is known of the origin of a message.
type Sender struct {
	// Bound tells that the message came through a session whose key the
	// LeaseSet of the Destination with this Hash names as its own.
	Bound bool
	Hash  data.Hash
}

// Handler is told what happens to a Destination, in rounds.
type Handler interface {
	// Message hands over a message. Its payload is lent for the round.
	Message(r *host.Round, from Sender, m Message)
	// Ready tells whether the Destination can be reached and can send; it
	// comes whenever that may have changed.
	Ready(r *host.Round, ready bool)
}

const (
	// keepEvery is how often sessions are looked after.
	keepEvery = 5 * time.Second
	// messageLife is how long an end-to-end message may take.
	messageLife = 60 * time.Second
)

// Destination is a local Destination.
type Destination struct {
	cfg      Config
	rt       *router.Router
	h        host.Host
	log      *slog.Logger
	keys     *data.PrivateKeys
	hash     data.Hash
	up       Handler
	context  *router.Context
	key      x25519.KeyPair // that peers encrypt to
	sessions *garlic.Sessions
	counts   counts

	mu      sync.Mutex
	closed  bool
	timer   host.Timer
	due     host.Timer // for what sessions owe
	dueAt   time.Time
	leases  leases
	remotes remotes
	tracks  garlic.Handle
}

// counts is what happened to messages.
type counts struct {
	sent, received, unsealed, malformed, unsent atomic.Uint64
}

// Open brings a Destination up on a router. up hears of messages, and of when
// it is ready.
func Open(r *host.Round, rt *router.Router, cfg Config, keys *data.PrivateKeys, up Handler, log *slog.Logger) *Destination {
	d := &Destination{
		cfg: cfg, rt: rt, h: rt.Host(), log: log, keys: keys, up: up,
		hash: keys.Destination.Hash(),
		key:  x25519.Generate(),
	}
	d.remotes.init()
	d.sessions = garlic.New(garlic.Config{}, d.key)
	var order [32]byte
	random.Fill(order[:])
	// The context calls back only when its first tunnel stands.
	d.context = rt.OpenContext(r, router.ContextConfig{
		Name:    cfg.Name,
		Tunnels: cfg.Tunnels,
		Key:     &order,
		Garlic:  d.open,
		Changed: d.leasesChanged,
	})
	d.leasesChanged(r)
	d.keep(r)
	return d
}

// Hash names the Destination.
func (d *Destination) Hash() data.Hash { return d.hash }

// Identity is the Destination itself.
func (d *Destination) Identity() *data.Destination { return d.keys.Destination }

// Close takes the Destination down.
func (d *Destination) Close(r *host.Round) {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return
	}
	d.closed = true
	for _, t := range []host.Timer{d.timer, d.due, d.leases.timer} {
		if t != nil {
			t.Stop()
		}
	}
	waiting := d.remotes.clear()
	d.mu.Unlock()
	for _, done := range waiting {
		done(r, ErrClosed)
	}
	d.context.Close(r)
}

// keep looks after sessions and leases.
func (d *Destination) keep(r *host.Round) {
	lost := d.sessions.Expire(r.Now)
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return
	}
	for _, l := range lost {
		d.remotes.untrack(l.Handle)
	}
	d.remotes.expire(r.Now)
	d.timer = d.h.AfterFunc(keepEvery, d.keep)
	d.mu.Unlock()
	d.renewLeases(r)
	d.up.Ready(r, d.Ready(r.Now))
}

// Ready tells whether the Destination has tunnels both ways and, unless it is
// unpublished, a LeaseSet that has been stored.
func (d *Destination) Ready(now time.Time) bool {
	_, out := d.context.Pool.Outbound(now)
	d.mu.Lock()
	defer d.mu.Unlock()
	return out && d.leases.current != nil && (d.cfg.Unpublished || d.leases.stored) && !d.closed
}

// Status is a snapshot of a Destination.
type Status struct {
	Name, B32                   string
	Ready                       bool
	Leases                      int
	Published                   time.Time
	Sent, Received              uint64
	Unsealed, Malformed, Unsent uint64
	Sessions                    int
	Pool                        pool.PoolStatus
}

// Status tells how the Destination is at now.
func (d *Destination) Status(now time.Time) Status {
	s := Status{
		Name: d.cfg.Name, B32: d.hash.B32(), Ready: d.Ready(now),
		Sent: d.counts.sent.Load(), Received: d.counts.received.Load(),
		Unsealed: d.counts.unsealed.Load(), Malformed: d.counts.malformed.Load(), Unsent: d.counts.unsent.Load(),
		Pool: d.context.Pool.Status(now),
	}
	s.Sessions, _ = d.sessions.Len()
	d.mu.Lock()
	defer d.mu.Unlock()
	if ls := d.leases.current; ls != nil {
		s.Leases, s.Published = len(ls.Leases()), ls.Published()
	}
	return s
}

func wrapped(place string, err error) error { return fmt.Errorf("destination: %s: %w", place, err) }

// CanSend tells whether there are tunnels to send through and be answered
// through.
func (d *Destination) CanSend(now time.Time) bool {
	_, out := d.context.Pool.Outbound(now)
	d.mu.Lock()
	defer d.mu.Unlock()
	return out && d.leases.current != nil
}
