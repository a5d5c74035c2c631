package block_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"allium/internal/i2np"
	"allium/internal/transport/block"
	"allium/internal/wire"

	"github.com/google/go-cmp/cmp"
)

var (
	now     = time.Unix(1700000000, 0).UTC()
	message = i2np.Message{Type: i2np.TypeDeliveryStatus, ID: 7, Expiration: now, Body: []byte("hello")}
)

// stands fails unless a block is what the hexadecimal digits say.
func stands(t *testing.T, got []byte, want string) {
	t.Helper()
	if hex.EncodeToString(got) != want {
		t.Errorf("%x, not %s", got, want)
	}
}

// only gives the data of the single block of a payload.
func only(t *testing.T, payload []byte, typ block.Type) []byte {
	t.Helper()
	r := block.NewReader(payload)
	if !r.Next() || r.Type != typ {
		t.Fatalf("block of type %v, %v", r.Type, r.Err())
	}
	data := r.Data
	if r.Next() || r.Err() != nil {
		t.Fatalf("another block of type %v, %v", r.Type, r.Err())
	}
	return data
}

// everything is a payload with a block of each type, and one of type 240,
// which nobody knows.
func everything() []byte {
	b := block.AppendDateTime(nil, now)
	b = block.AppendOptions(b, block.Options{SendMax: 16})
	b = block.AppendRouterInfo(b, []byte("router"), true)
	b = append(b, 240, 0, 2, 1, 2)
	b = block.AppendI2NP(b, message)
	b = block.AppendI2NP(b, message)
	b = block.AppendTermination(b, block.TypeTerminationNTCP2, block.Termination{Received: 9, Reason: block.IdleTimeout})
	return block.AppendPadding(b, 10)
}

func TestReaderGivesAllBlocksInOrder(t *testing.T) {
	type found struct {
		Type block.Type
		Size int
	}
	var got []found
	r := block.NewReader(everything())
	for r.Next() {
		got = append(got, found{r.Type, len(r.Data)})
	}
	if r.Err() != nil {
		t.Error(r.Err())
	}
	want := []found{{0, 4}, {1, 12}, {2, 7}, {240, 2}, {3, 14}, {3, 14}, {4, 9}, {254, 10}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReaderStopsWhereThePayloadIsBad(t *testing.T) {
	good := block.AppendI2NP(nil, message)
	for name, c := range map[string]struct {
		rest string
		want error
	}{
		"header cut short": {"\x03\x00", wire.ErrShort},
		"data cut short":   {"\x03\x00\x05hell", wire.ErrShort},
		"largest size":     {"\x03\xff\xff", wire.ErrShort},
	} {
		r := block.NewReader(append(bytes.Clone(good), c.rest...))
		n := 0
		for r.Next() {
			n++
		}
		if n != 1 || !errors.Is(r.Err(), c.want) || r.Next() || r.Data != nil {
			t.Errorf("%s: %d blocks, %v", name, n, r.Err())
		}
	}
}

func TestNothingMayFollowPadding(t *testing.T) {
	for name, payload := range map[string][]byte{
		"message": block.AppendI2NP(block.AppendPadding(nil, 0), message),
		"padding": block.AppendPadding(block.AppendPadding(nil, 3), 3),
	} {
		r := block.NewReader(payload)
		if !r.Next() || r.Next() || !errors.Is(r.Err(), block.ErrMalformed) {
			t.Errorf("%s: %v", name, r.Err())
		}
	}
}

func TestEmptyPayloadIsGood(t *testing.T) {
	r := block.NewReader(nil)
	if r.Next() || r.Err() != nil {
		t.Error(r.Type, r.Err())
	}
}

func TestDataOfABlockCannotGrowIntoTheNext(t *testing.T) {
	payload := block.AppendI2NP(block.AppendI2NP(nil, message), message)
	r := block.NewReader(payload)
	r.Next()
	_ = append(r.Data, 99)
	if !r.Next() || r.Type != block.TypeI2NP {
		t.Error("the next block was written over")
	}
}

func TestBlocksAreWrittenAndReadWithoutAllocating(t *testing.T) {
	buffer, ri := make([]byte, 0, 4096), make([]byte, 700)
	if n := testing.AllocsPerRun(100, func() {
		b := block.AppendDateTime(buffer, now)
		b = block.AppendOptions(b, block.Options{})
		b = block.AppendRouterInfo(b, ri, false)
		b = block.AppendI2NP(b, message)
		b = block.AppendTermination(b, block.TypeTerminationSSU2, block.Termination{})
		b = block.AppendPadding(b, 100)
		if n := walk(b); n != 6 {
			t.Fatal(n)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// walk reads a payload as a session does, and gives the count of good blocks.
func walk(payload []byte) int {
	n := 0
	r := block.NewReader(payload)
	for r.Next() {
		var err error
		switch r.Type {
		case block.TypeDateTime:
			_, err = block.ParseDateTime(r.Data)
		case block.TypeOptions:
			_, err = block.ParseOptions(r.Data)
		case block.TypeRouterInfo:
			_, _, err = block.ParseRouterInfo(r.Data)
		case block.TypeI2NP:
			_, err = i2np.ParseShort(r.Data)
		case block.TypeTerminationNTCP2, block.TypeTerminationSSU2:
			_, err = block.ParseTermination(r.Data)
		}
		if err == nil {
			n++
		}
	}
	return n
}

func FuzzReader(f *testing.F) {
	f.Add(everything())
	f.Add(block.AppendPadding(block.AppendPadding(nil, 3), 3))
	f.Fuzz(func(t *testing.T, payload []byte) {
		walk(payload)
		size := 0
		r := block.NewReader(payload)
		for r.Next() {
			size += block.HeaderSize + len(r.Data)
		}
		if size > len(payload) || (r.Err() == nil) != (size == len(payload)) {
			t.Errorf("%d of %d bytes, %v", size, len(payload), r.Err())
		}
	})
}

func BenchmarkReader(b *testing.B) {
	var payload []byte
	m := message
	m.Body = make([]byte, 1028)
	for range 15 {
		payload = block.AppendI2NP(payload, m)
	}
	b.ReportAllocs()
	for b.Loop() {
		if walk(payload) != 15 {
			b.Fatal("blocks are missing")
		}
	}
}

func BenchmarkAppendI2NP(b *testing.B) {
	m := message
	m.Body = make([]byte, 1028)
	buffer := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		if len(block.AppendI2NP(buffer, m)) != block.I2NPSize(m) {
			b.Fatal("not appended")
		}
	}
}
