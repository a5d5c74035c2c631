package build

import (
	"encoding/binary"
	"time"

	"allium/internal/data"
	"allium/internal/tunnel"
	"allium/internal/wire"
)

// RequestRecord is what a hop is told, 154 bytes in the clear.
type RequestRecord struct {
	// Receive is the ID the hop receives under, Next the one it sends with.
	Receive, Next tunnel.ID
	// NextRouter is the next hop. For the last hop of an inbound tunnel it is
	// the creator; an outbound endpoint sends the answers to tunnel Next of
	// this router.
	NextRouter data.Hash
	Role       Role
	// LayerType is the cipher of the tunnel: zero, AES, is the only one.
	LayerType uint8
	// Time is when the request was made, rounded down to the minute.
	Time time.Time
	// Lifetime is how long the tunnel shall live, in whole seconds; it is
	// always ten minutes.
	Lifetime time.Duration
	// NextMessageID is the I2NP message ID the hop passes the records on
	// under. The creator knows its build by that of the last hop.
	NextMessageID uint32
	// Bandwidth is what the options ask for. It is read and not written.
	Bandwidth Bandwidth
}

// Bandwidth is what the creator of a tunnel would like, in kilobytes per
// second of tunnel messages; zero is not said (proposal 168).
type Bandwidth struct {
	Minimum   int // refuse the tunnel rather than give less
	Requested int
	Limit     int // to an inbound gateway: let no more in
}

// minute is how many seconds it has: requests count minutes since 1970.
const minute = 60

const (
	flagInboundGateway   = 0x80
	flagOutboundEndpoint = 0x40

	layerAES = 0
)

// append appends the record with its padding.
func (q *RequestRecord) append(b []byte) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(q.Receive))
	b = binary.BigEndian.AppendUint32(b, uint32(q.Next))
	b = append(b, q.NextRouter[:]...)
	var flag uint8
	switch q.Role {
	case InboundGateway:
		flag = flagInboundGateway
	case OutboundEndpoint:
		flag = flagOutboundEndpoint
	}
	b = append(b, flag, 0, 0, q.LayerType)
	b = binary.BigEndian.AppendUint32(b, uint32(q.Time.Unix()/minute))
	b = binary.BigEndian.AppendUint32(b, uint32(q.Lifetime/time.Second))
	b = binary.BigEndian.AppendUint32(b, q.NextMessageID)
	b = append(b, noOptions...)
	return append(b, make([]byte, requestSize-(len(b)-start))...)
}

// parseRequest reads the record. What is wrong with its contents is for
// Validate to say, except ErrBothEnds.
func parseRequest(b *[requestSize]byte) (RequestRecord, error) {
	r := wire.NewReader(b[:])
	q := RequestRecord{Receive: tunnel.ID(r.Uint32()), Next: tunnel.ID(r.Uint32())}
	r.Fill(q.NextRouter[:])
	flag := r.Uint8()
	r.Bytes(2)
	q.LayerType = r.Uint8()
	q.Time = time.Unix(int64(r.Uint32())*minute, 0)
	q.Lifetime = time.Duration(r.Uint32()) * time.Second
	q.NextMessageID = r.Uint32()
	options := parseOptions(r.Rest())
	q.Bandwidth = Bandwidth{
		Minimum:   kilobytes(options, "m"),
		Requested: kilobytes(options, "r"),
		Limit:     kilobytes(options, "l"),
	}
	switch flag & (flagInboundGateway | flagOutboundEndpoint) {
	case flagInboundGateway:
		q.Role = InboundGateway
	case flagOutboundEndpoint:
		q.Role = OutboundEndpoint
	case flagInboundGateway | flagOutboundEndpoint:
		return q, ErrBothEnds
	}
	return q, nil
}
