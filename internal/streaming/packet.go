package streaming

import (
	"encoding/binary"
	"errors"
	"fmt"

	"allium/internal/wire"
)

// ErrPacket is what a malformed packet wraps.
var ErrPacket = errors.New("streaming: malformed packet")

// Flags of a packet.
const (
	flagSYN         = 1 << 0
	flagClose       = 1 << 1
	flagReset       = 1 << 2
	flagSignature   = 1 << 3
	flagSigRequest  = 1 << 4
	flagFrom        = 1 << 5
	flagDelay       = 1 << 6
	flagMaxSize     = 1 << 7
	flagInteractive = 1 << 8
	flagEcho        = 1 << 9
	flagNoAck       = 1 << 10
	flagOffline     = 1 << 11
)

const (
	// chokeFrom is the least delay that asks to stop. The specification says
	// more than this; i2pd sends just this.
	chokeFrom = 60000
	// chokeDelay is what we send for it.
	chokeDelay = 61000
	// maxNACKs is what the count byte can say.
	maxNACKs = 255
	// replayNACKs is how many NACK words of a SYN carry the hash of the
	// Destination it is meant for.
	replayNACKs = 8
	// maxEcho is how much of a ping's payload is sent back.
	maxEcho = 32
	// maxAccept is the longest payload taken in, in bytes. Not every router
	// heeds what we announce.
	maxAccept = 4096
	// signed are the flags of packets that prove their sender.
	signed = flagSYN | flagClose | flagReset | flagEcho
)

// packet is one streaming packet. Slices of a parsed one alias its bytes.
type packet struct {
	sendID     uint32 // chosen by the receiver of the packet; 0 in a first SYN
	receiveID  uint32 // chosen by its sender
	sequence   uint32
	ackThrough uint32
	nacks      []byte // 4 bytes each
	resend     uint8  // seconds; informative
	flags      uint16
	delay      uint16
	from       []byte // the sender's Destination; not set by parsing
	maxSize    uint16
	offline    []byte // an offline signature block; not set by parsing
	signature  []byte
	payload    []byte

	raw     []byte // the whole parsed packet
	options []byte // what follows delay in the options of a parsed packet
}

// has tells whether any of the flags is set.
func (p *packet) has(flags uint16) bool { return p.flags&flags != 0 }

// asksAck tells whether the sender wants to be acknowledged without delay.
func (p *packet) asksAck() bool { return p.has(flagDelay) && p.delay == 0 }

// isAck tells a packet that only acknowledges: sequence 0 without SYN.
func (p *packet) isAck() bool {
	return p.sequence == 0 && !p.has(flagSYN)
}

// nackCount is how many sequence numbers the packet reports missing.
func (p *packet) nackCount() int { return len(p.nacks) / 4 }

// reportsMissing tells whether the NACKs name sequence. They come in no
// particular order.
func (p *packet) reportsMissing(sequence uint32) bool {
	for b := p.nacks; len(b) >= 4; b = b[4:] {
		if binary.BigEndian.Uint32(b) == sequence {
			return true
		}
	}
	return false
}

// parsePacket reads the header of b and finds its options, which openOptions
// takes apart once the sender's Destination is known.
func parsePacket(b []byte) (packet, error) {
	r := wire.NewReader(b)
	p := packet{raw: b}
	p.sendID = r.Uint32()
	p.receiveID = r.Uint32()
	p.sequence = r.Uint32()
	p.ackThrough = r.Uint32()
	p.nacks = r.Bytes(4 * int(r.Uint8()))
	p.resend = r.Uint8()
	p.flags = r.Uint16()
	options := wire.NewReader(r.Bytes(int(r.Uint16())))
	p.payload = r.Rest()
	if err := r.Err(); err != nil {
		return packet{}, fmt.Errorf("%w: %w", ErrPacket, err)
	}
	if len(p.payload) > maxAccept {
		return packet{}, fmt.Errorf("%w: payload of %d bytes", ErrPacket, len(p.payload))
	}
	if p.has(flagDelay) {
		p.delay = options.Uint16()
	}
	p.options = options.Rest()
	if err := options.Err(); err != nil {
		return packet{}, fmt.Errorf("%w: options: %w", ErrPacket, err)
	}
	return p, nil
}

// append appends the packet to b, its signature as it stands.
func (p *packet) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, p.sendID)
	b = binary.BigEndian.AppendUint32(b, p.receiveID)
	b = binary.BigEndian.AppendUint32(b, p.sequence)
	b = binary.BigEndian.AppendUint32(b, p.ackThrough)
	b = append(b, byte(p.nackCount()))
	b = append(b, p.nacks...)
	b = append(b, p.resend)
	b = binary.BigEndian.AppendUint16(b, p.flags)
	b = binary.BigEndian.AppendUint16(b, uint16(p.optionsLen()))
	if p.has(flagDelay) {
		b = binary.BigEndian.AppendUint16(b, p.delay)
	}
	if p.has(flagFrom) {
		b = append(b, p.from...)
	}
	if p.has(flagMaxSize) {
		b = binary.BigEndian.AppendUint16(b, p.maxSize)
	}
	if p.has(flagOffline) {
		b = append(b, p.offline...)
	}
	if p.has(flagSignature) {
		b = append(b, p.signature...)
	}
	return append(b, p.payload...)
}

func (p *packet) optionsLen() int {
	n := 0
	if p.has(flagDelay) {
		n += 2
	}
	if p.has(flagFrom) {
		n += len(p.from)
	}
	if p.has(flagMaxSize) {
		n += 2
	}
	if p.has(flagOffline) {
		n += len(p.offline)
	}
	if p.has(flagSignature) {
		n += len(p.signature)
	}
	return n
}
