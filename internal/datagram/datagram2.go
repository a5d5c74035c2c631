package datagram

import (
	"fmt"
	"time"

	"allium/internal/data"
	"allium/internal/signature"
	"allium/internal/wire"
)

// A Datagram2 is: Destination, flags, options if flagged, offline signature if
// flagged, payload, signature. The signature is of the receiver's hash and of
// all that lies between the Destination and itself.

const version2 = 2

func parse2(now time.Time, r *wire.Reader, from Sender, to data.Hash) (Packet, error) {
	sender := data.ReadDestination(r)
	if r.Err() != nil {
		return Packet{}, nil
	}
	body := *r // from the flags on
	flags := r.Uint16()
	if r.Err() == nil && flags&versionMask != version2 {
		return Packet{}, fmt.Errorf("%w: version %d", ErrMalformed, flags&versionMask)
	}
	p := Packet{From: sender.Hash(), Destination: sender, Authentic: true}
	if flags&flagOptions != 0 {
		p.Options = data.ReadMapping(r)
	}
	keyType, verify := sender.SigningType(), sender.Verify
	if flags&flagOffline != 0 {
		o := data.ReadOfflineSignature(r, keyType)
		keyType = o.Type
		verify = func(message, sig []byte) bool {
			return sender.VerifyOffline(&o, now) && signature.Verify(o.Type, o.Key, message, sig)
		}
	}
	n := r.Len() - keyType.SignatureLen()
	if n < 0 {
		r.Fail(wire.ErrShort)
	}
	p.Payload = r.Bytes(max(n, 0))
	sig := r.Rest()
	if r.Err() != nil {
		return Packet{}, nil
	}
	proved, err := from.proves(p.From)
	if err != nil {
		return Packet{}, err
	}
	// i2pd signs the hash of the sender in the place of the receiver's, and
	// relies on the session. So must we.
	if !proved && !verify(append(to[:], body.Bytes(body.Len()-len(sig))...), sig) {
		return Packet{}, ErrSignature
	}
	return p, nil
}

func (l *Local) append2(b []byte, to data.Hash, payload []byte) []byte {
	// The receiver's hash stands in the place of the Destination while it is
	// signed.
	message := append(make([]byte, 0, len(to)+2+len(l.Offline)+len(payload)), to[:]...)
	flags := byte(version2)
	if l.Offline != nil {
		flags |= flagOffline
	}
	message = append(message, 0, flags)
	message = append(message, l.Offline...)
	message = append(message, payload...)

	b = append(b, l.Destination.Bytes()...)
	b = append(b, message[len(to):]...)
	return append(b, l.Key.Sign(message)...)
}
