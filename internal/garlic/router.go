package garlic

import (
	"fmt"
	"time"

	"allium/internal/noise"
	"allium/internal/replay"
	"allium/internal/x25519"
)

// SealRouter seals cloves for the router that has the static key to: an
// ephemeral key 32, as it is, and a payload that begins with DateTime. It
// fails with ErrTooLarge, and with x25519.ErrLowOrder for a key nobody has.
// (ECIES-X25519 for routers.)
func SealRouter(now time.Time, to *x25519.PublicKey, cloves ...Clove) ([]byte, error) {
	size := dateTimeSize + cloveBytes(cloves)
	if size > MaxPayload {
		return nil, ErrTooLarge
	}
	ephemeral := x25519.Generate()
	state, err := noise.SealN(noise.TunnelN(), to, &ephemeral)
	if err != nil {
		return nil, fmt.Errorf("garlic: router: %w", err)
	}
	b := make([]byte, keySize, RouterOverhead+size+blockHeaderSize+maxPadding)
	copy(b, ephemeral.Public[:])
	b = appendDateTime(b, now)
	b = appendCloves(b, cloves)
	var l lengths
	b = l.appendPadding(b, keySize)
	return state.EncryptAndHash(b[:keySize], b[keySize:]), nil
}

// OpenRouter opens what SealRouter made for the router that has keys. body is
// overwritten, and the cloves' bodies point into it. seen refuses what came
// before and should remember for at least 8 minutes; nil lets all pass.
//
// It fails with ErrUnknown, ErrMalformed, ErrClock and ErrReplayed.
func OpenRouter(now time.Time, keys *x25519.KeyPair, seen *replay.Filter, body []byte) ([]Clove, error) {
	if len(body) < RouterOverhead+dateTimeSize {
		return nil, fmt.Errorf("garlic: router: %w: %d bytes", ErrMalformed, len(body))
	}
	ephemeral := x25519.PublicKey(body[:keySize])
	state, err := noise.OpenN(noise.TunnelN(), keys, &ephemeral)
	if err != nil {
		return nil, fmt.Errorf("garlic: router: %w", ErrUnknown)
	}
	plain, err := state.DecryptAndHash(body[keySize:keySize], body[keySize:])
	if err != nil {
		return nil, fmt.Errorf("garlic: router: %w", ErrUnknown)
	}
	var p payload
	if err := p.parse(plain); err != nil {
		return nil, fmt.Errorf("garlic: router: %w", err)
	}
	if err := p.checkClock(now); err != nil {
		return nil, fmt.Errorf("garlic: router: %w", err)
	}
	if seen != nil && seen.Seen(now, ephemeral[:]) {
		return nil, fmt.Errorf("garlic: router: %w", ErrReplayed)
	}
	return p.cloves, nil
}
