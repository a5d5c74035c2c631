package garlic

import "allium/internal/random"

// Payloads of these sizes make ES that fill one and two tunnel messages.
// Padding that would push a payload over the edge is left out.
var edges = [...]int{956, 1912}

const maxPadding = 15

// lengths gives random padding lengths. It draws many at a time, because a
// draw costs more than the rest of a small message.
type lengths struct {
	drawn [64]byte
	left  int
}

// appendPadding appends a padding block with 0 to 15 zeros to the payload
// that begins at start, or nothing.
func (l *lengths) appendPadding(b []byte, start int) []byte {
	if l.left == 0 {
		random.Fill(l.drawn[:])
		l.left = len(l.drawn)
	}
	l.left--
	n := int(l.drawn[l.left]) % (maxPadding + 1)
	size := len(b) - start
	padded := size + blockHeaderSize + n
	for _, edge := range edges {
		if size <= edge && padded > edge {
			return b
		}
	}
	if padded > MaxPayload {
		return b
	}
	var zeros [maxPadding]byte
	return append(appendBlockHeader(b, blockPadding, n), zeros[:n]...)
}
