package ntcp2

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"allium/internal/aesbatch"
	"allium/internal/noise"
	"allium/internal/replay"
	"allium/internal/transport/block"
	"allium/internal/x25519"
)

const (
	// minConfirmed and maxConfirmed bound the second frame of message 3: the
	// smallest RouterInfo has an identity of 387 bytes, and RouterInfos over
	// some 4000 bytes are refused by others.
	minConfirmed = block.HeaderSize + 1 + 387 + noise.Overhead
	maxConfirmed = 6000
)

// responder is Bob's side of a handshake. Up to the padding of message 1 all
// its errors are ErrProbe or such as tell nothing to whoever is there.
type responder struct {
	handshake
	replays   *replay.Filter
	remote    netip.AddrPort
	ephemeral x25519.PublicKey // X
	confirmed int              // size of the second frame of message 3
}

// newResponder begins a handshake with whoever has connected from remote.
// obfuscation is our router hash.
func newResponder(self *Local, obfuscation *aesbatch.Key, replays *replay.Filter, remote netip.AddrPort) *responder {
	b := &responder{replays: replays, remote: remote}
	b.begin(self, noise.NewXK(noise.NTCP2(), false, self.Static, nil), obfuscation, self.IV)
	b.then(keySize, b.key)
	return b
}

// key takes X, the first part of message 1, SessionRequest.
func (b *responder) key(_ time.Time, in []byte) ([]byte, error) {
	ephemeral, err := b.reveal(in)
	if err != nil {
		return nil, fmt.Errorf("ntcp2: message 1: %w: %w", ErrProbe, err)
	}
	b.ephemeral = ephemeral
	b.then(sealedOptions, b.options)
	return nil, nil
}

// options takes the options of message 1. Who made them knows our RouterInfo,
// or has recorded somebody who did.
func (b *responder) options(now time.Time, in []byte) ([]byte, error) {
	b.noise.ReceiveE(&b.ephemeral)
	if err := b.noise.ES(); err != nil {
		return nil, fmt.Errorf("ntcp2: message 1: %w: %w", ErrProbe, err)
	}
	options, err := b.openOptions(in)
	if err != nil {
		return nil, fmt.Errorf("ntcp2: message 1: %w: %w", ErrProbe, err)
	}
	if b.replays.Seen(now, b.ephemeral[:]) {
		return nil, fmt.Errorf("ntcp2: message 1: %w", ErrReplay)
	}
	if id := options[0]; id != 0 && id != b.self.NetID {
		return nil, fmt.Errorf("ntcp2: message 1: %w: %d", ErrNetwork, id)
	}
	if options[1] != version {
		return nil, fmt.Errorf("ntcp2: message 1: %w: version %d", ErrHandshake, options[1])
	}
	padding := int(binary.BigEndian.Uint16(options[2:]))
	if padding > maxRequestPadding {
		return nil, fmt.Errorf("ntcp2: message 1: %w: %d bytes of padding", ErrHandshake, padding)
	}
	b.confirmed = int(binary.BigEndian.Uint16(options[4:]))
	if b.confirmed < minConfirmed || b.confirmed > maxConfirmed {
		return nil, fmt.Errorf("ntcp2: message 1: %w: message 3 of %d bytes", ErrHandshake, b.confirmed)
	}
	b.clockSkew(now, binary.BigEndian.Uint32(options[8:]), 0)
	return b.thenPadding(now, padding, b.create)
}

// create makes message 2, SessionCreated. A peer whose clock is wrong gets it
// too, because it tells the time, and then no more.
func (b *responder) create(now time.Time) ([]byte, error) {
	ephemeral := x25519.Generate()
	b.noise.SendE(ephemeral)
	if err := b.noise.EE(); err != nil {
		return nil, fmt.Errorf("ntcp2: message 1: %w: %w", ErrHandshake, err)
	}
	message := b.opening(now, ephemeral.Public, [optionsSize]byte{})
	if isSkewed(b.found.skew) {
		return message, fmt.Errorf("ntcp2: message 1: %w: %v", ErrClockSkew, b.found.skew)
	}
	b.then(sealedKey+b.confirmed, b.confirm)
	return message, nil
}

// confirm takes message 3, SessionConfirmed. Once it is open there are keys to
// tell the peer what is wrong with it.
func (b *responder) confirm(now time.Time, in []byte) ([]byte, error) {
	if err := b.noise.ReceiveS(in[:sealedKey]); err != nil {
		return nil, fmt.Errorf("ntcp2: message 3: static key: %w: %w", ErrHandshake, err)
	}
	if err := b.noise.SE(); err != nil {
		return nil, fmt.Errorf("ntcp2: message 3: static key: %w: %w", ErrHandshake, err)
	}
	payload, err := b.noise.DecryptAndHash(in[sealedKey:sealedKey], in[sealedKey:])
	if err != nil {
		return nil, fmt.Errorf("ntcp2: message 3: %w: %w", ErrHandshake, err)
	}
	static := b.noise.RemoteStatic()
	b.finish(false)

	raw, err := confirmedBlocks(payload)
	if err != nil {
		return nil, refusal(block.PayloadError, "message 3", err)
	}
	b.found.ri, err = admit(now, raw, static, b.remote, b.self)
	if err != nil {
		return nil, err
	}
	b.found.skew += now.Sub(b.sent) / 2
	if isSkewed(b.found.skew) {
		return nil, refusal(block.ClockSkew, "message 3", ErrClockSkew)
	}
	return nil, nil
}

// confirmedBlocks finds the RouterInfo in message 3: it comes first, and only
// options and padding may follow.
func confirmedBlocks(payload []byte) (routerInfo []byte, err error) {
	r := block.NewReader(payload)
	if !r.Next() || r.Type != block.TypeRouterInfo {
		return nil, fmt.Errorf("%w: no RouterInfo in front", block.ErrMalformed)
	}
	routerInfo, _, err = block.ParseRouterInfo(r.Data)
	if err != nil {
		return nil, err
	}
	last := r.Type
	for r.Next() {
		if r.Type != block.TypePadding && (r.Type != block.TypeOptions || last != block.TypeRouterInfo) {
			return nil, fmt.Errorf("%w: %v after %v", block.ErrMalformed, r.Type, last)
		}
		last = r.Type
	}
	return routerInfo, r.Err()
}

// refusal is the error for a peer that is told the reason.
func refusal(reason block.Reason, where string, err error) error {
	return fmt.Errorf("ntcp2: %s: %w: %w", where, err, &Termination{Reason: reason})
}
