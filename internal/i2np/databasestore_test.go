package i2np_test

import (
	"bytes"
	"errors"
	"testing"

	"allium/internal/data"
	"allium/internal/i2np"
	"allium/internal/wire"
)

// hashOf is a hash of 32 times b.
func hashOf(b byte) (h data.Hash) {
	copy(h[:], bytes.Repeat([]byte{b}, len(h)))
	return h
}

// repeated is hashOf in bytes.
func repeated(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func TestStoreOfRouterInfoStandsAsSpecified(t *testing.T) {
	want := bytes.Join([][]byte{
		repeated(1), {0}, {0, 0, 0, 9}, {0, 0, 0, 8}, repeated(2), {0, 4}, []byte("gzip"),
	}, nil)
	store := i2np.DatabaseStore{
		Key:          hashOf(1),
		Type:         i2np.StoreRouterInfo,
		ReplyToken:   9,
		ReplyTunnel:  8,
		ReplyGateway: hashOf(2),
		Data:         []byte("gzip"),
	}
	if got := store.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("% x", got)
	}
	got, err := i2np.ParseDatabaseStore(append(want, "ignored"...))
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, store)
	for n := range want {
		if _, err := i2np.ParseDatabaseStore(want[:n]); !errors.Is(err, wire.ErrShort) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestStoreOfLeaseSetStandsAsSpecified(t *testing.T) {
	for _, typ := range []i2np.StoreType{1, 3, 5, 7} {
		want := bytes.Join([][]byte{repeated(1), {byte(typ)}, {0, 0, 0, 0}, []byte("lease set")}, nil)
		// Without a token there is no room for where the reply goes to.
		store := i2np.DatabaseStore{Key: hashOf(1), Type: typ, ReplyTunnel: 8, ReplyGateway: hashOf(2), Data: []byte("lease set")}
		if got := store.Append(nil); !bytes.Equal(got, want) {
			t.Errorf("type %d: % x", typ, got)
		}
		got, err := i2np.ParseDatabaseStore(want)
		if err != nil {
			t.Fatal(err)
		}
		store.ReplyTunnel, store.ReplyGateway = 0, data.Hash{}
		same(t, got, store)
		if !got.Type.LeaseSet() || i2np.StoreRouterInfo.LeaseSet() {
			t.Error("LeaseSet tells the wrong types")
		}
	}
}

func TestOnlyTheLowerHalfOfTheStoreTypeCounts(t *testing.T) {
	body := (&i2np.DatabaseStore{Key: hashOf(1), Type: i2np.StoreLeaseSet2, Data: []byte("x")}).Append(nil)
	body[32] |= 0xf0
	if s, err := i2np.ParseDatabaseStore(body); err != nil || s.Type != i2np.StoreLeaseSet2 {
		t.Errorf("type %d, %v", s.Type, err)
	}
	for _, typ := range []byte{2, 4, 6, 8, 9, 11, 13, 15} {
		body[32] = typ
		if _, err := i2np.ParseDatabaseStore(body); !errors.Is(err, i2np.ErrMalformed) {
			t.Errorf("type %d: %v", typ, err)
		}
	}
}

func TestStoreDoesNotAppendWhatItCannotTell(t *testing.T) {
	store := i2np.DatabaseStore{Data: make([]byte, 65536)}
	if b := store.Append(nil); len(b) != 0 {
		t.Errorf("%d bytes appended", len(b))
	}
}

func TestStoreIsReadWithoutAllocating(t *testing.T) {
	store := i2np.DatabaseStore{Key: hashOf(1), ReplyToken: 9, ReplyGateway: hashOf(2), Data: make([]byte, 500)}
	body, out := store.Append(nil), make([]byte, 0, 1024)
	allocatesNothing(t, func() {
		s, err := i2np.ParseDatabaseStore(body)
		if err != nil || len(s.Append(out)) != len(body) {
			t.Fatal(err)
		}
	})
}

func FuzzParseDatabaseStore(f *testing.F) {
	f.Add((&i2np.DatabaseStore{Key: hashOf(1), ReplyToken: 9, ReplyGateway: hashOf(2), Data: []byte("gzip")}).Append(nil))
	f.Add((&i2np.DatabaseStore{Key: hashOf(1), Type: i2np.StoreLeaseSet2, Data: []byte("lease set")}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := i2np.ParseDatabaseStore(b)
		if err != nil {
			return
		}
		plain := bytes.Clone(b)
		plain[32] &= 0x0f
		if !bytes.HasPrefix(plain, s.Append(nil)) {
			t.Errorf("% x became % x", plain, s.Append(nil))
		}
	})
}
