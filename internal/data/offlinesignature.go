package data

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"allium/internal/signature"
	"allium/internal/wire"
)

// OfflineSignature lets another key sign for a Destination for a time, so
// that the Destination's own can be kept off the network (common structures,
// OfflineSignature). It stands in LeaseSets, streams, datagrams and key files.
type OfflineSignature struct {
	// Expires is when the other key ends, in seconds.
	Expires time.Time
	// Type and Key are the other key, called transient.
	Type signature.Type
	Key  []byte
	// Signature is of all of these, by the Destination.
	Signature []byte
}

// ReadOfflineSignature reads what a key of type signer signed. Its fields
// point into the message. The reader fails with ErrUnsupported for a
// transient key of unknown type.
func ReadOfflineSignature(r *wire.Reader, signer signature.Type) OfflineSignature {
	o := OfflineSignature{Expires: readSeconds(r), Type: signature.Type(r.Uint16())}
	if r.Err() == nil && !inIdentities(o.Type) {
		r.Fail(fmt.Errorf("offline signature: %w: %v", ErrUnsupported, o.Type))
	}
	o.Key = r.Bytes(o.Type.PublicKeyLen())
	o.Signature = r.Bytes(signer.SignatureLen())
	return o
}

// NewOfflineSignature lets transient, a public key of type t, sign in the
// place of key until expires. It fails with ErrLifetime or, for a key that is
// no such key, with ErrUnsupported.
func NewOfflineSignature(key signature.PrivateKey, expires time.Time, t signature.Type, transient []byte) (OfflineSignature, error) {
	end, err := seconds(expires)
	if err == nil && (!inIdentities(t) || len(transient) != t.PublicKeyLen()) {
		err = fmt.Errorf("%w: %v of %d bytes", ErrUnsupported, t, len(transient))
	}
	if err != nil {
		return OfflineSignature{}, fmt.Errorf("data: offline signature: %w", err)
	}
	o := OfflineSignature{Expires: unixSeconds(end), Type: t, Key: bytes.Clone(transient)}
	o.Signature = key.Sign(o.message(nil))
	return o, nil
}

// message appends what is signed.
func (o OfflineSignature) message(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(o.Expires.Unix()))
	b = binary.BigEndian.AppendUint16(b, uint16(o.Type))
	return append(b, o.Key...)
}

// Append appends the block.
func (o OfflineSignature) Append(b []byte) []byte { return append(o.message(b), o.Signature...) }

// VerifyOffline reports whether the owner of k let the key of o sign, at
// least until the time at.
func (k *KeysAndCert) VerifyOffline(o *OfflineSignature, at time.Time) bool {
	return !at.After(o.Expires) && k.Verify(o.message(nil), o.Signature)
}
