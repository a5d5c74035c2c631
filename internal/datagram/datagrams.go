package datagram

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"allium/internal/data"
	"allium/internal/host"
)

// ErrInUse reports a port of a protocol that somebody receives at already.
var ErrInUse = errors.New("datagram: port in use")

// Config bounds what waits to be read.
type Config struct {
	// Queue is the most datagrams that wait at one port.
	Queue int `default:"256" min:"1" max:"65536" help:"Most datagrams that wait to be read at one port."`
	// QueueBytes is the most bytes they have together.
	QueueBytes int `default:"1048576" min:"65536" max:"1073741824" unit:"bytes" help:"Most bytes of datagrams that wait to be read at one port."`
}

// Network sends one end-to-end message to a Destination, between two of its
// ports. It does not block; the payload is copied.
type Network func(r *host.Round, to data.Hash, protocol uint8, fromPort, toPort uint16, payload []byte) error

// Addr is where a datagram comes from, or goes to.
type Addr interface {
	net.Addr
	// HashPort is the hash of the Destination and the port.
	HashPort() (data.Hash, uint16)
}

// Datagrams is all datagrams of one Destination.
type Datagrams struct {
	cfg   Config
	h     host.Host
	local Local
	hash  data.Hash
	send  Network
	addr  func(h data.Hash, port uint16) Addr
	bufs  sync.Pool // of *[]byte

	mu        sync.Mutex
	closed    bool
	receivers map[place]func(r *host.Round, p Packet)
	conns     []*PacketConn
}

// place is where datagrams of a kind arrive.
type place struct {
	protocol Protocol
	port     uint16
}

// New makes the datagrams of local. They leave through send; those that arrive
// are given to Receive. addr makes the addresses that PacketConns report.
func New(cfg Config, h host.Host, local Local, send Network, addr func(h data.Hash, port uint16) Addr) *Datagrams {
	return &Datagrams{
		cfg: cfg, h: h, local: local, hash: local.Destination.Hash(), send: send, addr: addr,
		receivers: make(map[place]func(r *host.Round, p Packet)),
	}
}

// Send sends a datagram of kind p. It fails with ErrTooLong, ErrProtocol, or
// as the network does.
func (ds *Datagrams) Send(r *host.Round, p Protocol, to data.Hash, fromPort, toPort uint16, payload []byte) error {
	if ds.isClosed() {
		return net.ErrClosed
	}
	if p == Raw {
		if len(payload) > MaxLen {
			return fmt.Errorf("%w: %d bytes of %v", ErrTooLong, len(payload), p)
		}
		return ds.send(r, to, uint8(p), fromPort, toPort, payload)
	}
	buf, _ := ds.bufs.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	defer ds.bufs.Put(buf)
	b, err := ds.local.build((*buf)[:0], p, to, payload)
	if err != nil {
		return err
	}
	*buf = b
	return ds.send(r, to, uint8(p), fromPort, toPort, b)
}

func (ds *Datagrams) isClosed() bool {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	return ds.closed
}

// Handle has receive called, in a round, with each datagram of kind p to port;
// port 0 takes what no other port of the kind takes. The returned func ends
// it. It fails with ErrInUse or ErrProtocol.
func (ds *Datagrams) Handle(p Protocol, port uint16, receive func(r *host.Round, p Packet)) (stop func(), err error) {
	if !p.known() {
		return nil, fmt.Errorf("%w: %v", ErrProtocol, p)
	}
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if ds.closed {
		return nil, net.ErrClosed
	}
	at := place{p, port}
	if ds.receivers[at] != nil {
		return nil, fmt.Errorf("%w: %d of %v", ErrInUse, port, p)
	}
	ds.receivers[at] = receive
	var once sync.Once
	return func() {
		once.Do(func() {
			ds.mu.Lock()
			defer ds.mu.Unlock()
			delete(ds.receivers, at)
		})
	}, nil
}

// Receive takes in one message. Its payload is lent for the round. What is
// wrong with it is reported for counting; nothing need be done about it.
// Nothing is parsed, let alone verified, that nobody waits for.
func (ds *Datagrams) Receive(r *host.Round, from Sender, protocol uint8, fromPort, toPort uint16, payload []byte) error {
	kind := Protocol(protocol)
	receive := ds.receiver(place{kind, toPort})
	if receive == nil {
		return nil
	}
	if !from.Bound {
		from.Hash = data.Hash{}
	}
	p, err := parse(r.Now, kind, from, ds.hash, payload)
	if err != nil {
		return err
	}
	p.FromPort, p.ToPort = fromPort, toPort
	receive(r, p)
	return nil
}

// receiver returns who takes datagrams at a place.
func (ds *Datagrams) receiver(at place) func(r *host.Round, p Packet) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if receive := ds.receivers[at]; receive != nil {
		return receive
	}
	return ds.receivers[place{at.protocol, 0}]
}

// Close ends sending and receiving, and closes every PacketConn.
func (ds *Datagrams) Close() {
	ds.mu.Lock()
	ds.closed = true
	clear(ds.receivers)
	open := ds.conns
	ds.conns = nil
	ds.mu.Unlock()
	for _, c := range open {
		_ = c.Close() // it cannot fail
	}
}
