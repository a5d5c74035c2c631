package garlic

import (
	"encoding/binary"
	"fmt"

	"allium/internal/data"
	"allium/internal/i2np"
	"allium/internal/wire"
)

// Kind says to whom a clove goes on. These are the numbers of garlic; tunnel
// messages number the same words differently.
type Kind uint8

// The kinds of delivery.
const (
	Local         Kind = 0 // to whoever opened the garlic
	ToDestination Kind = 1
	ToRouter      Kind = 2
	ToTunnel      Kind = 3
)

// Delivery is where a clove goes: flag 1, hash 32 unless local, and for
// tunnels the tunnel ID 4. (I2NP, Garlic Clove Delivery Instructions.)
type Delivery struct {
	Kind Kind
	// Hash is of the destination, of the router, or of the gateway of the
	// tunnel.
	Hash data.Hash
	// Tunnel is the ID of the tunnel at its gateway.
	Tunnel uint32
}

const (
	kindShift = 5
	kindMask  = 3 << kindShift
)

// size is how long the instructions are.
func (d *Delivery) size() int {
	switch d.Kind {
	case ToDestination, ToRouter:
		return 1 + len(d.Hash)
	case ToTunnel:
		return 1 + len(d.Hash) + 4
	}
	return 1
}

func (d *Delivery) append(b []byte) []byte {
	b = append(b, byte(d.Kind)<<kindShift&kindMask)
	switch d.Kind {
	case ToDestination, ToRouter:
		b = append(b, d.Hash[:]...)
	case ToTunnel:
		b = append(b, d.Hash[:]...)
		b = binary.BigEndian.AppendUint32(b, d.Tunnel)
	}
	return b
}

// parseDelivery refuses the flags of encryption and delay, which were never
// in use.
func parseDelivery(r *wire.Reader) (d Delivery) {
	flag := r.Uint8()
	if flag&^kindMask != 0 {
		r.Fail(fmt.Errorf("%w: delivery flag %#x", ErrMalformed, flag))
	}
	d.Kind = Kind(flag >> kindShift)
	if d.Kind != Local {
		r.Fill(d.Hash[:])
	}
	if d.Kind == ToTunnel {
		d.Tunnel = r.Uint32()
	}
	return d
}

// Clove is one message inside garlic.
type Clove struct {
	Delivery
	Message i2np.Message
}

// size is how many bytes the clove's block takes.
func (c *Clove) size() int {
	return blockHeaderSize + c.Delivery.size() + c.Message.ShortLen()
}

func (c *Clove) append(b []byte) []byte {
	b = appendBlockHeader(b, blockClove, c.size()-blockHeaderSize)
	return c.Message.AppendShort(c.Delivery.append(b))
}

// parseClove reads the data of a clove block. The body of the message points
// into it.
func parseClove(b []byte) (Clove, error) {
	r := wire.NewReader(b)
	d := parseDelivery(&r)
	m, err := i2np.ParseShort(r.Rest())
	if r.Err() != nil {
		err = r.Err()
	}
	if err != nil {
		return Clove{}, fmt.Errorf("%w: clove: %w", ErrMalformed, err)
	}
	return Clove{Delivery: d, Message: m}, nil
}
