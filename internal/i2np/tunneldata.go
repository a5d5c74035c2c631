package i2np

import (
	"encoding/binary"
	"fmt"
)

// Sizes of a TunnelData body in bytes.
const (
	// TunnelDataSize is the size of every TunnelData body: tunnel ID 4,
	// payload 1024.
	TunnelDataSize = 4 + TunnelPayloadSize
	// TunnelPayloadSize is the size of its payload: IV 16, encrypted data
	// 1008.
	TunnelPayloadSize = 1024
)

var (
	errTunnelDataSize = fmt.Errorf("i2np: TunnelData: %w: not %d bytes", ErrMalformed, TunnelDataSize)
	errTunnelDataID   = fmt.Errorf("i2np: TunnelData: %w: tunnel ID 0", ErrMalformed)
)

// TunnelData is the body of a message on its way through a tunnel, as it
// stands in the message. Whoever relays it works on it in place.
type TunnelData []byte

// ParseTunnelData looks at a TunnelData body. It fails with ErrMalformed when
// the size is wrong or the tunnel ID is 0.
func ParseTunnelData(body []byte) (TunnelData, error) {
	if len(body) != TunnelDataSize {
		return nil, errTunnelDataSize
	}
	d := TunnelData(body)
	if d.TunnelID() == 0 {
		return nil, errTunnelDataID
	}
	return d, nil
}

// TunnelID is the tunnel ID at the router that receives the message.
func (d TunnelData) TunnelID() uint32 { return binary.BigEndian.Uint32(d) }

// SetTunnelID writes the tunnel ID of the next hop over the one there is.
func (d TunnelData) SetTunnelID(id uint32) { binary.BigEndian.PutUint32(d, id) }

// Payload is the IV and the encrypted data, TunnelPayloadSize bytes of d.
func (d TunnelData) Payload() []byte { return d[4:TunnelDataSize:TunnelDataSize] }
