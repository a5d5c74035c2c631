package datagram

import (
	"crypto/sha256"

	"allium/internal/data"
	"allium/internal/signature"
	"allium/internal/wire"
)

// A Datagram1 is: Destination, signature of the payload, payload. DSA signs
// the SHA-256 of the payload instead.

func parse1(r *wire.Reader, from Sender) (Packet, error) {
	sender := data.ReadDestination(r)
	if r.Err() != nil {
		return Packet{}, nil
	}
	sig := r.Bytes(sender.SigningType().SignatureLen())
	payload := r.Rest()
	if r.Err() != nil {
		return Packet{}, nil
	}
	if _, err := from.proves(sender.Hash()); err != nil {
		return Packet{}, err
	}
	// The session does not show that the sender meant it for us, but then
	// neither does this signature.
	if !sender.Verify(signed1(sender.SigningType(), payload), sig) {
		return Packet{}, ErrSignature
	}
	return Packet{From: sender.Hash(), Destination: sender, Authentic: true, Payload: payload}, nil
}

func (l *Local) append1(b, payload []byte) []byte {
	b = append(b, l.Destination.Bytes()...)
	b = append(b, l.Key.Sign(signed1(l.Key.Type(), payload))...)
	return append(b, payload...)
}

func signed1(t signature.Type, payload []byte) []byte {
	if t != signature.DSASHA1 {
		return payload
	}
	sum := sha256.Sum256(payload)
	return sum[:]
}
