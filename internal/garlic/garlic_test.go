package garlic_test

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/i2np"
)

var start = time.Unix(1_790_000_000, 0)

// numbered is a clove that carries n and some filling.
func numbered(n, size int) garlic.Clove {
	body := binary.BigEndian.AppendUint32(nil, uint32(n))
	body = append(body, bytes.Repeat([]byte{byte(n)}, max(0, size-4))...)
	return garlic.Clove{
		Delivery: garlic.Delivery{Kind: garlic.ToDestination, Hash: data.Hash{1, 2, 3}},
		Message:  i2np.Message{Type: i2np.TypeData, ID: uint32(n) + 1, Expiration: start.Add(time.Minute).UTC(), Body: body},
	}
}

// number is what numbered put into the clove.
func number(t testing.TB, c garlic.Clove) int {
	t.Helper()
	if len(c.Message.Body) < 4 {
		t.Fatalf("body of %d bytes", len(c.Message.Body))
	}
	n := binary.BigEndian.Uint32(c.Message.Body)
	for _, b := range c.Message.Body[4:] {
		if b != byte(n) {
			t.Fatalf("body of clove %d damaged", n)
		}
	}
	return int(n)
}

// cloves of every kind of delivery.
func assorted() []garlic.Clove {
	local := numbered(1, 20)
	local.Delivery = garlic.Delivery{}
	router := numbered(3, 0)
	router.Delivery = garlic.Delivery{Kind: garlic.ToRouter, Hash: data.Hash{9}}
	tunnel := numbered(4, 500)
	tunnel.Delivery = garlic.Delivery{Kind: garlic.ToTunnel, Hash: data.Hash{8}, Tunnel: 0xdeadbeef}
	return []garlic.Clove{local, numbered(2, 4), router, tunnel}
}

func sameCloves(t testing.TB, got, want []garlic.Clove) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d cloves, want %d", len(got), len(want))
	}
	for i := range got {
		g, w := got[i].Message, want[i].Message
		if got[i].Delivery != want[i].Delivery || g.Type != w.Type || g.ID != w.ID ||
			!g.Expiration.Equal(w.Expiration) || !bytes.Equal(g.Body, w.Body) {
			t.Errorf("clove %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}
