package i2np

import "fmt"

const (
	// MaxBuildRecords is the largest count of records in a build message.
	MaxBuildRecords = 8
	// ShortRecordSize is the size of a record in a ShortTunnelBuild or an
	// OutboundTunnelBuildReply, in bytes.
	ShortRecordSize = 218
)

var (
	errShortTunnelBuildCount = fmt.Errorf("i2np: ShortTunnelBuild: %w: not 1 to %d records", ErrMalformed, MaxBuildRecords)
	errShortTunnelBuildSize  = fmt.Errorf("i2np: ShortTunnelBuild: %w: size does not fit the count of records", ErrMalformed)
)

// ShortTunnelBuild is the body of a ShortTunnelBuild or an
// OutboundTunnelBuildReply as it stands in the message: count 1, then that
// many encrypted records, one for each hop and some for none. Every hop works
// on it in place and sends it on.
type ShortTunnelBuild []byte

// NewShortTunnelBuild makes the body with count records of zeros, for the
// creator to fill. A count that is not 1 to MaxBuildRecords is ErrMalformed.
func NewShortTunnelBuild(count int) (ShortTunnelBuild, error) {
	if count < 1 || count > MaxBuildRecords {
		return nil, errShortTunnelBuildCount
	}
	s := make(ShortTunnelBuild, 1+count*ShortRecordSize)
	s[0] = byte(count)
	return s, nil
}

// ParseShortTunnelBuild looks at the body of a ShortTunnelBuild or an
// OutboundTunnelBuildReply. It fails with ErrMalformed unless it is 1 to
// MaxBuildRecords records and nothing else.
func ParseShortTunnelBuild(body []byte) (ShortTunnelBuild, error) {
	if len(body) == 0 || body[0] < 1 || body[0] > MaxBuildRecords {
		return nil, errShortTunnelBuildCount
	}
	if len(body) != 1+int(body[0])*ShortRecordSize {
		return nil, errShortTunnelBuildSize
	}
	return ShortTunnelBuild(body), nil
}

// Count is how many records there are.
func (s ShortTunnelBuild) Count() int { return int(s[0]) }

// Record gives record i, from 0, in place.
func (s ShortTunnelBuild) Record(i int) *[ShortRecordSize]byte {
	return (*[ShortRecordSize]byte)(s[1+i*ShortRecordSize:])
}
