package ntcp2

import (
	"encoding/binary"

	"allium/internal/bandwidth"
	"allium/internal/host"
	"allium/internal/noise"
	"allium/internal/random"
	"allium/internal/transport/block"
)

const (
	// maxFrame is the most that the blocks of one frame can be.
	maxFrame = 65535 - noise.Overhead
	// frameSize is how large the blocks of a frame grow, unless a single
	// message is larger. The peer must have all of a frame to open it.
	frameSize = 16 << 10
	// batchSize is about how much is written at once. With one more frame of
	// any size it is less than half of what a stream takes.
	batchSize = 48 << 10
	// framePadding is the most padding of a frame.
	framePadding = 128
	// shortFrame is the size up to which frames are padded alike, so that the
	// small ones are not the easiest to tell apart.
	shortFrame = 256
)

// batch is what one session writes at once: frames, one after the other in a
// buffer. Each round has one, which all sessions sealed in it use in turn.
type batch struct {
	buf    []byte
	frames []span
	last   bool // the session ends with it

	may      bandwidth.Bytes // what more may be added
	sealed   bandwidth.Bytes // all bytes of closed frames
	messages bandwidth.Bytes // of the open frame
}

// span is one frame in the buffer of a batch: from start the length, then the
// blocks up to end, then room for the tag.
type span struct{ start, end int }

// batches is the owner of the batches of all rounds. It has a size so that its
// address is its own.
type batches struct{ _ byte }

// NewBatch implements [host.Gatherer].
func (*batches) NewBatch() host.Ender { return new(batch) }

// EndRound implements [host.Ender]: the sessions have used it already.
func (*batch) EndRound(*host.Round) {}

// reset begins another write, of messages of so many bytes.
func (b *batch) reset(may bandwidth.Bytes) {
	b.buf, b.frames, b.last = b.buf[:0], b.frames[:0], false
	b.may, b.sealed = may, bandwidth.Bytes{}
}

// open begins a frame.
func (b *batch) open() {
	b.messages = bandwidth.Bytes{}
	b.frames = append(b.frames, span{start: len(b.buf)})
	b.buf = append(b.buf, make([]byte, lengthSize)...)
}

// used is how large the blocks of the open frame are.
func (b *batch) used() int {
	return len(b.buf) - b.frames[len(b.frames)-1].start - lengthSize
}

// fits reports whether a block of that size should go into the open frame.
func (b *batch) fits(size int) bool {
	used := b.used()
	return used == 0 || used+size <= frameSize
}

// mayTake tells whether one more message of a class may be added. It may be
// larger than what is left: that is paid for later.
func (b *batch) mayTake(c bandwidth.Class) bool {
	return c == bandwidth.Control || b.may[c] > 0
}

// add adds a message to the open frame.
func (b *batch) add(c bandwidth.Class, message []byte) {
	b.buf = append(b.buf, message...)
	b.messages[c] += len(message)
	b.may[c] -= len(message)
}

// close ends the open frame with padding of up to percent of its size. A frame
// without blocks is taken back, which it reports by false.
func (b *batch) close(percent int) bool {
	frame := &b.frames[len(b.frames)-1]
	used := b.used()
	if used == 0 {
		b.buf = b.buf[:frame.start]
		b.frames = b.frames[:len(b.frames)-1]
		return false
	}
	most := min(max(used, shortFrame)*percent/100, framePadding, maxFrame-used-block.HeaderSize)
	if most > 0 {
		b.buf = block.AppendPadding(b.buf, random.IntN(most+1))
	}
	frame.end = len(b.buf)
	b.buf = append(b.buf, make([]byte, noise.Overhead)...)
	for c, n := range spread(b.messages, len(b.buf)-frame.start) {
		b.sealed[c] += n
	}
	return true
}

// seal encrypts all frames where they are.
func (b *batch) seal(cipher *noise.Cipher, lengths *mask) {
	for _, f := range b.frames {
		blocks := b.buf[f.start+lengthSize : f.end]
		sealed := cipher.Seal(blocks[:0], nil, blocks)
		binary.BigEndian.PutUint16(b.buf[f.start:], uint16(len(sealed))^lengths.next())
	}
}
