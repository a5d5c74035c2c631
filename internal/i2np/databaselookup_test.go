package i2np_test

import (
	"bytes"
	"errors"
	"testing"

	"allium/internal/data"
	"allium/internal/i2np"
	"allium/internal/wire"
)

// sealedLookup asks for everything a lookup can ask for.
func sealedLookup() (i2np.DatabaseLookup, []byte) {
	lookup := i2np.DatabaseLookup{
		Key:         hashOf(1),
		From:        hashOf(2),
		Kind:        i2np.LookupLeaseSet,
		ReplyTunnel: 0x0a0b0c0d,
		Excluded:    []data.Hash{hashOf(3), hashOf(4)},
		ReplyKey:    (*[32]byte)(repeated(5)),
		ReplyTag:    &[8]byte{6, 6, 6, 6, 6, 6, 6, 6},
	}
	body := bytes.Join([][]byte{
		repeated(1), repeated(2), {0b1_0101}, {10, 11, 12, 13}, {0, 2}, repeated(3), repeated(4),
		repeated(5), {1}, {6, 6, 6, 6, 6, 6, 6, 6},
	}, nil)
	return lookup, body
}

func TestLookupWithEncryptedReplyStandsAsDeployed(t *testing.T) {
	lookup, want := sealedLookup()
	if got := lookup.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("% x", got)
	}
	got, err := i2np.ParseDatabaseLookup(append(bytes.Clone(want), "ignored"...))
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, lookup)
	for n := range want {
		if _, err := i2np.ParseDatabaseLookup(want[:n]); !errors.Is(err, wire.ErrShort) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestPlainLookupsStandAsSpecified(t *testing.T) {
	for kind, flags := range map[i2np.LookupKind]byte{
		i2np.LookupAny:         0b0000,
		i2np.LookupLeaseSet:    0b0100,
		i2np.LookupRouterInfo:  0b1000,
		i2np.LookupExploration: 0b1100,
	} {
		lookup := i2np.DatabaseLookup{Key: hashOf(1), From: hashOf(2), Kind: kind}
		want := bytes.Join([][]byte{repeated(1), repeated(2), {flags}, {0, 0}}, nil)
		if got := lookup.Append(nil); !bytes.Equal(got, want) {
			t.Errorf("kind %d: % x", kind, got)
		}
		got, err := i2np.ParseDatabaseLookup(want)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, lookup)
	}
}

func TestLookupForAnObsoleteReplyIsReadWithoutItsKeys(t *testing.T) {
	for name, extra := range map[string][]byte{
		"AES, one tag": bytes.Join([][]byte{{0b00_1010, 0, 1}, repeated(3), repeated(5), {1}, repeated(6)}, nil),
		"AES, no keys": bytes.Join([][]byte{{0b00_1010, 0, 1}, repeated(3)}, nil),
		"agreed key":   bytes.Join([][]byte{{0b01_1010, 0, 1}, repeated(3), repeated(5)}, nil),
	} {
		body := bytes.Join([][]byte{repeated(1), repeated(2), extra}, nil)
		got, err := i2np.ParseDatabaseLookup(body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		same(t, got, i2np.DatabaseLookup{
			Key: hashOf(1), From: hashOf(2), Kind: i2np.LookupRouterInfo,
			Excluded: []data.Hash{hashOf(3)}, ObsoleteReply: true,
		})
	}
}

func TestLookupTakesTheFirstOfSeveralTagsButNeedsOne(t *testing.T) {
	_, body := sealedLookup()
	count := len(body) - 9
	body[count] = 2
	got, err := i2np.ParseDatabaseLookup(append(bytes.Clone(body), make([]byte, 8)...))
	if err != nil || *got.ReplyTag != [8]byte{6, 6, 6, 6, 6, 6, 6, 6} {
		t.Errorf("two tags: %v, %v", got.ReplyTag, err)
	}
	body[count] = 0
	if _, err := i2np.ParseDatabaseLookup(body); !errors.Is(err, i2np.ErrMalformed) {
		t.Errorf("no tag: %v", err)
	}
}

func TestLookupExcludesNoMoreThanAllowed(t *testing.T) {
	lookup := i2np.DatabaseLookup{Excluded: make([]data.Hash, i2np.MaxExcluded+1)}
	body := lookup.Append(nil)
	got, err := i2np.ParseDatabaseLookup(body)
	if err != nil || len(got.Excluded) != i2np.MaxExcluded {
		t.Errorf("%d excluded, %v", len(got.Excluded), err)
	}
	body[66]++
	if _, err := i2np.ParseDatabaseLookup(append(body, make([]byte, 32)...)); !errors.Is(err, i2np.ErrMalformed) {
		t.Errorf("one more: %v", err)
	}
}

func FuzzParseDatabaseLookup(f *testing.F) {
	_, sealed := sealedLookup()
	f.Add(sealed)
	f.Add((&i2np.DatabaseLookup{Kind: i2np.LookupExploration, Excluded: []data.Hash{hashOf(3)}}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := i2np.ParseDatabaseLookup(b)
		if err != nil {
			return
		}
		l.ObsoleteReply = false
		again, err := i2np.ParseDatabaseLookup(l.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		same(t, again, l)
	})
}

func BenchmarkParseDatabaseLookup(b *testing.B) {
	_, body := sealedLookup()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := i2np.ParseDatabaseLookup(body); err != nil {
			b.Fatal(err)
		}
	}
}
