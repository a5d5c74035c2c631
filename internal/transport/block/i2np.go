package block

import "allium/internal/i2np"

// I2NPSize is the size of an I2NP block with its header, in bytes.
func I2NPSize(m i2np.Message) int { return HeaderSize + m.ShortLen() }

// AppendI2NP appends an I2NP block: the message with its short header, which
// i2np.ParseShort reads. It appends nothing when the message does not fit into
// a block.
func AppendI2NP(b []byte, m i2np.Message) []byte {
	if m.ShortLen() > MaxData {
		return b
	}
	return m.AppendShort(appendHeader(b, TypeI2NP, m.ShortLen()))
}
