package i2np

import (
	"encoding/binary"
	"fmt"
	"math"

	"allium/internal/wire"
)

const tunnelGatewayHeader = 4 + 2

var (
	errTunnelGatewayShort = fmt.Errorf("i2np: TunnelGateway: %w", wire.ErrShort)
	errTunnelGatewayID    = fmt.Errorf("i2np: TunnelGateway: %w: tunnel ID 0", ErrMalformed)
	errTunnelGatewaySize  = fmt.Errorf("i2np: TunnelGateway: %w: message without header", ErrMalformed)
)

// TunnelGateway hands a message to the gateway of a tunnel: tunnel ID 4, size
// 2, message.
type TunnelGateway struct {
	// TunnelID is the tunnel ID at the gateway, never 0.
	TunnelID uint32
	// Message is an I2NP message with its standard header, which a gateway
	// sends on as it is.
	Message []byte
}

// ParseTunnelGateway reads a TunnelGateway body. It fails with wire.ErrShort,
// or with ErrMalformed for a tunnel ID 0 or a message too small to have a
// header. It does not look into the message.
func ParseTunnelGateway(body []byte) (TunnelGateway, error) {
	if len(body) < tunnelGatewayHeader {
		return TunnelGateway{}, errTunnelGatewayShort
	}
	id := binary.BigEndian.Uint32(body)
	size := int(binary.BigEndian.Uint16(body[4:]))
	end := tunnelGatewayHeader + size
	switch {
	case id == 0:
		return TunnelGateway{}, errTunnelGatewayID
	case size < StandardHeaderSize:
		return TunnelGateway{}, errTunnelGatewaySize
	case len(body) < end:
		return TunnelGateway{}, errTunnelGatewayShort
	}
	return TunnelGateway{TunnelID: id, Message: body[tunnelGatewayHeader:end:end]}, nil
}

// Append appends the body. It appends nothing when Message is larger than
// 65535 bytes.
func (g TunnelGateway) Append(b []byte) []byte {
	if len(g.Message) > math.MaxUint16 {
		return b
	}
	b = binary.BigEndian.AppendUint32(b, g.TunnelID)
	b = binary.BigEndian.AppendUint16(b, uint16(len(g.Message)))
	return append(b, g.Message...)
}
