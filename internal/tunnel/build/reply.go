package build

import (
	"strconv"

	"allium/internal/data"
	"allium/internal/i2np"
	"allium/internal/noise"
	"allium/internal/wire"
)

// noOptions is an empty mapping.
var noOptions = []byte{0, 0}

// ReplyRecord is what a hop answers, 202 bytes in the clear.
type ReplyRecord struct {
	Code Code
	// Available is the bandwidth the hop means to give, in kilobytes per
	// second, or zero when it does not say (proposal 168). It is read and not
	// written.
	Available int
}

// seal puts the record in the place of the one at index.
func (p ReplyRecord) seal(records i2np.ShortTunnelBuild, index int, k *keys) {
	b := records.Record(index)
	plain := b[:replySize]
	clear(plain)
	copy(plain, noOptions)
	plain[replySize-1] = byte(p.Code)
	noise.Seal(b[:0], &k.stream, uint64(index), k.hash[:], plain)
}

// openReply opens the record at index in place.
func openReply(records i2np.ShortTunnelBuild, index int, k *keys) (ReplyRecord, error) {
	b := records.Record(index)[:]
	plain, err := noise.Open(b[:0], &k.stream, uint64(index), k.hash[:], b)
	if err != nil {
		return ReplyRecord{}, err
	}
	return ReplyRecord{
		Code:      Code(plain[replySize-1]),
		Available: kilobytes(parseOptions(plain[:replySize-1]), "b"),
	}, nil
}

// parseOptions reads the mapping at the start of b. A mapping that makes no
// sense counts as empty: options are wishes.
func parseOptions(b []byte) data.Mapping {
	r := wire.NewReader(b)
	return data.ReadMapping(&r)
}

// kilobytes is the number an option gives, or zero.
func kilobytes(options data.Mapping, key string) int {
	value, ok := options.Get(key)
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}
