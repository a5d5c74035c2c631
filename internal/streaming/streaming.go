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
package streaming

import (
	"errors"
	"fmt"
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
	// refusals is how many RESETs to strangers are sent each second.
	refusals = 10
)

// Streams is all streams of one Destination.
type Streams struct {
	cfg   Config
	h     host.Host
	local Local
	hash  data.Hash
	send  Network

	mu        sync.Mutex
	closed    bool
	byID      map[uint32]*Stream
	theirs    map[theirID]*Stream
	perPeer   map[data.Hash]int
	listeners map[uint16]func(r *host.Round, s *Stream) func(r *host.Round)
	pings     map[uint32]func(r *host.Round)
	syns      *replay.Filter
	refuse    *rate.Limiter
}

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
		listeners: make(map[uint16]func(r *host.Round, s *Stream) func(r *host.Round)),
		pings:     make(map[uint32]func(r *host.Round)),
		syns:      replay.New(synMemory, 1<<16),
		refuse:    rate.NewLimiter(refusals, refusals),
	}
}

// Open begins a stream to port of the Destination to. notify is called when
// it stands, has failed, or anything else happens to it.
func (ss *Streams) Open(r *host.Round, to data.Hash, port uint16, notify func(r *host.Round)) (*Stream, error) {
	s := &Stream{streams: ss, remote: to, notify: notify}
	s.m = newMachine(&ss.cfg, &ss.local, to, true)
	s.m.remotePort = port
	s.m.localPort = uint16(1024 + random.IntN(1<<16-1024))
	if err := ss.add(s); err != nil {
		return nil, err
	}
	s.flush(r)
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
	for {
		s.m.receiveID = random.Nonzero32()
		if ss.byID[s.m.receiveID] == nil {
			break
		}
	}
	ss.byID[s.m.receiveID] = s
	if !s.m.initiator {
		ss.theirs[theirID{s.m.sendID, s.m.remotePort}] = s
		ss.perPeer[s.remote]++
	}
	return nil
}

// remove forgets a stream that is over.
func (ss *Streams) remove(s *Stream) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	delete(ss.byID, s.m.receiveID)
	key := theirID{s.m.sendID, s.m.remotePort}
	if s.m.initiator || ss.theirs[key] != s {
		return
	}
	delete(ss.theirs, key)
	if ss.perPeer[s.remote]--; ss.perPeer[s.remote] <= 0 {
		delete(ss.perPeer, s.remote)
	}
}

// Accept has accept called in a round for each new stream to port; port 0
// takes what no other port takes. accept returns the stream's notify, or nil
// to refuse. The returned func ends it.
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
	return func() {
		ss.mu.Lock()
		defer ss.mu.Unlock()
		delete(ss.listeners, port)
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
	if p.sendID == 0 && p.has(flagSYN) {
		return ss.open(r, from, fromPort, toPort, &p)
	}
	if !p.has(flagReset) && from.Bound {
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
	if !p.meantFor(ss.hash) {
		return fmt.Errorf("%w: SYN for another destination", ErrSignature)
	}
	peer, err := p.openOptions(nil)
	if err != nil {
		return err
	}
	if peer == nil || p.receiveID == 0 {
		return fmt.Errorf("%w: SYN without its sender", ErrPacket)
	}
	if from.Bound && from.Hash != peer.Hash() {
		return fmt.Errorf("%w: SYN of another session", ErrSignature)
	}
	if err := p.authentic(r.Now, peer, from); err != nil {
		return err
	}
	if len(p.signature) >= 32 && ss.syns.Seen(r.Now, p.signature[:32]) {
		return fmt.Errorf("%w: SYN replayed", ErrSignature)
	}
	accept := ss.acceptor(toPort, peer.Hash())
	if accept == nil {
		ss.reject(r, peer.Hash(), fromPort, toPort, p)
		return nil
	}
	s := &Stream{streams: ss, remote: peer.Hash(), notify: func(*host.Round) {}}
	s.m = newMachine(&ss.cfg, &ss.local, s.remote, false)
	s.m.peer = peer
	s.m.localPort, s.m.remotePort = toPort, fromPort
	s.mu.Lock()
	s.m.input(r.Now, p)
	err = ss.add(s)
	s.mu.Unlock()
	if err != nil {
		ss.reject(r, s.remote, fromPort, toPort, p)
		return err
	}
	notify := accept(r, s)
	if notify == nil {
		s.abort(r, ErrClosed)
		return nil
	}
	s.mu.Lock()
	s.notify = notify
	s.mu.Unlock()
	s.flush(r)
	notify(r) // packets may have come in between
	return nil
}

// acceptor returns who takes streams to port, unless peer has too many.
func (ss *Streams) acceptor(port uint16, peer data.Hash) func(r *host.Round, s *Stream) func(r *host.Round) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.closed || ss.perPeer[peer] >= ss.cfg.MaxPerPeer {
		return nil
	}
	if accept := ss.listeners[port]; accept != nil {
		return accept
	}
	return ss.listeners[0]
}

// reject answers p with a RESET, within what is spent on strangers.
func (ss *Streams) reject(r *host.Round, to data.Hash, fromPort, toPort uint16, p *packet) {
	if !ss.refuse.AllowN(r.Now, 1) {
		return
	}
	reset := packet{sendID: p.receiveID, receiveID: p.sendID, flags: flagReset | flagNoAck}
	_ = ss.send(r, to, toPort, fromPort, ss.local.seal(nil, reset, to))
}

// Len is how many streams exist.
func (ss *Streams) Len() int {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return len(ss.byID)
}

// Close breaks off every stream and refuses new ones.
func (ss *Streams) Close(r *host.Round) {
	ss.mu.Lock()
	ss.closed = true
	open := make([]*Stream, 0, len(ss.byID))
	for _, s := range ss.byID {
		open = append(open, s)
	}
	clear(ss.listeners)
	ss.mu.Unlock()
	sortStreams(open)
	for _, s := range open {
		s.abort(r, ErrClosed)
		s.stopTimer()
	}
}
