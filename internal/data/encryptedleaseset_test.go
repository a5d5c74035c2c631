package data_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/random"
	"allium/internal/signature"
	"allium/internal/wire"
	"allium/internal/x25519"
)

// clientKeys are keys that clients keep, and what the server knows of them.
func clientKeys(scheme data.ClientScheme, n int) (clients, server [][32]byte) {
	for range n {
		pair := x25519.Generate()
		clients = append(clients, pair.Private)
		if scheme == data.ClientDH {
			server = append(server, pair.Public)
		} else {
			server = append(server, pair.Private)
		}
	}
	return clients, server
}

func encrypted(tb testing.TB, key signature.PrivateKey, e data.Encryption) (data.LeaseSet2Content, *data.EncryptedLeaseSet) {
	tb.Helper()
	c := leaseSetContent(tb, key)
	ls, err := data.SignEncryptedLeaseSet(key, c, e)
	if err != nil {
		tb.Fatal(err)
	}
	entry, err := data.ParseLeaseSetEntry(data.TypeEncryptedLeaseSet, ls.Bytes())
	if err != nil {
		tb.Fatal(err)
	}
	return c, entry.(*data.EncryptedLeaseSet)
}

func blinding(tb testing.TB, d *data.Destination, secret string) data.Blinding {
	tb.Helper()
	b, err := d.Blinding(secret)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestEncryptedLeaseSetIsOpenedByWhomItIsFor(t *testing.T) {
	for _, kind := range []signature.Type{signature.Ed25519, signature.RedDSA} {
		for _, scheme := range []data.ClientScheme{data.Everybody, data.ClientDH, data.ClientPSK} {
			for _, secret := range []string{"", "mellon"} {
				n := 3
				if scheme == data.Everybody {
					n = 0
				}
				clients, server := clientKeys(scheme, n)
				c, ls := encrypted(t, signingKey(t, kind), data.Encryption{Secret: secret, Scheme: scheme, Clients: server})
				if err := ls.Verify(); err != nil {
					t.Fatal(err)
				}
				b := blinding(t, c.Destination, secret)
				if key, err := b.StoreKey(now); err != nil || key != ls.Key() {
					t.Errorf("looked for at %v, %v", key, err)
				}
				open := []*[32]byte{nil}
				if n > 0 {
					open = []*[32]byte{&clients[0], &clients[1], &clients[2]}
				}
				for _, client := range open {
					entry, err := ls.Decrypt(b, client)
					if err != nil {
						t.Fatalf("%v, scheme %d: %v", kind, scheme, err)
					}
					inner := entry.(*data.LeaseSet2)
					if !inner.Destination().Equal(&c.Destination.KeysAndCert) || !slices.Equal(inner.Leases(), c.Leases) || !inner.BlindedWhenPublished() {
						t.Errorf("%v, scheme %d: %+v", kind, scheme, inner)
					}
				}
			}
		}
	}
}

func TestEncryptedLeaseSetIsClosedToOthers(t *testing.T) {
	for _, scheme := range []data.ClientScheme{data.ClientDH, data.ClientPSK} {
		_, server := clientKeys(scheme, 2)
		c, ls := encrypted(t, signingKey(t, signature.Ed25519), data.Encryption{Secret: "mellon", Scheme: scheme, Clients: server})
		b := blinding(t, c.Destination, "mellon")
		stranger := [32]byte(x25519.Generate().Private)
		if _, err := ls.Decrypt(b, nil); !errors.Is(err, data.ErrClientKey) {
			t.Errorf("without a key: %v", err)
		}
		if _, err := ls.Decrypt(b, &stranger); !errors.Is(err, data.ErrClientKey) {
			t.Errorf("with another key: %v", err)
		}
		if _, err := ls.Decrypt(blinding(t, c.Destination, "melon"), &server[0]); !errors.Is(err, data.ErrBlinding) {
			t.Errorf("with another secret: %v", err)
		}
		other := destination(t, signingKey(t, signature.Ed25519))
		if _, err := ls.Decrypt(blinding(t, other, "mellon"), &server[0]); !errors.Is(err, data.ErrBlinding) {
			t.Errorf("as another destination: %v", err)
		}
	}
}

func TestEncryptedLeaseSetMovesAtMidnight(t *testing.T) {
	b := blinding(t, destination(t, signingKey(t, signature.Ed25519)), "")
	storeKey := func(at string) data.Hash {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		key, err := b.StoreKey(when)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	before, after := storeKey("2026-11-23T00:00:00Z"), storeKey("2026-11-24T00:00:00Z")
	if before == after {
		t.Error("it does not")
	}
	for at, want := range map[string]data.Hash{"2026-11-23T23:59:59Z": before, "2026-11-24T00:30:00+01:00": before, "2026-11-23T23:00:00-01:00": after} {
		if storeKey(at) != want {
			t.Errorf("%s belongs to the other day", at)
		}
	}
}

func TestNoByteOfAnEncryptedLeaseSetCanBeChanged(t *testing.T) {
	_, ls := encrypted(t, signingKey(t, signature.Ed25519), data.Encryption{})
	b := ls.Bytes()
	for i := 0; i < len(b); i += 3 {
		changed := bytes.Clone(b)
		changed[i] ^= 1
		ls, err := data.ParseEncryptedLeaseSet(changed)
		if err == nil {
			err = ls.Verify()
		}
		if err == nil {
			t.Errorf("byte %d can", i)
		}
	}
}

func TestEncryptedLeaseSetHidesClients(t *testing.T) {
	key := signingKey(t, signature.Ed25519)
	_, server := clientKeys(data.ClientPSK, 40)
	c, first := encrypted(t, key, data.Encryption{Scheme: data.ClientPSK, Clients: server})
	again, err := data.SignEncryptedLeaseSet(key, c, data.Encryption{Scheme: data.ClientPSK, Clients: server})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(first.Bytes()); n != len(again.Bytes()) || bytes.Equal(first.Bytes()[44:76], again.Bytes()[44:76]) {
		t.Errorf("%d and %d bytes", n, len(again.Bytes()))
	}
	if bytes.Contains(first.Bytes(), c.Destination.SigningKey()) || bytes.Contains(first.Bytes(), c.Leases[0].Gateway[:]) {
		t.Error("the inside shows")
	}
}

func TestSignEncryptedLeaseSetRejects(t *testing.T) {
	key, p256 := signingKey(t, signature.Ed25519), signingKey(t, signature.ECDSAP256)
	_, many := clientKeys(data.ClientPSK, 90)
	_, more := clientKeys(data.ClientPSK, 110)
	offline := leaseSetContent(t, key)
	o, err := data.NewOfflineSignature(key, now.Add(time.Hour), signature.Ed25519, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	offline.Offline = &o
	for name, c := range map[string]struct {
		key     signature.PrivateKey
		content data.LeaseSet2Content
		e       data.Encryption
		want    error
	}{
		"keys that cannot be blinded": {p256, leaseSetContent(t, p256), data.Encryption{}, data.ErrUnsupported},
		"offline signatures":          {key, offline, data.Encryption{}, data.ErrUnsupported},
		"another's key":               {signingKey(t, signature.Ed25519), leaseSetContent(t, key), data.Encryption{}, data.ErrKeyMismatch},
		"clients for everybody":       {key, leaseSetContent(t, key), data.Encryption{Clients: many[:1]}, data.ErrUnsupported},
		"unknown schemes":             {key, leaseSetContent(t, key), data.Encryption{Scheme: 5, Clients: many[:1]}, data.ErrUnsupported},
		"schemes without clients":     {key, leaseSetContent(t, key), data.Encryption{Scheme: data.ClientDH}, data.ErrTooLong},
		"too many clients":            {key, leaseSetContent(t, key), data.Encryption{Scheme: data.ClientPSK, Clients: many}, data.ErrTooLong},
		"far too many clients":        {key, leaseSetContent(t, key), data.Encryption{Scheme: data.ClientPSK, Clients: more}, data.ErrTooLong},
		"client keys that are none":   {key, leaseSetContent(t, key), data.Encryption{Scheme: data.ClientDH, Clients: make([][32]byte, 1)}, data.ErrMalformed},
	} {
		if _, err := data.SignEncryptedLeaseSet(c.key, c.content, c.e); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEncryptedLeaseSetRejects(t *testing.T) {
	_, ls := encrypted(t, signingKey(t, signature.Ed25519), data.Encryption{})
	good := ls.Bytes()
	change := func(at int, to ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], to)
		return b
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"other blinded keys":    {change(0, 0, 7), data.ErrUnsupported},
		"little inside":         {change(42, 0, 23), data.ErrMalformed},
		"a lot inside":          {change(42, 0x10, 1), data.ErrMalformed},
		"more inside than is":   {change(42, 0x0F, 0xFF), wire.ErrShort},
		"bytes after the end":   {append(bytes.Clone(good), 0), wire.ErrTrailing},
		"a short end":           {good[:len(good)-1], wire.ErrShort},
		"an offline block gone": {change(40, 0, 1), data.ErrUnsupported},
	} {
		if _, err := data.ParseEncryptedLeaseSet(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecryptLooksAtWhatIsInside(t *testing.T) {
	key := signingKey(t, signature.Ed25519)
	d, meta := metaLeaseSet(t, key, 1, 0)
	c := leaseSetContent(t, key)
	c.Destination = d
	ls, err := data.SignEncryptedLeaseSet(key, c, data.Encryption{})
	if err != nil {
		t.Fatal(err)
	}
	b := blinding(t, d, "")
	inside := func(kind data.EntryType, set []byte) (data.LeaseSetEntry, error) {
		return data.WithInner(ls, b, append([]byte{byte(kind)}, set...)).Decrypt(b, nil)
	}
	if entry, err := inside(data.TypeMetaLeaseSet, meta); err != nil || entry.Key() != d.Hash() {
		t.Errorf("meta: %v", err)
	}
	changed := bytes.Clone(meta)
	changed[len(changed)-1] ^= 1
	_, old := oldLeaseSet(t, signature.Ed25519, now)
	for name, c := range map[string]struct {
		kind data.EntryType
		set  []byte
		want error
	}{
		"of another destination": {data.TypeLeaseSet2, leaseSet2(t, signature.Ed25519).Bytes(), data.ErrSignature},
		"changed":                {data.TypeMetaLeaseSet, changed, data.ErrSignature},
		"of another type":        {data.TypeLeaseSet, old, data.ErrUnsupported},
		"padded":                 {data.TypeMetaLeaseSet, append(bytes.Clone(meta), 0), wire.ErrTrailing},
		"cut":                    {data.TypeLeaseSet2, meta[:300], wire.ErrShort},
	} {
		if entry, err := inside(c.kind, c.set); !errors.Is(err, c.want) || entry != nil {
			t.Errorf("%s: %v, %v", name, entry, err)
		}
	}
}

func TestClientSchemesAreThoseWeKnow(t *testing.T) {
	c, ls := encrypted(t, signingKey(t, signature.Ed25519), data.Encryption{})
	b := blinding(t, c.Destination, "")
	var client [32]byte
	for flags, want := range map[byte]error{2: data.ErrUnsupported, 5: data.ErrUnsupported, 9: data.ErrUnsupported, 1: data.ErrMalformed, 3: data.ErrClientKey, 0xF3: data.ErrClientKey} {
		layer1 := append([]byte{flags}, make([]byte, 32+2+1)...)
		if _, err := data.WithLayer1(ls, b, layer1).Decrypt(b, &client); !errors.Is(err, want) {
			t.Errorf("flags %#x: %v", flags, err)
		}
	}
}

func TestClientsAreInNoOrder(t *testing.T) {
	key := signingKey(t, signature.Ed25519)
	_, server := clientKeys(data.ClientPSK, 8)
	places := map[int]bool{}
	for range 20 {
		c, ls := encrypted(t, key, data.Encryption{Scheme: data.ClientPSK, Clients: server})
		places[data.ClientPlace(ls, blinding(t, c.Destination, ""), server[0])] = true
	}
	if len(places) < 3 || places[-1] {
		t.Errorf("a client is always at %v", places)
	}
}

// TestRandomLayersDoNotOpen opens random bytes: whoever owns the blinded key
// can sign anything.
func TestRandomLayersDoNotOpen(t *testing.T) {
	key := signingKey(t, signature.Ed25519)
	c, ls := encrypted(t, key, data.Encryption{})
	b := blinding(t, c.Destination, "")
	client := [32]byte(x25519.Generate().Private)
	for i := range 2000 {
		raw := bytes.Clone(ls.Bytes())
		n := 24 + random.IntN(200)
		random.Fill(raw[44 : 44+n])
		raw[42], raw[43] = byte(n>>8), byte(n)
		raw = append(raw[:44+n], make([]byte, 64)...)
		damaged, err := data.ParseEncryptedLeaseSet(raw)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := damaged.Decrypt(b, &client); err == nil {
			t.Errorf("%d opens", i)
		}
	}
}

func FuzzEncryptedLeaseSet(f *testing.F) {
	for _, fields := range javaVectors(f, "encryptedleaseset", 6) {
		f.Add(decode(f, fields[5]), decode(f, fields[2]))
	}
	fields := javaVectors(f, "encryptedleaseset", 6)[0]
	d, err := data.ParseDestinationBase64(fields[3])
	if err != nil {
		f.Fatal(err)
	}
	b := blinding(f, d, "")
	f.Fuzz(func(t *testing.T, raw, client []byte) {
		ls, ok := checkEntry(t, data.TypeEncryptedLeaseSet, raw).(*data.EncryptedLeaseSet)
		if !ok || len(client) < 32 {
			return
		}
		// An honest blinded key gets us past the first check.
		_, _ = ls.Decrypt(b, (*[32]byte)(client))
	})
}

func FuzzClients(f *testing.F) {
	c, ls := encrypted(f, signingKey(f, signature.Ed25519), data.Encryption{})
	b := blinding(f, c.Destination, "")
	f.Add([]byte{0}, make([]byte, 32))
	f.Add(append([]byte{1}, make([]byte, 34+80+33)...), make([]byte, 32))
	f.Add(append(append([]byte{3}, make([]byte, 32)...), 0xFF, 0xFF), make([]byte, 32))
	f.Fuzz(func(t *testing.T, layer1, client []byte) {
		if len(client) < 32 {
			return
		}
		if _, err := data.WithLayer1(ls, b, layer1).Decrypt(b, (*[32]byte)(client)); err == nil {
			t.Errorf("%x opens", layer1)
		}
	})
}

func BenchmarkEncryptedLeaseSetDecrypt(b *testing.B) {
	clients, server := clientKeys(data.ClientDH, 10)
	c, ls := encrypted(b, signingKey(b, signature.Ed25519), data.Encryption{Scheme: data.ClientDH, Clients: server})
	blinding := blinding(b, c.Destination, "")
	for b.Loop() {
		if _, err := ls.Decrypt(blinding, &clients[0]); err != nil {
			b.Fatal(err)
		}
	}
}
