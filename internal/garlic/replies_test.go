package garlic_test

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"allium/internal/garlic"
)

func TestReplyOpensOnce(t *testing.T) {
	r := garlic.NewReplies()
	key, tag := [32]byte{1}, [8]byte{2}
	r.Expect(start, key, tag, time.Minute)
	b := garlic.SealOnce(&key, tag, assorted()...)
	again := bytes.Clone(b)

	broken := bytes.Clone(b)
	broken[20] ^= 1
	if _, ok := r.Open(start, broken); ok {
		t.Fatal("opened a changed reply")
	}
	got, ok := r.Open(start, b)
	if !ok {
		t.Fatal("not opened")
	}
	sameCloves(t, got, assorted())
	if _, ok := r.Open(start, again); ok {
		t.Error("opened twice")
	}
	if r.Len() != 0 {
		t.Error("key kept")
	}
}

func TestRepliesExpire(t *testing.T) {
	r := garlic.NewReplies()
	key, tag := [32]byte{1}, [8]byte{2}
	r.Expect(start, key, tag, time.Minute)
	if _, ok := r.Open(start.Add(time.Minute), garlic.SealOnce(&key, tag)); ok {
		t.Error("opened late")
	}
	r.Expect(start.Add(time.Minute), key, [8]byte{3}, time.Minute)
	if n := r.Len(); n != 1 {
		t.Errorf("%d keys kept, want 1", n)
	}
}

func TestRepliesAreBounded(t *testing.T) {
	r := garlic.NewReplies()
	key := [32]byte{1}
	tag := func(i int) (tag [8]byte) {
		binary.BigEndian.PutUint32(tag[:], uint32(i))
		return tag
	}
	for i := range 10_000 {
		r.Expect(start, key, tag(i), time.Minute)
	}
	if n := r.Len(); n != 4096 {
		t.Errorf("%d keys kept, want 4096", n)
	}
	if _, ok := r.Open(start, garlic.SealOnce(&key, tag(9_999))); !ok {
		t.Error("newest is not expected")
	}
	if _, ok := r.Open(start, garlic.SealOnce(&key, tag(0))); ok {
		t.Error("oldest is expected")
	}
}
