package data_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/signature"
	"allium/internal/wire"
)

// metaLeaseSet writes a MetaLeaseSet, which only tests do.
func metaLeaseSet(tb testing.TB, key signature.PrivateKey, leases, revocations int) (*data.Destination, []byte) {
	tb.Helper()
	d := destination(tb, key)
	b := append([]byte{byte(data.TypeMetaLeaseSet)}, d.Bytes()...)
	b = binary.BigEndian.AppendUint32(b, uint32(now.Unix()))
	b = binary.BigEndian.AppendUint16(b, 0xFFFF)
	b = append(b, 0, 0, 0, 0, byte(leases))
	for i := range leases {
		target := data.HashOf([]byte{byte(i)})
		b = append(append(b, target[:]...), 0, 0, 3, byte(10+i))
		b = binary.BigEndian.AppendUint32(b, uint32(now.Add(time.Hour).Unix()))
	}
	b = append(b, byte(revocations))
	for i := range revocations {
		h := data.HashOf([]byte{byte(100 + i)})
		b = append(b, h[:]...)
	}
	return d, append(b, key.Sign(b)...)[1:]
}

func TestMetaLeaseSet(t *testing.T) {
	key := signingKey(t, signature.Ed25519)
	d, b := metaLeaseSet(t, key, 3, 2)
	entry, err := data.ParseLeaseSetEntry(data.TypeMetaLeaseSet, b)
	if err != nil {
		t.Fatal(err)
	}
	ls := entry.(*data.MetaLeaseSet)
	if err := ls.Verify(); err != nil {
		t.Error(err)
	}
	if ls.Key() != d.Hash() || !ls.Options().IsEmpty() || ls.Expires().Sub(ls.Published()) != 65535*time.Second {
		t.Errorf("%v, from %v to %v", ls.Key(), ls.Published(), ls.Expires())
	}
	l := ls.Leases()
	if len(l) != 3 || l[2].Target != data.HashOf([]byte{2}) || l[2].Flags != 3 || l[2].Cost != 12 || !l[2].Expires.Equal(now.Add(time.Hour).Truncate(time.Second)) {
		t.Errorf("%+v", l)
	}
	if r := ls.Revocations(); len(r) != 2 || r[1] != data.HashOf([]byte{101}) {
		t.Errorf("%v", r)
	}
	b[len(b)-1] ^= 1
	if ls, err := data.ParseMetaLeaseSet(b); err != nil || !errors.Is(ls.Verify(), data.ErrSignature) {
		t.Errorf("changed: %v", err)
	}
}

func TestMetaLeaseSetRejects(t *testing.T) {
	key := signingKey(t, signature.Ed25519)
	_, none := metaLeaseSet(t, key, 0, 0)
	_, good := metaLeaseSet(t, key, 1, 1)
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"no leases":           {none, data.ErrMalformed},
		"bytes after the end": {append(bytes.Clone(good), 0), wire.ErrTrailing},
		"a short end":         {good[:len(good)-1], wire.ErrShort},
	} {
		if _, err := data.ParseMetaLeaseSet(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzMetaLeaseSet(f *testing.F) {
	_, b := metaLeaseSet(f, signingKey(f, signature.Ed25519), 2, 1)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) { checkEntry(t, data.TypeMetaLeaseSet, b) })
}
