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

// oldLeaseSet writes a LeaseSet of type 1, which only tests still do.
func oldLeaseSet(tb testing.TB, kind signature.Type, ends ...time.Time) (*data.Destination, []byte) {
	tb.Helper()
	key := signingKey(tb, kind)
	d := destination(tb, key)
	b := append(bytes.Clone(d.Bytes()), bytes.Repeat([]byte{7}, 256)...)
	b = append(b, make([]byte, kind.PublicKeyLen())...)
	b = append(b, byte(len(ends)))
	for i, end := range ends {
		gateway := data.HashOf([]byte{byte(i)})
		b = append(b, gateway[:]...)
		b = binary.BigEndian.AppendUint32(b, uint32(i+1))
		b = binary.BigEndian.AppendUint64(b, uint64(end.UnixMilli()))
	}
	return d, append(b, key.Sign(b)...)
}

func TestOldLeaseSet(t *testing.T) {
	ends := []time.Time{now.Add(8 * time.Minute), now.Add(5 * time.Minute), now.Add(9 * time.Minute)}
	for _, kind := range []signature.Type{signature.ECDSAP256, signature.Ed25519, signature.ECDSAP521} {
		d, b := oldLeaseSet(t, kind, ends...)
		entry, err := data.ParseLeaseSetEntry(data.TypeLeaseSet, b)
		if err != nil {
			t.Fatal(err)
		}
		ls := entry.(*data.LeaseSet)
		if err := ls.Verify(); err != nil {
			t.Errorf("%v: %v", kind, err)
		}
		if ls.Type() != data.TypeLeaseSet || ls.Key() != d.Hash() || !bytes.Equal(ls.Bytes(), b) || ls.Unpublished() || !ls.Destination().Equal(&d.KeysAndCert) {
			t.Errorf("%v: %v", kind, ls.Key())
		}
		if !ls.Published().Equal(ends[1]) || !ls.Expires().Equal(ends[2]) {
			t.Errorf("%v: from %v to %v", kind, ls.Published(), ls.Expires())
		}
		l := ls.Leases()
		if len(l) != 3 || l[2].TunnelID != 3 || l[2].Gateway != data.HashOf([]byte{2}) || !l[2].Expires.Equal(ends[2]) || len(ls.EncryptionKey()) != 256 {
			t.Errorf("%v: %+v", kind, l)
		}
		b[len(d.Bytes())]++
		if changed, err := data.ParseLeaseSet(b); err != nil || !errors.Is(changed.Verify(), data.ErrSignature) {
			t.Errorf("%v: changed: %v", kind, err)
		}
	}
}

func TestOldLeaseSetRejects(t *testing.T) {
	_, good := oldLeaseSet(t, signature.Ed25519, now)
	_, many := oldLeaseSet(t, signature.Ed25519, make([]time.Time, 17)...)
	_, far := oldLeaseSet(t, signature.Ed25519, time.UnixMilli(1<<60))
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"17 leases":           {many, data.ErrTooLong},
		"far dates":           {far, data.ErrMalformed},
		"bytes after the end": {append(bytes.Clone(good), 0), wire.ErrTrailing},
		"a short end":         {good[:len(good)-1], wire.ErrShort},
		"too many bytes":      {make([]byte, data.MaxLeaseSet+1), data.ErrTooLong},
	} {
		if _, err := data.ParseLeaseSet(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if entry, err := data.ParseLeaseSetEntry(data.TypeRouterInfo, good); !errors.Is(err, data.ErrUnsupported) || entry != nil {
		t.Errorf("a router: %v", err)
	}
	if entry, err := data.ParseLeaseSetEntry(data.TypeLeaseSet2, good[:9]); err == nil || entry != nil {
		t.Errorf("a short LeaseSet2: %v, %v", entry, err)
	}
}

// checkEntry is what must hold for whatever parses.
func checkEntry(t *testing.T, kind data.EntryType, b []byte) data.LeaseSetEntry {
	t.Helper()
	entry, err := data.ParseLeaseSetEntry(kind, b)
	if err != nil {
		return nil
	}
	if entry.Type() != kind || !bytes.Equal(entry.Bytes(), b) {
		t.Errorf("type %d: %x became %x", kind, b, entry.Bytes())
	}
	entry.Key()
	entry.Unpublished()
	if entry.Published().Year() > 9999 || entry.Expires().Year() > 9999 {
		t.Errorf("from %v to %v", entry.Published(), entry.Expires())
	}
	_ = entry.Verify()
	return entry
}

func FuzzLeaseSet(f *testing.F) {
	_, b := oldLeaseSet(f, signature.Ed25519, now, now.Add(time.Minute))
	f.Add(b)
	_, b = oldLeaseSet(f, signature.ECDSAP521)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) { checkEntry(t, data.TypeLeaseSet, b) })
}
