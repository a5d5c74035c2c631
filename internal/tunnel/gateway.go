package tunnel

import (
	"errors"
	"fmt"

	"allium/internal/i2np"
	"allium/internal/random"
)

// MaxI2NPSize is the largest I2NP message, with its standard header, that
// every endpoint puts together again, in bytes.
const MaxI2NPSize = 62708

// ErrSize reports a message that is empty or larger than MaxI2NPSize.
var ErrSize = errors.New("message does not fit into a tunnel")

const (
	// payloadAt is where a payload is gathered: right behind the smallest
	// padding. It moves to the end when the tunnel message is closed.
	payloadAt = paddingAt + 1

	// maxFollowOn is how much of a message a follow-on fragment carries.
	maxFollowOn = payloadSize - followOnSize

	// spareMessages is how many tunnel messages a Gateway keeps for use
	// again, together 128 KB.
	spareMessages = 128
)

// Gateway packs I2NP messages into tunnel messages, several into one where
// they are small, one into many where it is large. What it gives out is plain:
// the layers of the tunnel come next.
//
// A Gateway has nothing of any particular tunnel: one may serve many tunnels
// in turn, Flush after Flush. It is not safe for concurrent use. In a steady
// state it allocates nothing.
type Gateway struct {
	padding padding
	encoded []byte // the message Add was given

	open  i2np.TunnelData // being filled, from payloadAt on; nil when there is none
	used  int             // bytes of payload in open
	ready []i2np.TunnelData
	// flushed is how many of ready have been given out.
	flushed int
	spare   []i2np.TunnelData
}

// NewGateway makes a Gateway.
func NewGateway() *Gateway {
	return &Gateway{padding: newPadding()}
}

// Add packs a message, copying it. It fails with ErrSize, and then nothing is
// packed.
func (g *Gateway) Add(d Delivery, m i2np.Message) error {
	g.encoded = m.AppendStandard(g.encoded[:0])
	return g.AddEncoded(d, g.encoded)
}

// AddEncoded is Add for a message that has its standard header already.
//
// A message that is too large for what is left of the open tunnel message
// starts there only when that saves a tunnel message: the fewer pieces, the
// less the loss of one can do.
func (g *Gateway) AddEncoded(d Delivery, message []byte) error {
	if len(message) == 0 || len(message) > MaxI2NPSize {
		return fmt.Errorf("tunnel: gateway: %w: %d bytes", ErrSize, len(message))
	}
	whole := Instructions{Delivery: d, Last: true, Size: len(message)}
	first := Instructions{Delivery: d}
	size := whole.firstSize() + len(message)
	if g.open != nil && size > g.room() {
		here := tail(len(message), g.room()-first.firstSize())
		if here >= fresh(size, len(message), first.firstSize()) {
			g.closeOpen()
		}
	}
	if g.open == nil {
		g.begin()
	}
	if size <= g.room() {
		g.put(&whole, message)
		return nil
	}
	first.MessageID = random.Nonzero32()
	first.Size = g.room() - first.firstSize()
	g.put(&first, message[:first.Size])
	g.follow(first.MessageID, message[first.Size:])
	return nil
}

// tail is how many tunnel messages a message of n bytes needs after the one it
// starts in, which has room for the first bytes.
func tail(n, first int) int {
	if first <= 0 {
		return MaxFragments
	}
	return (n - first + maxFollowOn - 1) / maxFollowOn
}

// fresh is how many tunnel messages a message of n bytes, size with its
// instructions, needs when it starts in a new one.
func fresh(size, n, instructions int) int {
	if size <= payloadSize {
		return 1
	}
	return 1 + tail(n, payloadSize-instructions)
}

// follow packs the follow-on fragments of a message, each at the start of a
// tunnel message and right after the one before, as endpoints may wait for
// the rest only a few seconds.
func (g *Gateway) follow(id uint32, rest []byte) {
	for number := uint8(1); len(rest) > 0; number++ {
		g.begin()
		n := min(len(rest), maxFollowOn)
		g.put(&Instructions{Fragment: number, Last: n == len(rest), MessageID: id, Size: n}, rest[:n])
		rest = rest[n:]
	}
}

// room is how many bytes fit into the open tunnel message.
func (g *Gateway) room() int { return payloadSize - g.used }

// begin opens a tunnel message.
func (g *Gateway) begin() {
	if n := len(g.spare); n > 0 {
		g.open, g.spare = g.spare[n-1], g.spare[:n-1]
	} else {
		g.open = make(i2np.TunnelData, messageSize)
	}
	g.used = 0
}

// put adds a fragment, which fits, to the open tunnel message.
func (g *Gateway) put(in *Instructions, fragment []byte) {
	b := append(in.Append(g.open[:payloadAt+g.used]), fragment...)
	g.used = len(b) - payloadAt
	if g.room() == 0 {
		g.closeOpen()
	}
}

// closeOpen moves the payload to the end and writes what belongs before it.
func (g *Gateway) closeOpen() {
	m := g.open
	start := messageSize - g.used
	copy(m[start:], m[payloadAt:payloadAt+g.used])
	iv := m[ivAt:dataAt]
	random.Fill(iv)
	sum := checksum(m[start:], iv)
	copy(m[dataAt:], sum[:])
	g.padding.fill(m[paddingAt : start-1])
	m[start-1] = 0
	g.ready = append(g.ready, m)
	g.open = nil
}

// Flush completes the open tunnel message and gives all that were packed since
// the last Flush, in order, addressed to the tunnel ID of the hop they go to
// first. They are good, to be encrypted in place and sent, until Reset.
func (g *Gateway) Flush(next ID) []i2np.TunnelData {
	if g.open != nil {
		g.closeOpen()
	}
	packed := g.ready[g.flushed:len(g.ready):len(g.ready)]
	for _, m := range packed {
		m.SetTunnelID(uint32(next))
	}
	g.flushed = len(g.ready)
	return packed
}

// Reset takes back all tunnel messages Flush has given out, and drops what has
// not been flushed.
func (g *Gateway) Reset() {
	if g.open != nil {
		g.ready = append(g.ready, g.open)
		g.open = nil
	}
	keep := min(len(g.ready), spareMessages-len(g.spare))
	g.spare = append(g.spare, g.ready[:keep]...)
	clear(g.ready)
	g.ready, g.flushed = g.ready[:0], 0
}
