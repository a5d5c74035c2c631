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

// MaxPayload is the most an end-to-end message may hold, in bytes before
// compression.
const MaxPayload = 62 << 10

// ErrPayload is what a malformed end-to-end payload wraps.
var ErrPayload = errors.New("destination: malformed payload")

// A payload is a gzip member whose header carries the ports in the place of
// the modification time and the protocol in the place of the system.
const (
	gzipHeader  = 10
	gzipTrailer = 8
	// storeBelow is the length under which compressing is not tried.
	storeBelow = 67
)

// Message is one end-to-end message: what an application protocol sends
// between two ports of two Destinations.
type Message struct {
	Protocol         uint8
	FromPort, ToPort uint16
	// Payload is lent in handlers, and copied by Send.
	Payload []byte
}

var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant flate accepts
	}
	return w
}}

// appendPayload appends m in its gzip wrapping. It compresses only if asked
// to and if that makes it shorter.
func appendPayload(b []byte, m Message, compress bool) []byte {
	start := len(b)
	b = append(b, 0x1F, 0x8B, 8, 0)
	b = binary.BigEndian.AppendUint16(b, m.FromPort)
	b = binary.BigEndian.AppendUint16(b, m.ToPort)
	b = append(b, 0, m.Protocol)
	stored := len(m.Payload) + 5*(1+len(m.Payload)/0xFFFF)
	if compress && len(m.Payload) >= storeBelow {
		body := deflate(m.Payload)
		if len(body) < stored {
			b[start+8] = 2
			b = append(b, body...)
			return appendTrailer(b, m.Payload)
		}
	}
	return appendTrailer(appendStored(b, m.Payload), m.Payload)
}

func deflate(p []byte) []byte {
	var out bytes.Buffer
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&out)
	// A bytes.Buffer never refuses a write.
	_, _ = w.Write(p)
	_ = w.Close()
	return out.Bytes()
}

// appendStored appends p as stored deflate blocks (RFC 1951 section 3.2.4).
func appendStored(b, p []byte) []byte {
	for {
		n := min(len(p), 0xFFFF)
		final := byte(0)
		if n == len(p) {
			final = 1
		}
		b = append(b, final)
		b = binary.LittleEndian.AppendUint16(b, uint16(n))
		b = binary.LittleEndian.AppendUint16(b, ^uint16(n))
		b = append(b, p[:n]...)
		p = p[n:]
		if final == 1 {
			return b
		}
	}
}

func appendTrailer(b, p []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(p))
	return binary.LittleEndian.AppendUint32(b, uint32(len(p)))
}

// parsePayload unwraps an end-to-end message. The result may alias b.
func parsePayload(b []byte) (Message, error) {
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
	if size > MaxPayload {
		return Message{}, fmt.Errorf("%w: inflates to %d bytes", ErrPayload, size)
	}
	var err error
	m.Payload, err = inflate(b[gzipHeader:len(b)-gzipTrailer], int(size))
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
func inflate(body []byte, size int) ([]byte, error) {
	if len(body) == size+5 && body[0]&7 == 1 &&
		binary.LittleEndian.Uint16(body[1:]) == uint16(size) &&
		binary.LittleEndian.Uint16(body[3:]) == ^uint16(size) {
		return body[5:], nil
	}
	r := flate.NewReader(bytes.NewReader(body))
	out := make([]byte, size)
	if _, err := io.ReadFull(r, out); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPayload, err)
	}
	var more [1]byte
	if n, err := r.Read(more[:]); n != 0 || err != io.EOF {
		return nil, fmt.Errorf("%w: longer than its trailer says", ErrPayload)
	}
	return out, nil
}
