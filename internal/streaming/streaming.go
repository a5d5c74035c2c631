// Package streaming gives reliable ordered streams between Destinations, the
// TCP of I2P.
//
// A packet names the stream by two ids, each chosen by one end. Packets with
// a sequence number are acknowledged, up to the highest received and with a
// list of the gaps below it; those that only acknowledge have none. A SYN
// carries the sender's whole Destination and is signed, and so are CLOSE and
// RESET: nothing below says who sent a packet.
//
// A stream is a step machine ([machine]: packets and time in, packets out) made
// of a sending and a receiving half. [Stream] drives one by events, [Conn] and
// [Listener] put the blocking face of package net over it. [Streams] is all of
// one Destination: it finds the stream a packet belongs to, answers SYNs and
// pings, and bounds what peers can make it remember.
//
// What calls and packets of a round make a stream say leaves at the end of the
// round, so the round must end: one acknowledgement answers many packets, and
// a request may travel in the very SYN.
package streaming

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/random"
	"allium/internal/replay"
)

// Network sends one packet to a Destination, between two of its ports. It
// does not block; the payload is copied.
type Network func(r *host.Round, to data.Hash, fromPort, toPort uint16, payload []byte) error

// ErrInUse reports a port that is listened on already.
var ErrInUse = errors.New("streaming: port in use")

const (
	// synMemory is how long a SYN is remembered, so that a copy of it opens
	// no second stream.
	synMemory = 10 * time.Minute
	// maxSYNs is how many are remembered at least.
	maxSYNs = 1 << 16
	// forStrangers is how many RESETs and pongs are sent each second to those
	// who have no stream.
	forStrangers = 10
)

// Streams is all streams of one Destination.
type Streams struct {
	cfg   Config
	h     host.Host
	local Local
	hash  data.Hash
	send  Network

	segments segments
	outboxes sync.Pool // of *outbox

	mu        sync.Mutex
	closed    bool
	byID      map[uint32]*Stream
	theirs    map[theirID]*Stream
	perPeer   map[data.Hash]int // streams they opened
	listeners map[uint16]accept
	faces     []*Listener // what Close ends
	pings     map[uint32]ping
	strays    []stray
	syns      *replay.Filter
	strangers *rate.Limiter
}

// accept takes a new stream and returns its notify, or nil to refuse it.
type accept = func(r *host.Round, s *Stream) func(r *host.Round)

// theirID finds a stream the peer opened by packets it sent before it knew
// our id.
type theirID struct {
	id   uint32
	port uint16
}

// New makes the streams of local. Packets leave through send; those that
// arrive are given to Receive.
func New(cfg Config, h host.Host, local Local, send Network) *Streams {
	return &Streams{
		cfg: cfg, h: h, local: local, hash: local.Destination.Hash(), send: send,
		byID:      make(map[uint32]*Stream),
		theirs:    make(map[theirID]*Stream),
		perPeer:   make(map[data.Hash]int),
		listeners: make(map[uint16]accept),
		pings:     make(map[uint32]ping),
		syns:      replay.New(synMemory, maxSYNs),
		strangers: rate.NewLimiter(forStrangers, forStrangers),
	}
}

// Open begins a stream to port of the Destination to. The SYN leaves at the
// end of the round, with what has been written by then. notify is called when
// the stream stands, has failed, or anything else happens to it.
func (ss *Streams) Open(r *host.Round, to data.Hash, port uint16, notify func(r *host.Round)) (*Stream, error) {
	s := ss.newStream(r, to, true)
	s.notify = notify
	s.m.remotePort = port
	if err := ss.add(s); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.later(r)
	s.mu.Unlock()
	return s, nil
}

// add gives the stream its id and its place in the table.
func (ss *Streams) add(s *Stream) error {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.closed {
		return ErrClosed
	}
	if len(ss.byID) >= ss.cfg.MaxStreams {
		return fmt.Errorf("streaming: %d streams are open: %w", len(ss.byID), host.ErrFull)
	}
	if !s.m.initiator {
		key := theirID{s.m.sendID, s.m.remotePort}
		if ss.theirs[key] != nil || ss.perPeer[s.remote] >= ss.cfg.MaxPerPeer {
			return fmt.Errorf("streaming: streams of one peer: %w", host.ErrFull)
		}
		ss.theirs[key] = s
		ss.perPeer[s.remote]++
	}
	for s.m.receiveID == 0 || ss.byID[s.m.receiveID] != nil {
		s.m.receiveID = random.Nonzero32()
	}
	ss.byID[s.m.receiveID] = s
	s.listed = true
	return nil
}

// remove forgets a stream that is over.
func (ss *Streams) remove(s *Stream) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	delete(ss.byID, s.m.receiveID)
	if s.m.initiator {
		return
	}
	delete(ss.theirs, theirID{s.m.sendID, s.m.remotePort})
	if ss.perPeer[s.remote]--; ss.perPeer[s.remote] == 0 {
		delete(ss.perPeer, s.remote)
	}
}

// Accept has accept called in a round for each new stream to port; port 0
// takes what no other port takes. accept returns the stream's notify, or nil
// to refuse, and must not block. What it writes goes out with the answer to
// the SYN. The returned func ends it.
func (ss *Streams) Accept(port uint16, accept func(r *host.Round, s *Stream) func(r *host.Round)) (stop func(), err error) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.closed {
		return nil, ErrClosed
	}
	if ss.listeners[port] != nil {
		return nil, fmt.Errorf("%w: %d", ErrInUse, port)
	}
	ss.listeners[port] = accept
	var once sync.Once
	return func() {
		once.Do(func() {
			ss.mu.Lock()
			defer ss.mu.Unlock()
			delete(ss.listeners, port)
		})
	}, nil
}

// Receive takes in one packet. Its payload is lent for the round. What is
// wrong with it is reported for counting; nothing need be done about it.
func (ss *Streams) Receive(r *host.Round, from Sender, fromPort, toPort uint16, payload []byte) error {
	p, err := parsePacket(payload)
	if err != nil {
		return err
	}
	if p.has(flagEcho) {
		return ss.echo(r, from, fromPort, toPort, &p)
	}
	if s := ss.find(from, fromPort, &p); s != nil {
		return s.deliver(r, from, &p)
	}
	switch {
	case p.has(flagReset) || p.isAck() || p.receiveID == 0:
	case p.sendID == 0 && p.has(flagSYN):
		return ss.open(r, from, fromPort, toPort, &p)
	case p.sendID == 0:
		ss.stray(r.Now, from, theirID{p.receiveID, fromPort}, payload)
	case from.Bound && ss.strangers.AllowN(r.Now, 1):
		ss.reject(r, from.Hash, fromPort, toPort, &p)
	}
	return nil
}

// find returns the stream of a packet.
func (ss *Streams) find(from Sender, fromPort uint16, p *packet) *Stream {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if p.sendID != 0 {
		return ss.byID[p.sendID]
	}
	s := ss.theirs[theirID{p.receiveID, fromPort}]
	if s != nil && from.Bound && from.Hash != s.remote {
		return nil
	}
	return s
}

// open answers a SYN.
func (ss *Streams) open(r *host.Round, from Sender, fromPort, toPort uint16, p *packet) error {
	accept := ss.acceptor(toPort)
	if accept == nil && !ss.strangers.AllowN(r.Now, 1) {
		return nil
	}
	peer, err := ss.introduced(r, from, p)
	if err != nil {
		return err
	}
	if accept == nil {
		ss.reject(r, peer.destination.Hash(), fromPort, toPort, p)
		return nil
	}
	if p.has(flagSignature) && ss.syns.Seen(r.Now, p.signature) {
		return fmt.Errorf("%w: SYN replayed", ErrSignature)
	}
	s := ss.newStream(r, peer.destination.Hash(), false)
	s.m.peer = peer
	s.m.localPort, s.m.remotePort = toPort, fromPort
	s.m.input(r.Now, p)
	if err := ss.add(s); err != nil {
		if ss.strangers.AllowN(r.Now, 1) {
			ss.reject(r, s.remote, fromPort, toPort, p)
		}
		return err
	}
	notify := accept(r, s)
	if notify == nil {
		s.Reset(r)
		return nil
	}
	s.mu.Lock()
	s.notify = notify
	s.news = true
	s.later(r)
	s.mu.Unlock()
	for _, late := range ss.takeStrays(r.Now, theirID{p.receiveID, fromPort}) {
		if q, err := parsePacket(late.payload); err == nil {
			_ = s.deliver(r, late.from, &q) // its sender is not the one of this packet
		}
	}
	return nil
}

// introduced returns who sent a SYN, if it is authentic and meant for us.
func (ss *Streams) introduced(r *host.Round, from Sender, p *packet) (identity, error) {
	if !p.meantFor(ss.hash) {
		return identity{}, fmt.Errorf("%w: SYN for another destination", ErrSignature)
	}
	if p.sequence != 0 {
		return identity{}, fmt.Errorf("%w: SYN numbered %d", ErrPacket, p.sequence)
	}
	peer, err := p.openOptions(identity{})
	if err != nil {
		return identity{}, err
	}
	if peer.destination == nil {
		return identity{}, fmt.Errorf("%w: SYN without its sender", ErrPacket)
	}
	if from.Bound && !peer.is(from.Hash) {
		return identity{}, fmt.Errorf("%w: SYN of another session", ErrSignature)
	}
	return peer, p.authentic(r.Now, peer, identity{}, from)
}

// acceptor returns who takes streams to port, nil if nobody does or there is
// no room for another.
func (ss *Streams) acceptor(port uint16) accept {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if len(ss.byID) >= ss.cfg.MaxStreams {
		return nil
	}
	if accept := ss.listeners[port]; accept != nil {
		return accept
	}
	return ss.listeners[0]
}

// reject answers p with a RESET.
func (ss *Streams) reject(r *host.Round, to data.Hash, fromPort, toPort uint16, p *packet) {
	reset := packet{sendID: p.receiveID, receiveID: p.sendID, flags: flagReset | flagNoAck}
	_ = ss.send(r, to, toPort, fromPort, ss.local.seal(nil, &reset, &to)) // the peer asks again
}

// Len is how many streams exist.
func (ss *Streams) Len() int {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return len(ss.byID)
}

// Close breaks off every stream and refuses new ones. Their RESETs are sent
// before it returns.
func (ss *Streams) Close(r *host.Round) {
	ss.mu.Lock()
	ss.closed = true
	open := slices.Collect(maps.Values(ss.byID))
	clear(ss.listeners)
	clear(ss.pings)
	faces := ss.faces
	ss.faces = nil
	ss.strays = nil
	ss.mu.Unlock()
	slices.SortFunc(open, func(a, b *Stream) int { return cmp.Compare(a.m.receiveID, b.m.receiveID) })
	for _, l := range faces {
		l.end()
	}
	for _, s := range open {
		s.Reset(r)
	}
}
