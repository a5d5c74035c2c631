package streaming

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"allium/internal/data"
	"allium/internal/signature"
	"allium/internal/wire"
)

// ErrSignature is what a packet that does not prove its sender wraps.
var ErrSignature = errors.New("streaming: not authentic")

// Local is the Destination streams belong to.
type Local struct {
	Destination *data.Destination
	// Key signs packets: the Destination's, or the transient one that
	// Offline stands for.
	Key signature.PrivateKey
	// Offline is the offline signature block: expiry, type and key of the
	// transient key, signed by the Destination. Nil without one.
	Offline []byte
}

// Sender is what the layer below knows of a packet's origin.
type Sender struct {
	// Bound tells that the packet came through a session that belongs to the
	// Destination with this Hash, as its LeaseSet proves.
	Bound bool
	Hash  data.Hash
}

// seal appends p to b, signed where its flags demand. SYN carries the
// Destination; SYN, CLOSE, RESET and pings are signed.
func (l *Local) seal(b []byte, p packet, remote data.Hash) []byte {
	if p.has(flagSYN | flagEcho) {
		p.flags |= flagFrom
		p.from = l.Destination.Bytes()
	}
	if p.has(flagSYN) && p.sendID == 0 {
		p.nacks = remote[:] // only the Destination it is meant for may take it
	}
	if !p.has(flagSYN | flagClose | flagReset | flagEcho) {
		return p.append(b)
	}
	p.flags |= flagSignature
	if l.Offline != nil {
		p.flags |= flagOffline
		p.offline = l.Offline
	}
	p.signature = make([]byte, l.Key.Type().SignatureLen())
	start := len(b)
	b = p.append(b)
	signature := l.Key.Sign(b[start:])
	copy(b[len(b)-len(p.payload)-len(signature):], signature)
	return b
}

// openOptions takes the options of a parsed packet apart. peer is the
// sender's Destination if an earlier packet has carried it.
func (p *packet) openOptions(peer *data.Destination) (*data.Destination, error) {
	r := wire.NewReader(p.options)
	if p.has(flagFrom) {
		peer = data.ReadDestination(&r)
	}
	if p.has(flagMaxSize) {
		p.maxSize = r.Uint16()
	}
	if p.has(flagOffline) {
		if peer == nil {
			return nil, fmt.Errorf("%w: offline signature of nobody", ErrPacket)
		}
		p.offline = offlineBlock(&r, peer)
	}
	p.signature = r.Rest()
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("%w: options: %w", ErrPacket, err)
	}
	return peer, nil
}

// offlineBlock reads expiry(4), type(2), transient key and signature.
func offlineBlock(r *wire.Reader, peer *data.Destination) []byte {
	at := *r
	at.Uint32()
	transient := signature.Type(at.Uint16())
	if !transient.Known() {
		r.Fail(ErrSignature)
		return nil
	}
	return r.Bytes(4 + 2 + transient.PublicKeyLen() + peer.SigningType().SignatureLen())
}

// authentic decides whether the packet comes from whom it must. A packet that
// needs a signature may do without when the session below proves its sender.
func (p *packet) authentic(now time.Time, peer *data.Destination, from Sender) error {
	if !p.has(flagSYN | flagClose | flagReset | flagEcho) {
		return nil
	}
	if !p.has(flagSignature) {
		if peer != nil && from.Bound && peer.Hash() == from.Hash {
			return nil
		}
		return fmt.Errorf("%w: unsigned", ErrSignature)
	}
	if peer == nil {
		return fmt.Errorf("%w: sender unknown", ErrSignature)
	}
	keyType, key, err := p.signingKey(now, peer)
	if err != nil {
		return err
	}
	if len(p.signature) != keyType.SignatureLen() {
		return fmt.Errorf("%w: signature of %d bytes", ErrSignature, len(p.signature))
	}
	if !signature.Verify(keyType, key, p.signedBytes(), p.signature) {
		return ErrSignature
	}
	return nil
}

// signedBytes is the packet with zeros in place of its signature.
func (p *packet) signedBytes() []byte {
	b := append([]byte(nil), p.raw...)
	end := len(b) - len(p.payload)
	clear(b[end-len(p.signature) : end])
	return b
}

// signingKey is the Destination's, or the transient one it vouches for.
func (p *packet) signingKey(now time.Time, peer *data.Destination) (signature.Type, []byte, error) {
	if !p.has(flagOffline) {
		return peer.SigningType(), peer.SigningKey(), nil
	}
	expires := time.Unix(int64(binary.BigEndian.Uint32(p.offline)), 0)
	if now.After(expires) {
		return 0, nil, fmt.Errorf("%w: offline signature expired", ErrSignature)
	}
	transient := signature.Type(binary.BigEndian.Uint16(p.offline[4:]))
	signed := 6 + transient.PublicKeyLen()
	if !peer.Verify(p.offline[:signed], p.offline[signed:]) {
		return 0, nil, fmt.Errorf("%w: offline signature", ErrSignature)
	}
	return transient, p.offline[6:signed], nil
}

// meantFor tells whether a SYN names this Destination as its receiver. Old
// routers name none.
func (p *packet) meantFor(local data.Hash) bool {
	return p.nackCount() != replayNACKs || data.Hash(p.nacks) == local
}
