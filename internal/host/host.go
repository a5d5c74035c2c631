// Package host is the machine a router runs on: clock, timers, sockets and
// workers. Every goroutine of the core starts here, and nothing below the
// line reads a clock or touches a socket except through it.
//
// Work comes in rounds. An engine reads whatever is ready, opens a [Round],
// hands the bytes to their handlers, and ends the round. What a handler
// gathers on the way (messages to encrypt side by side, sessions with frames
// to seal) it leaves in the round and does once at the end, in two phases:
// first [Encrypt], then [Seal]. Bytes handed to a handler are lent until the
// round ends and may be worked on in place; whoever keeps them copies them.
//
// Three engines stand behind the same interface: the portable one of this
// package (a goroutine per connection or socket, each read a round), the
// simulation (each event a round, on virtual time), and one of epoll loops.
// The core cannot tell them apart.
package host

import (
	"errors"
	"net/netip"
	"time"
)

// Errors of sockets.
var (
	// ErrFull reports that a queue holds as much as it may; nothing of the
	// call was accepted.
	ErrFull = errors.New("host: queue full")
	// ErrClosed reports use after Close, and is what Closed handlers get when
	// the local side closed.
	ErrClosed = errors.New("host: closed")
)

// Reasons a Closed handler gets, the same from every engine. They may come
// wrapped; other failures come as the system tells them.
var (
	// ErrRefused reports that nobody listens at the address dialled.
	ErrRefused = errors.New("host: connection refused")
	// ErrReset reports that the peer ended the connection with a TCP reset.
	ErrReset = errors.New("host: connection reset")
	// ErrTimeout reports that the peer did not answer in time.
	ErrTimeout = errors.New("host: timed out")
	// ErrUnreachable reports that this machine knows no way to the peer.
	ErrUnreachable = errors.New("host: unreachable")
)

// Host is the machine. Its methods may be called from any goroutine, in and
// out of rounds, and never call back before they return, Do excepted.
type Host interface {
	// Now is the network time. Inside a round use the round's Now.
	Now() time.Time

	// AfterFunc calls f once, in a round of its own, d from now.
	AfterFunc(d time.Duration, f func(r *Round)) Timer

	// Do runs f in a round of its own on the calling goroutine and ends the
	// round before it returns. It is how calls from above the line enter the
	// core; code already in a round passes its round along instead.
	Do(f func(r *Round))

	// Spawn runs f in a round of its own on one of a bounded number of
	// workers. Public-key operations go here so that reading never waits for
	// them. It reports false, without running f, when the queue is full.
	Spawn(f func(r *Round)) bool

	// Serve is Spawn for what others ask of us. It has a queue of its own, and
	// its work is done when no call of Spawn waits: a flood of requests keeps
	// nothing from us but the processor it takes.
	Serve(f func(r *Round)) bool

	// ListenTCP accepts connections on addr; an IPv6 address takes no IPv4.
	// accept is called in a round for each, one after another, and returns
	// the handler of that stream, or nil to refuse it with a reset.
	// Port 0 picks a free port; see Listener.Addr. It fails with
	// ErrUnreachable when the machine does not have the address, or none of
	// its family.
	ListenTCP(addr netip.AddrPort, accept func(r *Round, s Stream) StreamHandler) (Listener, error)

	// DialTCP begins to connect to addr from the local address (the zero Addr
	// leaves the choice to the system). The handler's Opened follows, or its
	// Closed with the reason. That may be on another goroutine before the
	// caller has seen the Stream: who needs it there holds the lock of its
	// handler over the call.
	DialTCP(local netip.Addr, to netip.AddrPort, h StreamHandler) Stream

	// Addrs are the addresses this machine has now, in order: those of every
	// interface that is up and plugged in, loopback among them, but none that
	// is good for one link alone. Empty when the system does not tell.
	Addrs() []netip.Addr

	// ListenUDP opens a socket on addr; an IPv6 address takes no IPv4. Port 0
	// picks a free port.
	ListenUDP(addr netip.AddrPort, h DatagramHandler) (Datagrams, error)
}

// Timer is a call that has not happened yet.
type Timer interface {
	// Stop cancels the call and reports whether it was still to come. It does
	// not wait for a call under way.
	Stop() bool
}

// Listener accepts TCP connections until closed.
type Listener interface {
	// Addr is the address it listens on, with the port the system chose.
	Addr() netip.AddrPort
	// Close stops accepting. Streams accepted before live on.
	Close() error
}

// StreamHandler gets what happens on one TCP connection. Its calls never
// overlap, each comes in a round, and none follows Closed.
type StreamHandler interface {
	// Opened tells that a dialled connection stands. Accepted ones get no
	// such call: they stand when they are handed over.
	Opened(r *Round)
	// Data lends bytes that have arrived.
	Data(r *Round, b []byte)
	// Writable tells that the queue has run empty after more than half of its
	// limit waited in it, or after it was too full for a Write.
	Writable(r *Round)
	// Closed tells that the connection is gone, both ways; what still waited
	// to be sent is dropped. err is io.EOF when the peer closed in order,
	// ErrClosed when this side did, else the failure.
	Closed(r *Round, err error)
}

// Meter is a StreamHandler that decides how much of its stream is read. What
// is not read stays with the peer, which TCP slows down. Its calls come outside
// rounds, between those of the StreamHandler, and none when the stream is
// ending on this side: then what is left is read freely.
type Meter interface {
	StreamHandler
	// Room is how many of n bytes may be read now.
	Room(n int) int
	// Held tells that Room was nothing, and that nothing is read until
	// Stream.Resume. On some systems it is not known yet whether there is
	// anything to read.
	Held()
}

// StreamQueue is how many unsent bytes a Stream holds before ErrFull.
const StreamQueue = 256 << 10

// Stream is one TCP connection.
type Stream interface {
	// Write queues a copy of all of b, or nothing: it never blocks. ErrFull
	// when b does not fit beside what waits, ErrClosed after the end. Before
	// Opened it queues as well.
	Write(b []byte) error
	// Queued is how many bytes wait to be sent.
	Queued() int
	// Resume ends the hold of a stream whose Meter was told Held: it is asked
	// again. At other times it does nothing, or has it asked once more.
	Resume()
	// Local and Remote are the two ends; Local is zero before Opened.
	Local() netip.AddrPort
	Remote() netip.AddrPort
	// Close sends what is queued, bounded by a few seconds, and ends the
	// connection. What arrives from now on is dropped. Closed follows in a
	// later round unless it has come already.
	Close()
	// Reset ends the connection at once, with a TCP reset where the system
	// can, dropping what is queued.
	Reset()
}

// DatagramHandler gets the packets of one UDP socket. Its calls never
// overlap.
type DatagramHandler interface {
	// Datagram lends one packet and names its source (IPv4 unmapped).
	Datagram(r *Round, from netip.AddrPort, b []byte)
}

// Datagrams is one UDP socket.
type Datagrams interface {
	// Send sends one packet, or reports why the system refused it. It never
	// blocks: ErrFull when the system's buffer is full.
	Send(to netip.AddrPort, b []byte) error
	// Addr is the address the socket is bound to.
	Addr() netip.AddrPort
	Close() error
}
