package build

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/i2np"
	"allium/internal/noise"
	"allium/internal/random"
	"allium/internal/tunnel"
	"allium/internal/x25519"
)

// Errors of the creator.
var (
	// ErrPath reports a tunnel that cannot be, or that its hops would refuse
	// to build.
	ErrPath = errors.New("impossible tunnel")
	// ErrTampered reports answers that somebody on the way has changed.
	ErrTampered = errors.New("build reply tampered with")
)

// Direction tells which end of a tunnel its creator is.
type Direction uint8

// The directions.
const (
	Inbound  Direction = iota // the creator is the endpoint
	Outbound                  // the creator is the gateway
)

// Hop is a remote hop of a tunnel to be.
type Hop struct {
	Hash data.Hash
	Key  x25519.PublicKey // static, of its RouterIdentity
}

// Path is a tunnel to be.
type Path struct {
	Direction Direction
	// Hops are the remote hops in the order messages will travel, at least
	// one and at most tunnel.MaxHops, all different.
	Hops []Hop
	// EndRouter and EndTunnel are where the last hop sends. Of an inbound
	// tunnel: ourselves, and the ID we receive under. Of an outbound one: the
	// gateway of the tunnel the answers take, which may be our own hash.
	EndRouter data.Hash
	EndTunnel tunnel.ID
}

// check fails with ErrPath.
func (p *Path) check() error {
	if len(p.Hops) == 0 || len(p.Hops) > tunnel.MaxHops {
		return fmt.Errorf("%w: %d hops", ErrPath, len(p.Hops))
	}
	if p.EndRouter.IsZero() || p.EndTunnel == 0 {
		return fmt.Errorf("%w: no end", ErrPath)
	}
	for i, hop := range p.Hops {
		if hop.Hash.IsZero() {
			return fmt.Errorf("%w: hop %d is nobody", ErrPath, i)
		}
		if p.Direction == Inbound && hop.Hash == p.EndRouter {
			return fmt.Errorf("%w: hop %d is ourselves", ErrPath, i)
		}
		for _, earlier := range p.Hops[:i] {
			if hop.Hash == earlier.Hash {
				return fmt.Errorf("%w: hop %d comes twice", ErrPath, i)
			}
		}
	}
	return nil
}

// role is what the hop at i is asked to be.
func (p *Path) role(i int) Role {
	switch {
	case p.Direction == Inbound && i == 0:
		return InboundGateway
	case p.Direction == Outbound && i == len(p.Hops)-1:
		return OutboundEndpoint
	}
	return Participant
}

// records is how many records the message has. Four are enough for most
// tunnels, and as everybody sends four they say nothing about the length.
func (p *Path) records() int {
	if len(p.Hops) <= fewHops {
		return fewRecords
	}
	return maxRecords
}

const (
	fewHops    = 3
	fewRecords = 4
)

// Build is a request under way: what the creator needs to read the answers.
type Build struct {
	hops      []hop
	records   int
	messageID uint32

	// The record of our own in an inbound build, and its hash.
	self    int
	selfSum [sha256.Size]byte
	inbound bool
}

// hop is a remote hop that was asked.
type hop struct {
	hash    data.Hash
	receive tunnel.ID
	index   int // of its record
	keys    keys
}

// Create makes a request: the body of a ShortTunnelBuild message to the first
// hop. It takes two X25519 operations for each hop, so not in a round. It fails
// with ErrPath, or with x25519.ErrLowOrder for a hop whose key is no key.
//
// For an outbound tunnel the message goes to the first hop directly. For an
// inbound one it goes through an outbound tunnel and is to be wrapped in
// garlic for the first hop, unless that is the endpoint of the outbound tunnel
// too. Its message ID is of no importance.
func Create(now time.Time, p Path) (*Build, i2np.ShortTunnelBuild, error) {
	if err := p.check(); err != nil {
		return nil, nil, fmt.Errorf("build: %w", err)
	}
	b := &Build{
		hops:      make([]hop, len(p.Hops)),
		records:   p.records(),
		messageID: random.Nonzero32(),
		inbound:   p.Direction == Inbound,
	}
	records, err := i2np.NewShortTunnelBuild(b.records)
	if err != nil {
		return nil, nil, fmt.Errorf("build: %w", err)
	}
	b.place(p.Hops)
	for i := range b.hops {
		if err := b.request(now, &p, i, records); err != nil {
			return nil, nil, fmt.Errorf("build: hop %d: %w", i, err)
		}
	}
	if b.inbound {
		b.own(&p.EndRouter, records)
	}
	b.conceal(records)
	return b, records, nil
}

// place gives each hop, and ourselves, a record and each hop a tunnel ID.
func (b *Build) place(hops []Hop) {
	order := [maxRecords]int{0, 1, 2, 3, 4, 5, 6, 7}
	random.Shuffle(b.records, func(i, j int) { order[i], order[j] = order[j], order[i] })
	for i := range b.hops {
		b.hops[i] = hop{hash: hops[i].Hash, receive: tunnel.ID(random.Nonzero32()), index: order[i]}
	}
	b.self = order[len(hops)]
}

// request seals the record of the hop at i.
func (b *Build) request(now time.Time, p *Path, i int, records i2np.ShortTunnelBuild) error {
	h := &b.hops[i]
	q := RequestRecord{
		Receive:       h.receive,
		Next:          p.EndTunnel,
		NextRouter:    p.EndRouter,
		Role:          p.role(i),
		LayerType:     layerAES,
		Time:          now,
		Lifetime:      tunnel.Lifetime,
		NextMessageID: b.messageID,
	}
	if i+1 < len(b.hops) {
		q.Next, q.NextRouter = b.hops[i+1].receive, b.hops[i+1].hash
		q.NextMessageID = random.Nonzero32()
	}
	ephemeral := x25519.Generate()
	state, err := noise.SealN(noise.TunnelN(), &p.Hops[i].Key, &ephemeral)
	if err != nil {
		return err
	}
	sealed := records.Record(h.index)
	address(sealed, &h.hash, &ephemeral.Public)
	body := sealed[sealedAt:sealedAt]
	plain := q.append(body)
	state.EncryptAndHash(body, plain)
	h.keys = derive(&state, q.Role)
	return nil
}

// own makes the record the last hop of an inbound tunnel takes for the next
// one's: with our hash and a true public key, it looks no different from a
// participant's. Nobody can open it. That it comes back unchanged is checked
// by its hash, because a change would be a mark on the tunnel.
func (b *Build) own(self *data.Hash, records i2np.ShortTunnelBuild) {
	mine := records.Record(b.self)
	ephemeral := x25519.Generate()
	address(mine, self, &ephemeral.Public)
	random.Fill(mine[sealedAt:])
	b.selfSum = sha256.Sum256(mine[:])
}

// conceal undoes beforehand what hops will do to records that are due behind
// them, and fills those that are nobody's.
func (b *Build) conceal(records i2np.ShortTunnelBuild) {
	var used [maxRecords]bool
	for i := range b.hops {
		used[b.hops[i].index] = true
		for j := range b.hops[:i] {
			b.hops[j].keys.whiten(records, b.hops[i].index)
		}
	}
	if b.inbound {
		used[b.self] = true
		for j := range b.hops {
			b.hops[j].keys.whiten(records, b.self)
		}
	}
	for i := range b.records {
		if !used[i] {
			random.Fill(records.Record(i)[:])
		}
	}
}

// HopReply is the answer of one hop.
type HopReply struct {
	Hash data.Hash
	ReplyRecord
}

// Open reads the answers, in the order of the hops, from the body of the
// OutboundTunnelBuildReply message, or of the ShortTunnelBuild message that
// came back. The tunnel stands when every Code is Accept. It fails with
// ErrTampered; then it cannot be told who is to blame, and the tunnel is of no
// use. It leaves the records as they are.
func (b *Build) Open(records i2np.ShortTunnelBuild) ([]HopReply, error) {
	if records.Count() != b.records {
		return nil, fmt.Errorf("build: %w: %d records, not %d", ErrTampered, records.Count(), b.records)
	}
	records = slices.Clone(records)
	if b.inbound && sha256.Sum256(records.Record(b.self)[:]) != b.selfSum {
		return nil, fmt.Errorf("build: %w: our own record", ErrTampered)
	}
	replies := make([]HopReply, len(b.hops))
	for i := len(b.hops) - 1; i >= 0; i-- {
		h := &b.hops[i]
		reply, err := openReply(records, h.index, &h.keys)
		if err != nil {
			return nil, fmt.Errorf("build: %w: hop %d: %w", ErrTampered, i, err)
		}
		replies[i] = HopReply{h.hash, reply}
		for j := range b.hops[:i] {
			h.keys.whiten(records, b.hops[j].index)
		}
	}
	return replies, nil
}

// MessageID is the I2NP message ID the answers come back under: that of the
// ShortTunnelBuild from the last hop of an inbound tunnel, or of the
// OutboundTunnelBuildReply within its garlic message. Only the last hop knows
// it.
func (b *Build) MessageID() uint32 { return b.messageID }

// Gateway is the ID under which the first hop receives: where an outbound
// tunnel's messages go to first, and what a lease of an inbound one names.
func (b *Build) Gateway() tunnel.ID { return b.hops[0].receive }

// ReplyKey is the key and tag of the garlic message the answers to an outbound
// build come in, unless the endpoint is the gateway of the reply tunnel too.
// They must be known before the request is sent. They are zero for an inbound
// build.
func (b *Build) ReplyKey() (key [32]byte, tag [8]byte) {
	last := &b.hops[len(b.hops)-1].keys
	return last.replyKey, last.replyTag
}

// Layers are the layers of all hops, for when the tunnel stands.
func (b *Build) Layers() tunnel.Layers {
	layers := make(tunnel.Layers, len(b.hops))
	for i := range b.hops {
		layers[i] = tunnel.NewLayer(&b.hops[i].keys.tunnel)
	}
	return layers
}
