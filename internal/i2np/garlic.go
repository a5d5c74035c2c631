package i2np

import "encoding/binary"

// Garlic is an encrypted message: size 4, data. Only the keys tell for whom
// it is and what is in it.
type Garlic struct {
	Data []byte
}

// ParseGarlic reads a Garlic body. It fails with wire.ErrShort.
func ParseGarlic(body []byte) (Garlic, error) {
	data, err := sized("Garlic", body)
	return Garlic{Data: data}, err
}

// Append appends the body.
func (g Garlic) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(g.Data)))
	return append(b, g.Data...)
}
