// Package tunnel is what one tunnel does to one message.
//
// A tunnel is a chain of routers that carries messages of one fixed size one
// way. At its gateway I2NP messages are packed and cut into tunnel messages
// ([Gateway]); every hop changes each of them under keys of its own
// ([Layer]); at the endpoint the pieces are put together again and handed out
// with the instructions that came with them ([Endpoint]). The creator of the
// tunnel knows the keys of all hops: at the start of an outbound tunnel it
// undoes every layer beforehand, at the end of an inbound one afterwards,
// which is the same operation ([Layers]).
//
//	0     4          20         24                      1028
//	+-----+----------+----------+---------+---+----------+
//	| ID  | IV       | checksum | padding | 0 | messages |
//	+-----+----------+----------+---------+---+----------+
//	                 |<------- encrypted, 1008 -------->|
//
// Nothing here knows what a tunnel is for, who built it or how messages
// travel between routers. [Table] finds the tunnel a message belongs to and
// [Replays] keeps anyone from sending it twice.
package tunnel

import (
	"crypto/sha256"
	"errors"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
)

// ID is the number under which a router receives the messages of one tunnel;
// each hop has its own. Zero is no tunnel.
type ID uint32

// Where the parts of a tunnel message begin, and their sizes in bytes.
const (
	messageSize  = i2np.TunnelDataSize
	ivAt         = 4
	ivSize       = 16
	dataAt       = ivAt + ivSize
	dataSize     = messageSize - dataAt
	checksumSize = 4
	paddingAt    = dataAt + checksumSize

	// payloadSize is how much is left for instructions and fragments when
	// there is no padding but the zero byte that ends it.
	payloadSize = dataSize - checksumSize - 1
)

// ErrMalformed reports a tunnel message that does not decrypt to what the
// specification describes. Whether its gateway or a hop is to blame cannot be
// told.
var ErrMalformed = errors.New("malformed tunnel message")

// DeliveryKind tells what the endpoint of a tunnel does with a message. The
// numbers are those of tunnel messages; garlic cloves use others.
type DeliveryKind uint8

// The kinds of delivery.
const (
	Local    DeliveryKind = 0 // stays here: all that leaves an inbound tunnel
	ToTunnel DeliveryKind = 1 // to the gateway of another tunnel
	ToRouter DeliveryKind = 2 // to a router
)

// Delivery is where the endpoint of a tunnel sends a message on to.
type Delivery struct {
	Kind   DeliveryKind
	Tunnel ID        // of ToTunnel: the tunnel at that router
	Router data.Hash // of ToTunnel and ToRouter
}

// Sender sends m to a router: a copy of it, when it returns. To our own hash
// it comes back as if it had been received.
type Sender func(r *host.Round, to data.Hash, m i2np.Message, c bandwidth.Class) error

// checksum is what stands before the padding of a tunnel message: the first
// bytes of the hash of payload, all that follows the padding, and iv.
func checksum(payload, iv []byte) [checksumSize]byte {
	var joined [payloadSize + ivSize]byte
	n := copy(joined[:payloadSize], payload)
	n += copy(joined[n:], iv)
	sum := sha256.Sum256(joined[:n])
	return [checksumSize]byte(sum[:])
}
