package garlic

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"allium/internal/wire"
	"allium/internal/x25519"
)

// The types of blocks. Options (5) and message numbers (6) are in the
// specification and in no router; they are skipped like all others.
const (
	blockDateTime    = 0
	blockTermination = 4
	blockNextKey     = 7
	blockAck         = 8
	blockAckRequest  = 9
	blockClove       = 11
	blockPadding     = 254
)

const (
	blockHeaderSize = 3
	dateTimeSize    = blockHeaderSize + 4
	ackSize         = 4
	maxCloves       = 256 // in one message; a handful is usual
	maxAcks         = 64  // in one message; the others are ignored
)

// Flags of a NextKey block.
const (
	nextKeyPresent = 1 << iota
	nextKeyReverse
	nextKeyRequest
)

// nextKey is a block of the exchange that leads to the next tag set.
type nextKey struct {
	id      int  // of the key, counted by the side that made it
	present bool // whether key is in the block
	reverse bool // from the receiver of the tag set to its sender
	request bool // whether the receiver shall make a new key
	key     x25519.PublicKey
}

// messageID tells which ES an acknowledgement is for.
type messageID struct {
	set uint16
	n   uint16
}

// payload is what a decrypted message holds.
type payload struct {
	dateTime   time.Time // zero unless the first block tells it
	cloves     []Clove
	nextKeys   [2]nextKey
	keys       int // how many nextKeys there are
	acks       []messageID
	ackRequest bool
	terminate  bool
}

// reset empties p and keeps the room its slices have.
func (p *payload) reset(cloves []Clove) {
	*p = payload{cloves: cloves[:0], acks: p.acks[:0]}
}

// parse reads all blocks of b into p, which is fresh or reset. On error p is
// not to be used. Bodies of cloves point into b.
func (p *payload) parse(b []byte) error {
	r := wire.NewReader(b)
	padded := false
	for first := true; r.Len() > 0; first = false {
		kind := r.Uint8()
		body := r.Bytes(int(r.Uint16()))
		if r.Err() != nil {
			return fmt.Errorf("%w: block %d: %w", ErrMalformed, kind, r.Err())
		}
		if padded {
			return fmt.Errorf("%w: block %d after padding", ErrMalformed, kind)
		}
		if err := p.block(kind, body, first); err != nil {
			return err
		}
		padded = kind == blockPadding
	}
	return nil
}

func (p *payload) block(kind uint8, b []byte, first bool) error {
	switch kind {
	case blockDateTime:
		if len(b) < 4 {
			return fmt.Errorf("%w: DateTime of %d bytes", ErrMalformed, len(b))
		}
		if first {
			p.dateTime = time.Unix(int64(binary.BigEndian.Uint32(b)), 0)
		}
	case blockTermination:
		p.terminate = true
	case blockNextKey:
		return p.nextKey(b)
	case blockAck:
		for ; len(b) >= ackSize && len(p.acks) < maxAcks; b = b[ackSize:] {
			p.acks = append(p.acks, messageID{binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])})
		}
	case blockAckRequest:
		p.ackRequest = true
	case blockClove:
		if len(p.cloves) == maxCloves {
			return fmt.Errorf("%w: more than %d cloves", ErrMalformed, maxCloves)
		}
		c, err := parseClove(b)
		if err != nil {
			return err
		}
		p.cloves = append(p.cloves, c)
	}
	return nil
}

func (p *payload) nextKey(b []byte) error {
	if p.keys == len(p.nextKeys) {
		return fmt.Errorf("%w: more than two NextKey blocks", ErrMalformed)
	}
	r := wire.NewReader(b)
	flags := r.Uint8()
	k := nextKey{
		id:      int(r.Uint16()),
		present: flags&nextKeyPresent != 0,
		reverse: flags&nextKeyReverse != 0,
		request: flags&nextKeyRequest != 0,
	}
	if k.present {
		r.Fill(k.key[:])
	}
	if r.Err() != nil {
		return fmt.Errorf("%w: NextKey: %w", ErrMalformed, r.Err())
	}
	p.nextKeys[p.keys] = k
	p.keys++
	return nil
}

func appendBlockHeader(b []byte, kind uint8, size int) []byte {
	b = append(b, kind)
	return binary.BigEndian.AppendUint16(b, uint16(size))
}

// appendDateTime rounds to the nearest second, as other routers do.
func appendDateTime(b []byte, now time.Time) []byte {
	b = appendBlockHeader(b, blockDateTime, 4)
	s := now.Add(500 * time.Millisecond).Unix()
	return binary.BigEndian.AppendUint32(b, uint32(min(max(s, 0), math.MaxUint32)))
}

func appendTermination(b []byte) []byte {
	const normalClose = 0
	return append(appendBlockHeader(b, blockTermination, 1), normalClose)
}

func appendNextKey(b []byte, k *nextKey) []byte {
	size, flags := 3, byte(0)
	if k.present {
		size, flags = size+len(k.key), nextKeyPresent
	}
	if k.reverse {
		flags |= nextKeyReverse
	}
	if k.request {
		flags |= nextKeyRequest
	}
	b = append(appendBlockHeader(b, blockNextKey, size), flags)
	b = binary.BigEndian.AppendUint16(b, uint16(k.id))
	if k.present {
		b = append(b, k.key[:]...)
	}
	return b
}

func appendAcks(b []byte, ids []messageID) []byte {
	b = appendBlockHeader(b, blockAck, ackSize*len(ids))
	for _, id := range ids {
		b = binary.BigEndian.AppendUint16(b, id.set)
		b = binary.BigEndian.AppendUint16(b, id.n)
	}
	return b
}

func appendAckRequest(b []byte) []byte {
	return append(appendBlockHeader(b, blockAckRequest, 1), 0)
}

func appendCloves(b []byte, cloves []Clove) []byte {
	for i := range cloves {
		b = cloves[i].append(b)
	}
	return b
}

// cloveBytes is how many bytes the blocks of the cloves take.
func cloveBytes(cloves []Clove) int {
	n := 0
	for i := range cloves {
		n += cloves[i].size()
	}
	return n
}

// checkClock is how the DateTime of a message that opens a session is judged.
// It fails with ErrMalformed when there is none, and with ErrClock.
func (p *payload) checkClock(now time.Time) error {
	if p.dateTime.IsZero() {
		return fmt.Errorf("%w: no DateTime", ErrMalformed)
	}
	if age := now.Sub(p.dateTime); age > maxAge || age < -maxAhead {
		return ErrClock
	}
	return nil
}

const (
	maxAge   = 5 * time.Minute
	maxAhead = 2 * time.Minute
)
