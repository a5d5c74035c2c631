package i2np

import (
	"encoding/binary"
	"fmt"

	"allium/internal/wire"
)

// Data carries what a client of a destination sends to another: size 4,
// payload. It is found within Garlic only.
type Data struct {
	Payload []byte
}

// ParseData reads a Data body. It fails with wire.ErrShort.
func ParseData(body []byte) (Data, error) {
	payload, err := sized("Data", body)
	return Data{Payload: payload}, err
}

// Append appends the body.
func (d Data) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(d.Payload)))
	return append(b, d.Payload...)
}

// sized reads a size of 4 bytes and that many bytes.
func sized(of string, body []byte) ([]byte, error) {
	r := wire.NewReader(body)
	b := r.Bytes(int(r.Uint32()))
	if r.Err() != nil {
		return nil, fmt.Errorf("i2np: %s: %w", of, r.Err())
	}
	return b, nil
}
