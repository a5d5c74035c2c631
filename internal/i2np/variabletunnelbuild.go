package i2np

import "fmt"

// LongRecordSize is the size of a record in a VariableTunnelBuild or a
// VariableTunnelBuildReply, in bytes.
const LongRecordSize = 528

var (
	errVariableTunnelBuildCount = fmt.Errorf("i2np: VariableTunnelBuild: %w: not 1 to %d records", ErrMalformed, MaxBuildRecords)
	errVariableTunnelBuildSize  = fmt.Errorf("i2np: VariableTunnelBuild: %w: size does not fit the count of records", ErrMalformed)
)

// VariableTunnelBuild is the body of a VariableTunnelBuild or a
// VariableTunnelBuildReply as it stands in the message: count 1, then that
// many encrypted records. Both are deprecated: they are read but not made.
type VariableTunnelBuild []byte

// ParseVariableTunnelBuild looks at the body of a VariableTunnelBuild or a
// VariableTunnelBuildReply. It fails with ErrMalformed unless it is 1 to
// MaxBuildRecords records and nothing else.
func ParseVariableTunnelBuild(body []byte) (VariableTunnelBuild, error) {
	if len(body) == 0 || body[0] < 1 || body[0] > MaxBuildRecords {
		return nil, errVariableTunnelBuildCount
	}
	if len(body) != 1+int(body[0])*LongRecordSize {
		return nil, errVariableTunnelBuildSize
	}
	return VariableTunnelBuild(body), nil
}

// Count is how many records there are.
func (v VariableTunnelBuild) Count() int { return int(v[0]) }

// Record gives record i, from 0, in place.
func (v VariableTunnelBuild) Record(i int) *[LongRecordSize]byte {
	return (*[LongRecordSize]byte)(v[1+i*LongRecordSize:])
}
