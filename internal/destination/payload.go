package destination

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
)

// Protocol numbers of end-to-end messages (I2CP payload header).
const (
	ProtocolAny       = 0
	ProtocolStreaming = 6
	ProtocolDatagram1 = 17
	ProtocolRaw       = 18
	ProtocolDatagram2 = 19
	ProtocolDatagram3 = 20
)

const (
	// MaxPayload is the most an end-to-end message may hold when it is sent, in
	// bytes before compression: with our LeaseSet and all that goes around
	// them, it just fits through tunnels.
	MaxPayload = 60 << 10
	// maxInflated is the most it may hold when it has come: others may send
	// more if it compresses well.
	maxInflated = 64 << 10
)

// ErrPayload is what a malformed end-to-end payload wraps.
var ErrPayload = errors.New("destination: malformed payload")

// A payload is a gzip member (RFC 1952) whose header carries the ports in the
// place of the modification time and the protocol in the place of the system:
// 1F 8B 08, flags 0, ports from and to, extra flags, protocol.
const (
	gzipHeader  = 10
	gzipTrailer = 8
	// storeBelow is the length under which compressing is not tried.
	storeBelow = 67
	// best is what the extra flags say of a compressed payload, as others do.
	best = 2
)

// Message is one end-to-end message: what an application protocol sends
// between two ports of two Destinations. Port 0 is unspecified.
type Message struct {
	Protocol         uint8
	FromPort, ToPort uint16
	// Payload is lent in handlers, and copied by Send.
	Payload []byte
}

// codec wraps and unwraps messages. What it takes to compress is used again
// and again, by several goroutines.
type codec struct {
	compress  bool
	deflaters sync.Pool // *deflater
	inflaters sync.Pool // *inflater
}

func newCodec(compress bool) *codec {
	return &codec{
		compress:  compress,
		deflaters: sync.Pool{New: func() any { return newDeflater() }},
		inflaters: sync.Pool{New: func() any { return newInflater() }},
	}
}

// append appends m in its gzip wrapping. It compresses only if asked to and if
// that makes it shorter.
func (c *codec) append(b []byte, m Message) []byte {
	start := len(b)
	b = append(b, 0x1F, 0x8B, 8, 0)
	b = binary.BigEndian.AppendUint16(b, m.FromPort)
	b = binary.BigEndian.AppendUint16(b, m.ToPort)
	b = append(b, 0, m.Protocol)
	if c.compress && len(m.Payload) >= storeBelow {
		deflated := c.appendDeflated(b, m.Payload)
		if len(deflated)-len(b) < storedHeader+len(m.Payload) {
			deflated[start+8] = best
			return appendTrailer(deflated, m.Payload)
		}
	}
	return appendTrailer(appendStored(b, m.Payload), m.Payload)
}

// deflater is a flate.Writer that appends.
type deflater struct {
	w *flate.Writer
	b []byte
}

// Write implements io.Writer.
func (d *deflater) Write(p []byte) (int, error) {
	d.b = append(d.b, p...)
	return len(p), nil
}

func newDeflater() *deflater {
	d := new(deflater)
	w, err := flate.NewWriter(d, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant flate accepts
	}
	d.w = w
	return d
}

// appendDeflated appends p compressed.
func (c *codec) appendDeflated(b, p []byte) []byte {
	d := c.deflaters.Get().(*deflater)
	defer c.deflaters.Put(d)
	d.b = b
	d.w.Reset(d)
	// Appending never fails.
	_, _ = d.w.Write(p)
	_ = d.w.Close()
	b, d.b = d.b, nil
	return b
}

// storedHeader is what a stored block has in front of its bytes.
const storedHeader = 5

// appendStored appends p, MaxPayload at most, as one stored block (RFC 1951
// section 3.2.4).
func appendStored(b, p []byte) []byte {
	b = append(b, 1)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(p)))
	b = binary.LittleEndian.AppendUint16(b, ^uint16(len(p)))
	return append(b, p...)
}

func appendTrailer(b, p []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(p))
	return binary.LittleEndian.AppendUint32(b, uint32(len(p)))
}

// parse unwraps an end-to-end message. The result may alias b.
func (c *codec) parse(b []byte) (Message, error) {
	if len(b) < gzipHeader+gzipTrailer {
		return Message{}, fmt.Errorf("%w: %d bytes", ErrPayload, len(b))
	}
	if b[0] != 0x1F || b[1] != 0x8B || b[2] != 8 || b[3] != 0 {
		return Message{}, fmt.Errorf("%w: header % x", ErrPayload, b[:4])
	}
	m := Message{
		FromPort: binary.BigEndian.Uint16(b[4:]),
		ToPort:   binary.BigEndian.Uint16(b[6:]),
		Protocol: b[9],
	}
	trailer := b[len(b)-gzipTrailer:]
	size := binary.LittleEndian.Uint32(trailer[4:])
	if size > maxInflated {
		return Message{}, fmt.Errorf("%w: inflates to %d bytes", ErrPayload, size)
	}
	var err error
	m.Payload, err = c.inflate(b[gzipHeader:len(b)-gzipTrailer], int(size))
	if err != nil {
		return Message{}, err
	}
	if crc32.ChecksumIEEE(m.Payload) != binary.LittleEndian.Uint32(trailer) {
		return Message{}, fmt.Errorf("%w: checksum", ErrPayload)
	}
	return m, nil
}

// inflate yields exactly size bytes, without a copy when body is one stored
// block.
func (c *codec) inflate(body []byte, size int) ([]byte, error) {
	if len(body) == size+storedHeader && body[0]&7 == 1 &&
		binary.LittleEndian.Uint16(body[1:]) == uint16(size) &&
		binary.LittleEndian.Uint16(body[3:]) == ^uint16(size) {
		return body[storedHeader:], nil
	}
	i := c.inflaters.Get().(*inflater)
	defer c.inflaters.Put(i)
	return i.inflate(body, size)
}

// inflater is a flate reader and what it reads, used again and again.
type inflater struct {
	source bytes.Reader
	r      io.ReadCloser
}

func newInflater() *inflater {
	i := new(inflater)
	i.r = flate.NewReader(&i.source)
	return i
}

func (i *inflater) inflate(body []byte, size int) ([]byte, error) {
	i.source.Reset(body)
	defer i.source.Reset(nil)
	if err := i.r.(flate.Resetter).Reset(&i.source, nil); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPayload, err)
	}
	out := make([]byte, size)
	if _, err := io.ReadFull(i.r, out); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPayload, err)
	}
	var more [1]byte
	if n, err := i.r.Read(more[:]); n != 0 || err != io.EOF {
		return nil, fmt.Errorf("%w: longer than its trailer says", ErrPayload)
	}
	if i.source.Len() > 0 {
		return nil, fmt.Errorf("%w: %d bytes behind the end", ErrPayload, i.source.Len())
	}
	return out, nil
}
