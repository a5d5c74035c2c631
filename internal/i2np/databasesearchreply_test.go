package i2np_test

import (
	"bytes"
	"errors"
	"testing"

	"allium/internal/data"
	"allium/internal/i2np"
	"allium/internal/wire"
)

func TestSearchReplyStandsAsSpecified(t *testing.T) {
	reply := i2np.DatabaseSearchReply{
		Key:   hashOf(1),
		Peers: []data.Hash{hashOf(2), hashOf(3)},
		From:  hashOf(4),
	}
	want := bytes.Join([][]byte{repeated(1), {2}, repeated(2), repeated(3), repeated(4)}, nil)
	if got := reply.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("% x", got)
	}
	got, err := i2np.ParseDatabaseSearchReply(append(bytes.Clone(want), "ignored"...))
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, reply)
	for n := range want {
		if _, err := i2np.ParseDatabaseSearchReply(want[:n]); !errors.Is(err, wire.ErrShort) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestSearchReplyNamesNoneToTheMostItCan(t *testing.T) {
	for _, c := range []struct{ given, want int }{{0, 0}, {255, 255}, {256, 255}} {
		reply := i2np.DatabaseSearchReply{Peers: make([]data.Hash, c.given), From: hashOf(4)}
		got, err := i2np.ParseDatabaseSearchReply(reply.Append(nil))
		if err != nil || len(got.Peers) != c.want || got.From != hashOf(4) {
			t.Errorf("%d peers became %d, %v", c.given, len(got.Peers), err)
		}
	}
}

func FuzzParseDatabaseSearchReply(f *testing.F) {
	f.Add((&i2np.DatabaseSearchReply{Peers: []data.Hash{hashOf(2), hashOf(3)}}).Append(nil))
	f.Add(append(repeated(1), 255))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := i2np.ParseDatabaseSearchReply(b)
		if err == nil && !bytes.HasPrefix(b, s.Append(nil)) {
			t.Errorf("% x became % x", b, s.Append(nil))
		}
	})
}
