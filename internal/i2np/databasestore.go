package i2np

import (
	"encoding/binary"
	"fmt"
	"math"

	"allium/internal/data"
	"allium/internal/wire"
)

// StoreType says what a DatabaseStore stores.
type StoreType uint8

// The types of entries. The LeaseSets have the odd ones.
const (
	StoreRouterInfo        StoreType = 0
	StoreLeaseSet          StoreType = 1
	StoreLeaseSet2         StoreType = 3
	StoreEncryptedLeaseSet StoreType = 5
	StoreMetaLeaseSet      StoreType = 7

	// storeTypeMask leaves what counts of the byte that tells the type.
	storeTypeMask = 0x0f
)

// LeaseSet reports whether the entry is a LeaseSet of any kind.
func (t StoreType) LeaseSet() bool { return t&1 != 0 }

// DatabaseStore brings an entry of the network database, asked for or to be
// stored: key 32, type 1, reply token 4, then if that is not 0 reply tunnel ID
// 4 and reply gateway 32, then the entry.
type DatabaseStore struct {
	// Key is what the entry is found under. That it is the entry's own is for
	// the receiver to check.
	Key  data.Hash
	Type StoreType
	// ReplyToken asks for a DeliveryStatus with it as ID, and a floodfill to
	// flood the entry. 0 asks for neither.
	ReplyToken uint32
	// ReplyTunnel is the tunnel ID at ReplyGateway, or 0 when the reply goes
	// to that router itself. Both mean nothing without a ReplyToken.
	ReplyTunnel  uint32
	ReplyGateway data.Hash
	// Data is the entry. A RouterInfo is compressed with gzip and has 2 bytes
	// of size in the body, which are not part of Data.
	Data []byte
}

// ParseDatabaseStore reads a DatabaseStore body. It fails with wire.ErrShort,
// or with ErrMalformed for a type that does not exist. It does not look into
// the entry, which points into the body.
func ParseDatabaseStore(body []byte) (DatabaseStore, error) {
	var s DatabaseStore
	r := wire.NewReader(body)
	r.Fill(s.Key[:])
	s.Type = StoreType(r.Uint8() & storeTypeMask)
	s.ReplyToken = r.Uint32()
	if s.ReplyToken != 0 {
		s.ReplyTunnel = r.Uint32()
		r.Fill(s.ReplyGateway[:])
	}
	switch s.Type {
	case StoreRouterInfo:
		s.Data = r.Bytes(int(r.Uint16()))
	case StoreLeaseSet, StoreLeaseSet2, StoreEncryptedLeaseSet, StoreMetaLeaseSet:
		s.Data = r.Rest()
	default:
		r.Fail(fmt.Errorf("%w: type %d", ErrMalformed, s.Type))
	}
	if r.Err() != nil {
		return DatabaseStore{}, fmt.Errorf("i2np: DatabaseStore: %w", r.Err())
	}
	return s, nil
}

// Append appends the body. It appends nothing when Data is a RouterInfo of
// more than 65535 bytes.
func (s *DatabaseStore) Append(b []byte) []byte {
	if s.Type == StoreRouterInfo && len(s.Data) > math.MaxUint16 {
		return b
	}
	b = append(b, s.Key[:]...)
	b = append(b, byte(s.Type))
	b = binary.BigEndian.AppendUint32(b, s.ReplyToken)
	if s.ReplyToken != 0 {
		b = binary.BigEndian.AppendUint32(b, s.ReplyTunnel)
		b = append(b, s.ReplyGateway[:]...)
	}
	if s.Type == StoreRouterInfo {
		b = binary.BigEndian.AppendUint16(b, uint16(len(s.Data)))
	}
	return append(b, s.Data...)
}
