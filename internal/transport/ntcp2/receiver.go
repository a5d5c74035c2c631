package ntcp2

import (
	"encoding/binary"
	"fmt"

	"allium/internal/noise"
)

const (
	// lengthSize is the size of the length before each frame.
	lengthSize = 2
	// bufferStep is what the memory for frames is rounded up to.
	bufferStep = 4 << 10
	// keepFrame is the most memory for a frame that is used again. It takes
	// the frames routers make, and not the largest there can be.
	keepFrame = 20 << 10
)

// receiver cuts the bytes of a stream into frames and opens them.
type receiver struct {
	cipher *noise.Cipher
	mask   mask

	length    [lengthSize]byte // as far as it has come
	lengthLen int
	size      int // of the frame under way, 0 when its length is not known

	// frame is what has come of a frame that does not lie whole in one read.
	// When it is complete, messages are handed up out of it that are lent to
	// the end of the round. What else the same read begins goes to spare, and
	// the two change places.
	frame, spare []byte
}

func newReceiver(s *secrets) receiver {
	return receiver{cipher: noise.NewCipher(&s.key), mask: newMask(&s.sip)}
}

// next opens the first frame of b, or the one that ends there, and gives the
// rest. It reports false when no frame ends in b; then it has kept what there
// was. payload lies in b, or in memory that is used again in a later round. It
// fails with ErrFrame, and must not be called any more after that.
func (in *receiver) next(b []byte) (payload, rest []byte, ok bool, err error) {
	if in.size == 0 {
		n := copy(in.length[in.lengthLen:], b)
		in.lengthLen += n
		b = b[n:]
		if in.lengthLen < lengthSize {
			return nil, nil, false, nil
		}
		in.lengthLen = 0
		in.size = int(binary.BigEndian.Uint16(in.length[:]) ^ in.mask.next())
		if in.size < noise.Overhead {
			return nil, nil, false, fmt.Errorf("ntcp2: %w: %d bytes", ErrFrame, in.size)
		}
	}
	sealed, rest, ok := in.whole(b)
	if !ok {
		return nil, nil, false, nil
	}
	in.size = 0
	payload, err = in.cipher.Open(sealed[:0], nil, sealed)
	if err != nil {
		return nil, nil, false, fmt.Errorf("ntcp2: %w: %w", ErrFrame, err)
	}
	return payload, rest, true, nil
}

// whole gives the frame under way in one piece, if it is complete with b.
func (in *receiver) whole(b []byte) (sealed, rest []byte, ok bool) {
	if len(in.frame) == 0 && len(b) >= in.size {
		return b[:in.size], b[in.size:], true
	}
	n := min(in.size-len(in.frame), len(b))
	if cap(in.frame) < in.size {
		grown := make([]byte, 0, (in.size+bufferStep-1)/bufferStep*bufferStep)
		in.frame = append(grown, in.frame...)
	}
	in.frame = append(in.frame, b[:n]...)
	if len(in.frame) < in.size {
		return nil, nil, false
	}
	sealed = in.frame
	in.frame, in.spare = in.spare[:0], nil
	if cap(sealed) <= keepFrame {
		in.spare = sealed[:0]
	}
	return sealed, b[n:], true
}

// lent makes sure that nothing handed up so far is written over in the same
// round.
func (in *receiver) lent() { in.spare = nil }
