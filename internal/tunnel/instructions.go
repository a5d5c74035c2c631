package tunnel

import (
	"encoding/binary"
	"fmt"

	"allium/internal/wire"
)

// MaxFragments is how many pieces a message may be cut into: the first and
// 63 follow-on fragments.
const MaxFragments = 64

// Instructions stand before each fragment in a tunnel message.
type Instructions struct {
	// Fragment is 0 for the first or only fragment of a message, and 1 to 63
	// for those that follow.
	Fragment uint8
	// Last tells that no fragment of the message follows.
	Last bool
	// Delivery comes with the first fragment.
	Delivery Delivery
	// MessageID joins the fragments of one message. A message in one piece
	// has none.
	MessageID uint32
	// Size is the number of bytes of the fragment. It is at most 996 when
	// more than one fragment makes a message; zero is allowed on reading.
	Size int
}

// Bits of the first byte.
const (
	flagFollowOn   = 0x80
	flagDelay      = 0x10 // of first fragments, never used: a byte follows
	flagFragmented = 0x08 // of first fragments
	flagExtended   = 0x04 // of first fragments, never used: length and bytes follow
	flagLast       = 0x01 // of follow-on fragments

	kindShift     = 5
	kindMask      = 3
	fragmentShift = 1
	fragmentMask  = MaxFragments - 1
)

// followOnSize is how long instructions for a follow-on fragment are, in bytes.
const followOnSize = 1 + 4 + 2

// firstSize is how long instructions for a first fragment are, in bytes.
func (in *Instructions) firstSize() int {
	n := 1 + 2
	switch in.Delivery.Kind {
	case ToTunnel:
		n += 4 + len(in.Delivery.Router)
	case ToRouter:
		n += len(in.Delivery.Router)
	}
	if !in.Last {
		n += 4
	}
	return n
}

// Append appends the instructions, 3 to 43 bytes.
func (in *Instructions) Append(b []byte) []byte {
	if in.Fragment > 0 {
		flag := flagFollowOn | in.Fragment<<fragmentShift
		if in.Last {
			flag |= flagLast
		}
		b = binary.BigEndian.AppendUint32(append(b, flag), in.MessageID)
		return binary.BigEndian.AppendUint16(b, uint16(in.Size))
	}
	d := &in.Delivery
	flag := uint8(d.Kind) << kindShift
	if !in.Last {
		flag |= flagFragmented
	}
	b = append(b, flag)
	if d.Kind == ToTunnel {
		b = binary.BigEndian.AppendUint32(b, uint32(d.Tunnel))
	}
	if d.Kind != Local {
		b = append(b, d.Router[:]...)
	}
	if !in.Last {
		b = binary.BigEndian.AppendUint32(b, in.MessageID)
	}
	return binary.BigEndian.AppendUint16(b, uint16(in.Size))
}

// ParseInstructions reads the instructions at r. Delay and extended options,
// which no router sends, are skipped. It fails with ErrMalformed.
func ParseInstructions(r *wire.Reader) (Instructions, error) {
	var in Instructions
	flag := r.Uint8()
	if flag&flagFollowOn != 0 {
		in.Fragment = flag >> fragmentShift & fragmentMask
		in.Last = flag&flagLast != 0
		in.MessageID = r.Uint32()
	} else {
		in.Delivery = parseDelivery(r, flag)
		if flag&flagDelay != 0 {
			r.Uint8()
		}
		in.Last = flag&flagFragmented == 0
		if !in.Last {
			in.MessageID = r.Uint32()
		}
		if flag&flagExtended != 0 {
			r.ShortString()
		}
	}
	in.Size = int(r.Uint16())
	switch {
	case r.Err() != nil:
		return in, fmt.Errorf("tunnel: instructions: %w: %w", ErrMalformed, r.Err())
	case flag&flagFollowOn != 0 && in.Fragment == 0:
		return in, fmt.Errorf("tunnel: instructions: %w: follow-on fragment 0", ErrMalformed)
	case in.Delivery.Kind > ToRouter:
		return in, fmt.Errorf("tunnel: instructions: %w: delivery kind %d", ErrMalformed, in.Delivery.Kind)
	case in.Delivery.Kind == ToTunnel && in.Delivery.Tunnel == 0:
		return in, fmt.Errorf("tunnel: instructions: %w: delivery to tunnel 0", ErrMalformed)
	}
	return in, nil
}

func parseDelivery(r *wire.Reader, flag uint8) Delivery {
	d := Delivery{Kind: DeliveryKind(flag >> kindShift & kindMask)}
	if d.Kind == ToTunnel {
		d.Tunnel = ID(r.Uint32())
	}
	if d.Kind == ToTunnel || d.Kind == ToRouter {
		r.Fill(d.Router[:])
	}
	return d
}
