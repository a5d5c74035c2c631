package data_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/signature"
	"allium/internal/wire"
)

// leaseSetContent is a Destination with two leases.
func leaseSetContent(tb testing.TB, key signature.PrivateKey) data.LeaseSet2Content {
	tb.Helper()
	return data.LeaseSet2Content{
		Destination: destination(tb, key),
		Published:   now,
		Options:     mapping(tb, "_smtp._tcp", "0 999999 25"),
		Keys: []data.EncryptionKey{
			{Type: 0x1234, Key: []byte("of tomorrow")},
			{Type: data.MLKEM768X25519, Key: bytes.Repeat([]byte{6}, 32)},
			{Type: data.X25519, Key: bytes.Repeat([]byte{4}, 32)},
		},
		Leases: []data.Lease{
			{Gateway: data.HashOf([]byte{1}), TunnelID: 1, Expires: now.Add(9 * time.Minute).Truncate(time.Second)},
			{Gateway: data.HashOf([]byte{2}), TunnelID: 2, Expires: now.Add(10 * time.Minute).Truncate(time.Second)},
		},
	}
}

func leaseSet2(tb testing.TB, kind signature.Type) *data.LeaseSet2 {
	tb.Helper()
	key := signingKey(tb, kind)
	ls, err := data.SignLeaseSet2(key, leaseSetContent(tb, key))
	if err != nil {
		tb.Fatal(err)
	}
	return ls
}

func TestLeaseSet2IsReadBack(t *testing.T) {
	for _, kind := range destinationTypes {
		key := signingKey(t, kind)
		c := leaseSetContent(t, key)
		signed, err := data.SignLeaseSet2(key, c)
		if err != nil {
			t.Fatal(err)
		}
		entry, err := data.ParseLeaseSetEntry(data.TypeLeaseSet2, signed.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		ls := entry.(*data.LeaseSet2)
		if err := ls.Verify(); err != nil {
			t.Errorf("%v: %v", kind, err)
		}
		if ls.Key() != c.Destination.Hash() || !slices.Equal(ls.Leases(), c.Leases) || ls.Options().String() != c.Options.String() {
			t.Errorf("%v: %+v", kind, ls)
		}
		if !ls.Published().Equal(now.Truncate(time.Second)) || !ls.Expires().Equal(c.Leases[1].Expires) {
			t.Errorf("%v: from %v to %v", kind, ls.Published(), ls.Expires())
		}
		if ls.Unpublished() || ls.BlindedWhenPublished() || ls.Offline() != nil || len(ls.EncryptionKeys()) != 3 {
			t.Errorf("%v: %+v", kind, ls)
		}
		if k, ok := ls.EncryptionKey(data.X25519, data.MLKEM768X25519); !ok || k.Type != data.MLKEM768X25519 || k.Key[0] != 6 {
			t.Errorf("%v: not the key its owner likes best: %+v", kind, k)
		}
		if _, ok := ls.EncryptionKey(data.ElGamal); ok {
			t.Errorf("%v: ElGamal", kind)
		}
	}
}

func TestNoByteOfALeaseSet2CanBeChanged(t *testing.T) {
	b := leaseSet2(t, signature.Ed25519).Bytes()
	for i := range b {
		changed := bytes.Clone(b)
		changed[i] ^= 1
		ls, err := data.ParseLeaseSet2(changed)
		if err == nil {
			err = ls.Verify()
		}
		if err == nil {
			t.Errorf("byte %d can", i)
		}
	}
}

func TestSignatureCoversTheType(t *testing.T) {
	key := signingKey(t, signature.Ed25519)
	c := leaseSetContent(t, key)
	ls, err := data.SignLeaseSet2(key, c)
	if err != nil {
		t.Fatal(err)
	}
	b := ls.Bytes()
	signed := b[:len(b)-64]
	if !c.Destination.Verify(append([]byte{3}, signed...), b[len(b)-64:]) || c.Destination.Verify(signed, b[len(b)-64:]) {
		t.Error("it does not")
	}
}

func TestUnpublishedLeaseSet2(t *testing.T) {
	key := signingKey(t, signature.Ed25519)
	c := leaseSetContent(t, key)
	c.Unpublished = true
	ls, err := data.SignLeaseSet2(key, c)
	if err != nil || !ls.Unpublished() {
		t.Errorf("%v", err)
	}
}

func TestLeaseSet2WithoutLeasesEndsAtOnce(t *testing.T) {
	key := signingKey(t, signature.Ed25519)
	c := leaseSetContent(t, key)
	c.Leases = nil
	ls, err := data.SignLeaseSet2(key, c)
	if err != nil || !ls.Expires().Equal(ls.Published()) || ls.Verify() != nil {
		t.Errorf("%v", err)
	}
}

func TestOfflineSignature(t *testing.T) {
	for _, kinds := range [][2]signature.Type{{signature.Ed25519, signature.Ed25519}, {signature.ECDSAP521, signature.RedDSA}, {signature.Ed25519, signature.ECDSAP256}} {
		key, transient := signingKey(t, kinds[0]), signingKey(t, kinds[1])
		c := leaseSetContent(t, key)
		o, err := data.NewOfflineSignature(key, now.Add(time.Hour), transient.Type(), transient.Public())
		if err != nil {
			t.Fatal(err)
		}
		c.Offline = &o
		signed, err := data.SignLeaseSet2(transient, c)
		if err != nil {
			t.Fatal(err)
		}
		ls, err := data.ParseLeaseSet2(signed.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if err := ls.Verify(); err != nil {
			t.Errorf("%v: %v", kinds, err)
		}
		got := ls.Offline()
		if got == nil || got.Type != kinds[1] || !bytes.Equal(got.Key, transient.Public()) || !got.Expires.Equal(now.Add(time.Hour).Truncate(time.Second)) {
			t.Errorf("%v: %+v", kinds, got)
		}
		if d := c.Destination; !d.VerifyOffline(got, got.Expires) || d.VerifyOffline(got, got.Expires.Add(1)) {
			t.Errorf("%v: end of the offline signature", kinds)
		}
		if _, err := data.SignLeaseSet2(key, c); !errors.Is(err, data.ErrKeyMismatch) {
			t.Errorf("%v: signed by the wrong key: %v", kinds, err)
		}
	}
}

func TestOfflineSignatureOfAnotherIsRefused(t *testing.T) {
	key, other, transient := signingKey(t, signature.Ed25519), signingKey(t, signature.Ed25519), signingKey(t, signature.Ed25519)
	c := leaseSetContent(t, key)
	forged, err := data.NewOfflineSignature(other, now.Add(time.Hour), transient.Type(), transient.Public())
	if err != nil {
		t.Fatal(err)
	}
	c.Offline = &forged
	ls, err := data.SignLeaseSet2(transient, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := ls.Verify(); !errors.Is(err, data.ErrSignature) {
		t.Errorf("forged: %v", err)
	}
	expired, err := data.NewOfflineSignature(key, now.Add(-time.Second), transient.Type(), transient.Public())
	if err != nil {
		t.Fatal(err)
	}
	c.Offline = &expired
	if _, err := data.SignLeaseSet2(transient, c); !errors.Is(err, data.ErrLifetime) {
		t.Errorf("expired: %v", err)
	}
	for name, kind := range map[string]signature.Type{"files": signature.Ed25519ph, "tomorrow": 20, "another length": signature.ECDSAP256} {
		if _, err := data.NewOfflineSignature(key, now, kind, transient.Public()); !errors.Is(err, data.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestExpiredOfflineSignatureInALeaseSet2IsRefused(t *testing.T) {
	key, transient := signingKey(t, signature.Ed25519), signingKey(t, signature.Ed25519)
	c := leaseSetContent(t, key)
	o, err := data.NewOfflineSignature(key, now.Add(time.Hour), transient.Type(), transient.Public())
	if err != nil {
		t.Fatal(err)
	}
	c.Offline = &o
	ls, err := data.SignLeaseSet2(transient, c)
	if err != nil {
		t.Fatal(err)
	}
	// Made later than the block allows, all signatures being right.
	b := append([]byte{3}, ls.Bytes()...)
	b = b[:len(b)-64]
	at := 1 + 391
	b[at+1]++ // 18 hours later
	b = append(b, transient.Sign(b)...)
	late, err := data.ParseLeaseSet2(b[1:])
	if err != nil {
		t.Fatal(err)
	}
	if err := late.Verify(); !errors.Is(err, data.ErrLifetime) {
		t.Errorf("%v", err)
	}
}

func TestSignLeaseSet2Rejects(t *testing.T) {
	key := signingKey(t, signature.Ed25519)
	lease := func(end time.Duration) []data.Lease {
		return []data.Lease{{TunnelID: 1, Expires: now.Add(end)}}
	}
	for name, c := range map[string]struct {
		spoil func(c *data.LeaseSet2Content)
		want  error
	}{
		"leases that have ended":  {func(c *data.LeaseSet2Content) { c.Leases = lease(-time.Second) }, data.ErrLifetime},
		"a lease that has ended":  {func(c *data.LeaseSet2Content) { c.Leases = append(c.Leases, lease(-time.Second)...) }, data.ErrLifetime},
		"leases that last":        {func(c *data.LeaseSet2Content) { c.Leases = lease(12 * time.Minute) }, data.ErrLifetime},
		"dates before all dates":  {func(c *data.LeaseSet2Content) { c.Published = time.Time{}; c.Leases = nil }, data.ErrLifetime},
		"dates after all dates":   {func(c *data.LeaseSet2Content) { c.Published = time.Unix(1<<32, 0); c.Leases = nil }, data.ErrLifetime},
		"17 leases":               {func(c *data.LeaseSet2Content) { c.Leases = slices.Repeat(lease(time.Minute), 17) }, data.ErrTooLong},
		"tunnel 0":                {func(c *data.LeaseSet2Content) { c.Leases[0].TunnelID = 0 }, data.ErrMalformed},
		"no keys":                 {func(c *data.LeaseSet2Content) { c.Keys = nil }, data.ErrMalformed},
		"9 keys":                  {func(c *data.LeaseSet2Content) { c.Keys = slices.Repeat(c.Keys, 3) }, data.ErrTooLong},
		"short keys":              {func(c *data.LeaseSet2Content) { c.Keys[2].Key = c.Keys[2].Key[1:] }, data.ErrMalformed},
		"another destination":     {func(c *data.LeaseSet2Content) { c.Destination = destination(t, signingKey(t, signature.Ed25519)) }, data.ErrKeyMismatch},
		"more bytes than welcome": {func(c *data.LeaseSet2Content) { c.Keys[0].Key = make([]byte, 4000) }, data.ErrTooLong},
	} {
		content := leaseSetContent(t, key)
		c.spoil(&content)
		if _, err := data.SignLeaseSet2(key, content); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLeaseSet2Rejects(t *testing.T) {
	good := leaseSet2(t, signature.Ed25519).Bytes()
	keysAt := 391 + 8 + 2 + strings.Index(string(good[391+10:]), ";") + 1
	leasesAt := len(good) - 64 - 2*40 - 1
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"no keys":                    {change(keysAt, 0), data.ErrMalformed},
		"9 keys":                     {change(keysAt, 9), data.ErrMalformed},
		"17 leases":                  {change(leasesAt, 17), data.ErrTooLong},
		"more leases than there are": {change(leasesAt, 16), wire.ErrShort},
		"bytes after the end":        {append(bytes.Clone(good), 0), wire.ErrTrailing},
		"a short end":                {good[:len(good)-1], wire.ErrShort},
		"tunnel 0":                   {change(leasesAt+1+32+3, 0), data.ErrMalformed},
		"nothing":                    {nil, wire.ErrShort},
	} {
		if _, err := data.ParseLeaseSet2(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzLeaseSet2(f *testing.F) {
	f.Add(leaseSet2(f, signature.Ed25519).Bytes())
	for _, fields := range javaVectors(f, "leaseset2", 1) {
		f.Add(decode(f, fields[0]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if ls, ok := checkEntry(t, data.TypeLeaseSet2, b).(*data.LeaseSet2); ok {
			if len(ls.Leases()) > data.MaxLeases || len(ls.EncryptionKeys()) == 0 {
				t.Errorf("%d leases, %d keys", len(ls.Leases()), len(ls.EncryptionKeys()))
			}
			ls.EncryptionKey(data.X25519)
		}
	})
}
