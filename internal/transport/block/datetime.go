package block

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// DateTimeSize is the size of a DateTime block with its header, in bytes.
const DateTimeSize = HeaderSize + 4

// AppendDateTime appends a DateTime block: seconds since 1970, rounded to the
// nearest, as clocks that are compared would otherwise all seem to be late.
func AppendDateTime(b []byte, t time.Time) []byte {
	s := t.Add(500 * time.Millisecond).Unix()
	b = appendHeader(b, TypeDateTime, 4)
	return binary.BigEndian.AppendUint32(b, uint32(min(max(s, 0), math.MaxUint32)))
}

// ParseDateTime reads the data of a DateTime block. It fails with
// ErrMalformed.
func ParseDateTime(data []byte) (time.Time, error) {
	if len(data) != 4 {
		return time.Time{}, fmt.Errorf("block: DateTime: %w: %d bytes", ErrMalformed, len(data))
	}
	return time.Unix(int64(binary.BigEndian.Uint32(data)), 0).UTC(), nil
}
