package ntcp2

import (
	"encoding/binary"
	"fmt"
	"time"

	"allium/internal/aesbatch"
	"allium/internal/data"
	"allium/internal/noise"
	"allium/internal/random"
	"allium/internal/replay"
	"allium/internal/transport/block"
	"allium/internal/x25519"
)

// initiator is Alice's side of a handshake.
type initiator struct {
	handshake
	replays *replay.Filter
	payload []byte // of message 3, fixed when message 1 tells its length
}

// newInitiator begins a handshake with the peer, who publishes static and iv
// at the address that is dialled. Its first step takes nothing and gives
// message 1.
func newInitiator(self *Local, replays *replay.Filter, ri *data.RouterInfo, static x25519.PublicKey, iv [16]byte) *initiator {
	hash := ri.Hash()
	a := &initiator{replays: replays}
	a.begin(self, noise.NewXK(noise.NTCP2(), true, self.Static, &static), aesbatch.NewKey((*[32]byte)(&hash)), iv)
	a.found.ri = ri
	a.then(0, a.request)
	return a
}

// request makes message 1, SessionRequest.
func (a *initiator) request(now time.Time, _ []byte) ([]byte, error) {
	ri := a.self.RouterInfo(now).Bytes()
	a.payload = block.AppendRouterInfo(make([]byte, 0, len(ri)+128), ri, false)
	a.payload = block.AppendPadding(a.payload, random.IntN(confirmedPadding+1))

	ephemeral := x25519.Generate()
	a.noise.SendE(ephemeral)
	if err := a.noise.ES(); err != nil {
		return nil, fmt.Errorf("ntcp2: static key of the peer: %w: %w", ErrHandshake, err)
	}
	var options [optionsSize]byte
	options[0] = a.self.NetID
	options[1] = version
	binary.BigEndian.PutUint16(options[4:], uint16(len(a.payload)+noise.Overhead))
	a.then(keySize+sealedOptions, a.created)
	return a.opening(now, ephemeral.Public, options), nil
}

// created takes message 2, SessionCreated, up to its padding. What it says is
// authentic: only Bob could have made the keys.
func (a *initiator) created(now time.Time, b []byte) ([]byte, error) {
	ephemeral, err := a.reveal(b[:keySize])
	if err != nil {
		return nil, fmt.Errorf("ntcp2: message 2: %w: %w", ErrHandshake, err)
	}
	a.noise.ReceiveE(&ephemeral)
	if err := a.noise.EE(); err != nil {
		return nil, fmt.Errorf("ntcp2: message 2: %w: %w", ErrHandshake, err)
	}
	options, err := a.openOptions(b[keySize:])
	if err != nil {
		return nil, fmt.Errorf("ntcp2: message 2: %w: %w", ErrHandshake, err)
	}
	if a.replays.Seen(now, ephemeral[:]) {
		return nil, fmt.Errorf("ntcp2: message 2: %w: ephemeral key used again", ErrHandshake)
	}
	told := binary.BigEndian.Uint32(options[8:])
	if a.clockSkew(now, told, now.Sub(a.sent)/2) {
		return nil, fmt.Errorf("ntcp2: message 2: %w: %v", ErrClockSkew, a.found.skew)
	}
	padding := int(binary.BigEndian.Uint16(options[2:]))
	if padding > maxCreatedPadding {
		return nil, fmt.Errorf("ntcp2: message 2: %w: %d bytes of padding", ErrHandshake, padding)
	}
	return a.thenPadding(now, padding, a.confirm)
}

// confirm makes message 3, SessionConfirmed: our static key, then our
// RouterInfo.
func (a *initiator) confirm(time.Time) ([]byte, error) {
	m := make([]byte, 0, sealedKey+len(a.payload)+noise.Overhead)
	m = a.noise.SendS(m)
	if err := a.noise.SE(); err != nil {
		return nil, fmt.Errorf("ntcp2: message 3: %w: %w", ErrHandshake, err)
	}
	m = a.noise.EncryptAndHash(m, a.payload)
	a.payload = nil
	a.finish(true)
	return m, nil
}
