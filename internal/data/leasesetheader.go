package data

import (
	"encoding/binary"
	"fmt"
	"time"

	"allium/internal/signature"
	"allium/internal/wire"
)

// Flags of the newer sets of leases.
const (
	flagOffline     = 1
	flagUnpublished = 2
	flagBlinded     = 4
)

// lifetime is the part of the header that all the newer sets of leases have.
type lifetime struct {
	published uint32 // seconds
	offset    uint16 // seconds from published to the end
	flags     uint16
	offline   *OfflineSignature // nil without flagOffline
}

// read takes the dates, the flags, and the offline block, if there is one,
// that a key of type signer signed.
func (l *lifetime) read(r *wire.Reader, signer signature.Type) {
	l.published, l.offset, l.flags = r.Uint32(), r.Uint16(), r.Uint16()
	if l.flags&flagOffline != 0 {
		o := ReadOfflineSignature(r, signer)
		l.offline = &o
	}
}

func (l *lifetime) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, l.published)
	b = binary.BigEndian.AppendUint16(b, l.offset)
	b = binary.BigEndian.AppendUint16(b, l.flags)
	if l.offline != nil {
		b = l.offline.Append(b)
	}
	return b
}

// newLifetime fails with ErrLifetime unless expires follows on published by
// no more than limit.
func newLifetime(published, expires time.Time, limit time.Duration, flags uint16, offline *OfflineSignature) (lifetime, error) {
	start, err := seconds(published)
	if err != nil {
		return lifetime{}, err
	}
	length := expires.Unix() - published.Unix()
	if length < 0 || length > int64(limit/time.Second) {
		return lifetime{}, fmt.Errorf("%w: %d seconds", ErrLifetime, length)
	}
	if offline != nil {
		flags |= flagOffline
		if published.After(offline.Expires) {
			return lifetime{}, fmt.Errorf("%w: offline signature expired", ErrLifetime)
		}
	}
	return lifetime{start, uint16(length), flags, offline}, nil
}

// Published is when the set was made, in seconds.
func (l *lifetime) Published() time.Time { return unixSeconds(l.published) }

// Expires is when the set ends, in seconds.
func (l *lifetime) Expires() time.Time { return time.Unix(int64(l.published)+int64(l.offset), 0).UTC() }

// Unpublished reports that the set is only for those it was sent to: it is
// neither flooded nor given out.
func (l *lifetime) Unpublished() bool { return l.flags&flagUnpublished != 0 }

// Offline is the block that lets another key sign the set, or nil.
func (l *lifetime) Offline() *OfflineSignature { return l.offline }

// signer is the type of the key that signs the set whose owner's key has type
// owner.
func (l *lifetime) signer(owner signature.Type) signature.Type {
	if l.offline != nil {
		return l.offline.Type
	}
	return owner
}

// verify checks the signatures of a set whose owner has the given key.
func (l *lifetime) verify(s *signedBytes, owner signature.Type, key []byte) error {
	if o := l.offline; o != nil {
		if l.Published().After(o.Expires) {
			return fmt.Errorf("%w: offline signature expired", ErrLifetime)
		}
		if !signature.Verify(owner, key, o.message(nil), o.Signature) {
			return fmt.Errorf("offline: %w", ErrSignature)
		}
		owner, key = o.Type, o.Key
	}
	if !signature.Verify(owner, key, s.typed[:s.signed], s.Signature()) {
		return ErrSignature
	}
	return nil
}

// leaseSetHeader is how LeaseSet2 and MetaLeaseSet begin (common structures,
// LeaseSet2Header).
type leaseSetHeader struct {
	destination Destination
	lifetime
}

func (h *leaseSetHeader) read(r *wire.Reader) {
	h.destination.read(r)
	h.lifetime.read(r, h.destination.signing)
}

// Key is the Hash of the Destination.
func (h *leaseSetHeader) Key() Hash { return h.destination.hash }

// Destination is whose set this is.
func (h *leaseSetHeader) Destination() *Destination { return &h.destination }

// BlindedWhenPublished reports that the owner publishes this set only
// encrypted.
func (h *leaseSetHeader) BlindedWhenPublished() bool { return h.flags&flagBlinded != 0 }
