package i2np

import (
	"encoding/binary"
	"fmt"

	"allium/internal/data"
	"allium/internal/wire"
)

// MaxExcluded is how many routers a DatabaseLookup can exclude.
const MaxExcluded = 512

// LookupKind says what a DatabaseLookup looks for.
type LookupKind uint8

// The kinds of lookups.
const (
	LookupAny        LookupKind = 0 // deprecated
	LookupLeaseSet   LookupKind = 1
	LookupRouterInfo LookupKind = 2
	// LookupExploration asks for routers near the key that are no
	// floodfills.
	LookupExploration LookupKind = 3
)

// The flags of a DatabaseLookup.
const (
	lookupTunnel    = 1 << 0
	lookupAES       = 1 << 1
	lookupKindShift = 2
	lookupKindMask  = 3
	lookupECIES     = 1 << 4
)

// DatabaseLookup asks for an entry of the network database: key 32, from 32,
// flags 1, tunnel ID 4 if a flag says so, count of excluded 2, excluded 32
// each, then if flags say so reply key 32, count of tags 1, tags.
type DatabaseLookup struct {
	Key data.Hash
	// From is where the reply goes to: the asking router, or the gateway of
	// its tunnel.
	From data.Hash
	Kind LookupKind
	// ReplyTunnel is the tunnel ID at From, or 0 when the reply goes to that
	// router itself.
	ReplyTunnel uint32
	// Excluded are routers the reply shall not name, at most MaxExcluded.
	Excluded []data.Hash
	// ReplyKey and ReplyTag ask for a reply in Garlic for this one-time key,
	// recognised by this tag. They are nil for a plain reply.
	ReplyKey *[32]byte
	ReplyTag *[8]byte
	// ObsoleteReply tells that the lookup asked for a reply encrypted in a way
	// that is no longer, or was never, in use: with AES, or with a key both
	// sides agree on. It is not for sending.
	ObsoleteReply bool
}

// ParseDatabaseLookup reads a DatabaseLookup body. It fails with wire.ErrShort,
// or with ErrMalformed when there are more than MaxExcluded excluded or no
// tag for the reply. ReplyKey and ReplyTag point into the body.
func ParseDatabaseLookup(body []byte) (DatabaseLookup, error) {
	var l DatabaseLookup
	r := wire.NewReader(body)
	r.Fill(l.Key[:])
	r.Fill(l.From[:])
	flags := r.Uint8()
	l.Kind = LookupKind(flags >> lookupKindShift & lookupKindMask)
	if flags&lookupTunnel != 0 {
		l.ReplyTunnel = r.Uint32()
	}
	count := int(r.Uint16())
	if count > MaxExcluded {
		r.Fail(fmt.Errorf("%w: %d excluded", ErrMalformed, count))
	}
	l.Excluded = readHashes(&r, count)
	switch flags & (lookupAES | lookupECIES) {
	case lookupECIES:
		l.readReplyKey(&r)
	case lookupAES, lookupAES | lookupECIES:
		l.ObsoleteReply = true
	}
	if r.Err() != nil {
		return DatabaseLookup{}, fmt.Errorf("i2np: DatabaseLookup: %w", r.Err())
	}
	return l, nil
}

// readReplyKey reads the key and the first tag. One is all there should be.
func (l *DatabaseLookup) readReplyKey(r *wire.Reader) {
	key := r.Bytes(32)
	if count := r.Uint8(); count == 0 {
		r.Fail(fmt.Errorf("%w: no reply tag", ErrMalformed))
	}
	tag := r.Bytes(8)
	if r.Err() != nil {
		return
	}
	l.ReplyKey, l.ReplyTag = (*[32]byte)(key), (*[8]byte)(tag)
}

// Append appends the body, with no more than the first MaxExcluded of
// Excluded. The reply is asked to be encrypted when there are both a ReplyKey
// and a ReplyTag.
func (l *DatabaseLookup) Append(b []byte) []byte {
	sealed := l.ReplyKey != nil && l.ReplyTag != nil
	flags := byte(l.Kind) & lookupKindMask << lookupKindShift
	if l.ReplyTunnel != 0 {
		flags |= lookupTunnel
	}
	if sealed {
		flags |= lookupECIES
	}
	b = append(b, l.Key[:]...)
	b = append(b, l.From[:]...)
	b = append(b, flags)
	if l.ReplyTunnel != 0 {
		b = binary.BigEndian.AppendUint32(b, l.ReplyTunnel)
	}
	excluded := l.Excluded[:min(len(l.Excluded), MaxExcluded)]
	b = binary.BigEndian.AppendUint16(b, uint16(len(excluded)))
	b = appendHashes(b, excluded)
	if sealed {
		b = append(b, l.ReplyKey[:]...)
		b = append(b, 1)
		b = append(b, l.ReplyTag[:]...)
	}
	return b
}
