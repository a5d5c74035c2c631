// Package destination is a local Destination: its tunnels, the LeaseSet that
// says how to reach it, and the end-to-end encrypted messages it exchanges
// with other Destinations.
//
// A message to a peer needs the peer's LeaseSet, which is looked up through
// our own tunnels and afterwards comes along with the peer's messages. It is
// sealed in a ratchet session, and sent through one of our outbound tunnels
// to the gateway of one of the peer's inbound ones. That pair is kept while
// it works, because each pair has its own delay; when a peer falls silent
// although it has been sent something, the next pair is tried, and in the end
// its LeaseSet is asked for again.
//
// Whoever writes to us learns from our New Session or reply where we are: it
// brings our LeaseSet along, and so does the first message after our leases
// have changed. A peer that is written to by nobody is told before the leases
// it knows have ended.
//
// Messages of a session are opened in the round they arrive in, and so keep
// their order. What takes public-key work is opened by a worker, so much of
// it at a time and no more: whoever sends us noise costs us little, and the
// peers we know nothing.
//
// Here a packet meets outbound.go, path.go and seal.go on its way out, and
// inbound.go on its way in; peers.go is what is known of each peer, and
// leaseset.go how others know us.
package destination

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/netdb"
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
	// ErrTooLarge reports a message of more than MaxPayload bytes.
	ErrTooLarge = errors.New("destination: message too large")
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

// Handler is told what happens to a Destination, in rounds, by several at
// once. Nothing comes after Close.
type Handler interface {
	// Message hands over a message. Its payload is lent for the round.
	Message(r *host.Round, from Sender, m Message)
	// Ready tells whether the Destination can be reached and can send; it
	// comes whenever that may have changed.
	Ready(r *host.Round, ready bool)
}

const (
	// keepEvery is how often sessions and peers are looked after.
	keepEvery = 5 * time.Second
	// messageLife is how long an end-to-end message may take.
	messageLife = 60 * time.Second
)

// Destination is a local Destination. Its methods may be called from any
// goroutine.
type Destination struct {
	cfg      Config
	rt       *router.Router
	h        host.Host
	log      *slog.Logger
	keys     *data.PrivateKeys
	hash     data.Hash
	up       Handler
	context  *router.Context
	opened   atomic.Bool    // context is set
	key      x25519.KeyPair // that peers encrypt to
	sessions *garlic.Sessions
	codec    *codec
	// inBand is the LeaseSets that came along with messages. They are apart
	// from those of the context, which we have looked for, so that whoever
	// writes to us cannot push these out.
	inBand   *netdb.LeaseSets
	counts   counts
	working  atomic.Int32 // calls of work that have not ended
	parcels  sync.Pool    // *parcel
	openings sync.Pool    // *garlic.Opened

	mu     sync.Mutex
	closed bool
	timer  host.Timer
	due    host.Timer // for what sessions owe
	dueAt  time.Time
	leases leases
	peers  peers
}

// counts is what happened to messages.
type counts struct {
	sent, received, unsealed, malformed, unsent, dropped atomic.Uint64
}

// Open brings a Destination up on a router. up hears of messages, and of when
// it is ready.
func Open(r *host.Round, rt *router.Router, cfg Config, keys *data.PrivateKeys, up Handler, log *slog.Logger) *Destination {
	d := &Destination{
		cfg: cfg, rt: rt, h: rt.Host(), log: log, keys: keys, up: up,
		hash:     keys.Destination.Hash(),
		key:      x25519.Generate(),
		inBand:   netdb.NewLeaseSets(netdb.LeaseSetsConfig{}, data.Hash{}),
		codec:    newCodec(cfg.Compress),
		peers:    newPeers(),
		parcels:  sync.Pool{New: func() any { return new(parcel) }},
		openings: sync.Pool{New: func() any { return new(garlic.Opened) }},
	}
	d.sessions = garlic.New(garlic.Config{}, d.key)
	order := orderKey(keys)
	d.context = rt.OpenContext(r, router.ContextConfig{
		Name:    cfg.Name,
		Tunnels: cfg.Tunnels,
		Key:     &order,
		Garlic:  d.open,
		Changed: d.leasesChanged,
	})
	d.opened.Store(true)
	d.leasesChanged(r)
	d.keep(r)
	return d
}

// orderKey is the secret that orders the hops of the Destination's tunnels: the
// same after each restart, as whoever stands next to us is to stay there.
func orderKey(keys *data.PrivateKeys) [32]byte {
	return sha256.Sum256(append([]byte("order of hops"), keys.Append(nil)...))
}

// Hash names the Destination.
func (d *Destination) Hash() data.Hash { return d.hash }

// Identity is the Destination itself.
func (d *Destination) Identity() *data.Destination { return d.keys.Destination }

// Close takes the Destination down. Whoever waits for a LeaseSet gets
// ErrClosed.
func (d *Destination) Close(r *host.Round) {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return
	}
	d.closed = true
	for _, t := range []host.Timer{d.timer, d.due, d.leases.gather, d.leases.retry} {
		if t != nil {
			t.Stop()
		}
	}
	waiters := d.peers.clear()
	d.mu.Unlock()
	for _, done := range waiters {
		done(r, ErrClosed)
	}
	d.context.Close(r)
}

func (d *Destination) isClosed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// keep looks after sessions, peers and leases.
func (d *Destination) keep(r *host.Round) {
	lost := d.sessions.Expire(r.Now)
	d.inBand.Expire(r.Now)
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return
	}
	for _, l := range lost {
		d.peers.lost(l)
	}
	d.peers.expire(r.Now)
	untold := d.peers.outdated(r.Now, &d.leases)
	d.timer = d.h.AfterFunc(keepEvery, d.keep)
	d.mu.Unlock()
	for _, p := range untold {
		d.tell(r, p)
	}
	d.renewLeases(r)
	d.up.Ready(r, d.Ready(r.Now))
}

// maxWorking is how much public-key work is under way for one Destination, so
// that none takes all workers of the router. The rest is dropped, as if it had
// been lost on the way.
const maxWorking = 64

// work has a worker run f. It reports false when there is too much to do.
func (d *Destination) work(f func(r *host.Round)) bool {
	if d.working.Add(1) > maxWorking {
		d.working.Add(-1)
		return false
	}
	spawned := d.h.Spawn(func(r *host.Round) {
		defer d.working.Add(-1)
		f(r)
	})
	if !spawned {
		d.working.Add(-1)
	}
	return spawned
}

// Ready tells whether the Destination has tunnels both ways and, unless it is
// unpublished, a LeaseSet that a floodfill has confirmed and that has not
// ended.
func (d *Destination) Ready(now time.Time) bool {
	_, out := d.context.Pool.Outbound(now)
	d.mu.Lock()
	defer d.mu.Unlock()
	return out && d.leases.reachable(now) && (d.cfg.Unpublished || now.Before(d.leases.storedUntil)) && !d.closed
}

// CanSend tells whether there are tunnels to send through and be answered
// through.
func (d *Destination) CanSend(now time.Time) bool {
	_, out := d.context.Pool.Outbound(now)
	d.mu.Lock()
	defer d.mu.Unlock()
	return out && d.leases.reachable(now) && !d.closed
}

// Status is a snapshot of a Destination.
type Status struct {
	Name, B32 string
	Ready     bool
	// Leases is how many ways lead to us, as Published tells others.
	Leases         int
	Published      time.Time
	Sent, Received uint64
	// Unsealed could not be opened, Malformed not be read, Unsent not be sent,
	// and Dropped came too late or while there was too much to do.
	Unsealed, Malformed, Unsent, Dropped uint64
	Sessions                             int
	Pool                                 pool.PoolStatus
}

// Status tells how the Destination is at now.
func (d *Destination) Status(now time.Time) Status {
	s := Status{
		Name: d.cfg.Name, B32: d.hash.B32(), Ready: d.Ready(now),
		Sent: d.counts.sent.Load(), Received: d.counts.received.Load(),
		Unsealed: d.counts.unsealed.Load(), Malformed: d.counts.malformed.Load(),
		Unsent: d.counts.unsent.Load(), Dropped: d.counts.dropped.Load(),
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
