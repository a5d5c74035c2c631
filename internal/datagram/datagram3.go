package datagram

import (
	"fmt"

	"allium/internal/data"
	"allium/internal/wire"
)

// A Datagram3 is: hash of the sender, flags, options if flagged, payload.

const version3 = 3

func parse3(r *wire.Reader, from Sender) (Packet, error) {
	var p Packet
	r.Fill(p.From[:])
	flags := r.Uint16()
	if r.Err() == nil && flags&versionMask != version3 {
		return Packet{}, fmt.Errorf("%w: version %d", ErrMalformed, flags&versionMask)
	}
	if flags&flagOptions != 0 {
		p.Options = data.ReadMapping(r)
	}
	p.Payload = r.Rest()
	if r.Err() != nil {
		return Packet{}, nil
	}
	var err error
	p.Authentic, err = from.proves(p.From)
	return p, err
}

func (l *Local) append3(b, payload []byte) []byte {
	h := l.Destination.Hash()
	b = append(b, h[:]...)
	b = append(b, 0, version3)
	return append(b, payload...)
}
