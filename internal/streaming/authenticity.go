package streaming

import (
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

// seal appends p to b, signed where its flags demand. SYNs, pings and RESETs
// that answer a SYN carry the Destination.
func (l *Local) seal(b []byte, p *packet, remote *data.Hash) []byte {
	if !p.has(signed) {
		return p.append(b)
	}
	if p.has(flagSYN|flagEcho) || p.has(flagReset) && p.sequence == 0 {
		p.flags |= flagFrom
		p.from = l.Destination.Bytes()
	}
	if p.has(flagSYN) && p.sendID == 0 {
		p.nacks = remote[:] // only the Destination it is meant for may take it
	}
	p.flags |= flagSignature
	if l.Offline != nil {
		p.flags |= flagOffline
		p.offline = l.Offline
	}
	p.signature = make([]byte, l.Key.Type().SignatureLen())
	start := len(b)
	b = p.append(b)
	copy(b[len(b)-len(p.payload)-len(p.signature):], l.Key.Sign(b[start:]))
	return b
}

// sealedLen is how many bytes of options seal adds to a SYN.
func (l *Local) sealedLen() int {
	return len(l.Destination.Bytes()) + len(l.Offline) + l.Key.Type().SignatureLen()
}

// identity is whose signature the packets of a peer bear. The zero identity
// is unknown.
type identity struct {
	destination *data.Destination
	// offline lets a transient key sign in the place of the Destination's;
	// nil if that signs itself.
	offline *data.OfflineSignature
}

// is tells whether the identity is known to have this hash.
func (i identity) is(h data.Hash) bool { return i.destination != nil && i.destination.Hash() == h }

// key is what verifies the packets.
func (i identity) key() (signature.Type, []byte) {
	if i.offline != nil {
		return i.offline.Type, i.offline.Key
	}
	return i.destination.SigningType(), i.destination.SigningKey()
}

// openOptions takes the options of a parsed packet apart. known is who sent
// earlier packets of the stream; the result adds what this one tells. It is
// to be believed after authentic, and does not point into the packet.
func (p *packet) openOptions(known identity) (identity, error) {
	r := wire.NewReader(p.options)
	is := known
	if p.has(flagFrom) {
		from := data.ReadDestination(&r)
		if r.Err() == nil && (known.destination == nil || !from.Equal(&known.destination.KeysAndCert)) {
			is = identity{destination: from}
		}
	}
	if p.has(flagMaxSize) {
		p.maxSize = r.Uint16()
	}
	if p.has(flagOffline) && r.Err() == nil {
		if is.destination == nil {
			return known, fmt.Errorf("%w: offline signature of nobody", ErrPacket)
		}
		block := r
		data.ReadOfflineSignature(&r, is.destination.SigningType())
		if r.Err() == nil {
			own := wire.NewReader(append([]byte(nil), block.Bytes(r.Offset()-block.Offset())...))
			o := data.ReadOfflineSignature(&own, is.destination.SigningType())
			is.offline = &o
		}
	}
	p.signature = r.Rest()
	if err := r.Err(); err != nil {
		return known, fmt.Errorf("%w: options: %w", ErrPacket, err)
	}
	return is, nil
}

// authentic decides whether the packet comes from whom it must: from is who
// signed it, known whom earlier packets proved. A packet that needs a
// signature may do without when the session below proves its sender, as i2pd
// does if so configured.
func (p *packet) authentic(now time.Time, is, known identity, from Sender) error {
	if !p.has(flagSignature) {
		if !p.has(signed) || from.Bound && is.is(from.Hash) && is.offline == known.offline {
			return nil
		}
		return fmt.Errorf("%w: unsigned", ErrSignature)
	}
	if is.destination == nil {
		return fmt.Errorf("%w: sender unknown", ErrSignature)
	}
	if o := is.offline; o != nil {
		if now.After(o.Expires) {
			return fmt.Errorf("%w: transient key expired", ErrSignature)
		}
		if o != known.offline && !is.destination.VerifyOffline(o, now) {
			return fmt.Errorf("%w: offline signature", ErrSignature)
		}
	}
	keyType, key := is.key()
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

// meantFor tells whether a SYN names this Destination as its receiver. Old
// routers name none.
func (p *packet) meantFor(local data.Hash) bool {
	return p.nackCount() != replayNACKs || data.Hash(p.nacks) == local
}
