// Package ntcp2 is the NTCP2 transport: sessions over TCP between two routers
// that look like random bytes to everybody else.
//
// A session begins with a Noise XK handshake of three messages. Alice dials:
// she knows Bob's static key and router hash from his RouterInfo, and hides
// her ephemeral key with them, so that whoever does not know Bob gets no
// answer at all. Her own RouterInfo comes in the third message, and Bob
// decides whether to take her. Each side of it is a machine without sockets
// (initiator.go, responder.go), a chain of steps that each take a number of
// bytes known beforehand. Its steps do public-key operations and so run on
// workers, while bytes that arrive meanwhile wait.
//
// Then both send frames: a length that is masked with SipHash, and blocks
// sealed with ChaCha20-Poly1305. A frame that lies whole in what was read is
// opened in place, and its messages are handed up still lying there. Messages
// to be sent wait in bounded queues, one for each class; at the end of the
// round they are packed into few frames, sealed where they lie, and written at
// once. Near a limit of bandwidth sessions have turns to seal and to read
// (turn.go).
//
// A peer costs its own session and no more: everything it can make us keep is
// bounded, a handshake has a deadline, and half-open sessions have limits for
// all together and for each address.
package ntcp2

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"allium/internal/aesbatch"
	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/replay"
	"allium/internal/setting"
	"allium/internal/transport/block"
	"allium/internal/transport/pace"
	"allium/internal/x25519"
)

// Errors a session ends with, or was refused for. They come wrapped; failures
// of the connection are those of package host.
var (
	// ErrProbe reports a first message that was not made by somebody who
	// knows our RouterInfo, or is none at all.
	ErrProbe = errors.New("not a session request")
	// ErrReplay reports a first message that was sent before.
	ErrReplay = errors.New("session request replayed")
	// ErrNetwork reports a peer of another network.
	ErrNetwork = errors.New("peer of another network")
	// ErrClockSkew reports a peer whose clock is more than a minute from ours.
	ErrClockSkew = errors.New("clocks differ too much")
	// ErrHandshake reports a handshake that did not keep to the protocol, or
	// whose messages do not authenticate.
	ErrHandshake = errors.New("handshake failed")
	// ErrFrame reports a frame that does not authenticate, or is shorter than
	// any.
	ErrFrame = errors.New("bad frame")
	// ErrBusy reports that there is more work than workers can do.
	ErrBusy = errors.New("too busy")
	// ErrStalled reports a peer that does not read what it is sent.
	ErrStalled = errors.New("peer takes nothing")
	// ErrNoAddress reports a RouterInfo without NTCP2 at the address to dial.
	ErrNoAddress = errors.New("no NTCP2 address")
	// ErrTooLong reports a message that does not fit into a frame.
	ErrTooLong = errors.New("message too long")
)

// Termination is in the error of a session that ended with a Termination
// block.
type Termination struct {
	Reason block.Reason
	// ByPeer tells that the peer sent it, and not we.
	ByPeer bool
}

// Error gives the reason in words.
func (t *Termination) Error() string {
	if t.ByPeer {
		return "ntcp2: terminated by peer: " + t.Reason.String()
	}
	return "ntcp2: terminated: " + t.Reason.String()
}

// Config bounds what sessions may take.
type Config struct {
	HandshakeTimeout time.Duration `default:"10s" min:"1s" max:"1m" help:"How long a peer may take for the handshake."`
	IdleTimeout      time.Duration `default:"2m" min:"10s" max:"1h" help:"How long a session stays open without traffic."`
	StallTimeout     time.Duration `default:"1m" min:"5s" max:"10m" help:"How long a peer may leave unread what waits for it before its session is given up."`
	QueueSize        setting.Size  `default:"512 KiB" min:"64 KiB" max:"16 MiB" help:"How much may wait to be sent in one session. Beyond that the oldest messages in transit are dropped."`
	QueueAge         time.Duration `default:"4s" min:"100ms" max:"1m" help:"How long a message in transit may wait in a session before it is dropped."`
	HalfOpen         int           `default:"1024" min:"4" max:"65536" help:"How many incoming handshakes may be under way."`
	HalfOpenPerIP    int           `default:"8" min:"1" max:"65536" help:"How many incoming handshakes may be under way from one IPv4 address or one IPv6 /64 network."`
	Padding          int           `default:"6" min:"0" max:"100" unit:"percent" help:"The most padding that is added to what is sent, beside its size."`
}

// Local is what this router is.
type Local struct {
	// Hash is the router's hash.
	Hash data.Hash
	// Static is the key published as option s, and IV the 16 bytes published
	// as option i. Neither changes while the router runs.
	Static x25519.KeyPair
	IV     [16]byte
	// NetID is the number of the network, 2 for the live one.
	NetID uint8
	// RouterInfo gives our RouterInfo, signed less than an hour before now:
	// peers refuse one that is older than 90 minutes.
	RouterInfo func(now time.Time) *data.RouterInfo
}

// Handler is told what happens in sessions. It may be called for different
// sessions at once. Calls for one session follow each other, except RouterInfo,
// which may come beside others.
type Handler interface {
	// CheckPeer is asked when a peer has proved who it is, before the session
	// is established, and gives the reason to refuse it, or Unspecified to
	// take it. The peer's RouterInfo is signed, fresh and of our network, and
	// the connection comes from where it says.
	CheckPeer(now time.Time, ri *data.RouterInfo, remote netip.AddrPort, inbound bool) block.Reason
	// Established tells that messages can be exchanged.
	Established(r *host.Round, s *Session)
	// Message hands over a message whose body is lent for the round, and gives
	// whom it serves.
	Message(r *host.Round, s *Session, m i2np.Message) bandwidth.Class
	// RouterInfo hands over the peer's RouterInfo, verified, when it sends
	// another within the session. flood asks a floodfill to flood it.
	RouterInfo(r *host.Round, s *Session, ri *data.RouterInfo, flood bool)
	// ClockSkew tells how far the peer's clock is ahead of ours: once for each
	// handshake, and each time the peer tells the time. The peer is
	// authenticated, unless the hash is zero: that is an inbound peer which
	// was refused before it said who it is.
	ClockSkew(r *host.Round, peer data.Hash, remote netip.AddrPort, skew time.Duration)
	// Closed tells once that a session is gone that was dialled or
	// established, and why: a *Termination, one of the errors here, or one of
	// package host.
	Closed(r *host.Round, s *Session, err error)
	// Refused tells of an inbound connection that never became a session, and
	// why.
	Refused(r *host.Round, remote netip.AddrPort, err error)
}

const (
	// maxSkew is how far clocks may differ.
	maxSkew = 60 * time.Second
	// replayLife is how long ephemeral keys are remembered: as long as a
	// first message can pass for new, with a little on top.
	replayLife = 2*maxSkew + 30*time.Second
	// replayCapacity is how many ephemeral keys the filter is made for in that
	// time. It takes more, and then still remembers for two minutes under a
	// thousand handshakes per second.
	replayCapacity = 1 << 15
)

// Endpoint makes sessions, inbound and outbound.
type Endpoint struct {
	cfg   Config
	host  host.Host
	local Local
	up    Handler
	pacer *pace.Pacer

	obfuscation *aesbatch.Key // our hash, hides the keys of inbound handshakes
	replays     *replay.Filter
	batches     batches
	stats       counts

	mu       sync.Mutex
	halfOpen map[netip.Addr]int // inbound handshakes under way by origin
	waiting  int                // their sum
}

// New makes an Endpoint for the router local, whose sessions send and read as
// much as pacer lets them. It owns no socket: Accept is given to
// host.Host.ListenTCP.
func New(cfg Config, h host.Host, local Local, pacer *pace.Pacer, up Handler) *Endpoint {
	return &Endpoint{
		cfg:         cfg,
		host:        h,
		local:       local,
		up:          up,
		pacer:       pacer,
		obfuscation: aesbatch.NewKey((*[32]byte)(&local.Hash)),
		replays:     replay.New(replayLife, replayCapacity),
		halfOpen:    make(map[netip.Addr]int),
	}
}
