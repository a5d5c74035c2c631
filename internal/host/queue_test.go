package host

import (
	"bytes"
	"sync"
	"testing"
)

func newQueue() *queue {
	return &queue{pool: &sync.Pool{New: func() any { return new(chunk) }}}
}

func TestQueueKeepsOrder(t *testing.T) {
	q := newQueue()
	var want, got []byte
	for i := range 200 {
		b := bytes.Repeat([]byte{byte(i)}, i*i%5000)
		want = append(want, b...)
		q.push(b)
		if front := q.front(); i%3 == 0 && len(front) > 0 {
			n := (len(front) + 1) / 2
			got = append(got, front[:n]...)
			q.pop(n)
		}
		if q.size != len(want)-len(got) {
			t.Fatalf("size %d, want %d", q.size, len(want)-len(got))
		}
	}
	for front := q.front(); len(front) > 0; front = q.front() {
		got = append(got, front...)
		q.pop(len(front))
	}
	if !bytes.Equal(got, want) || q.size != 0 || len(q.chunks) != 0 {
		t.Errorf("%d bytes came out of %d, %d are left", len(got), len(want), q.size)
	}
}

func TestQueueUsesItsMemoryAgain(t *testing.T) {
	q := newQueue()
	b := make([]byte, 3*chunkSize)
	q.push(b)
	q.drop()
	made := 0
	q.pool.New = func() any { made++; return new(chunk) }
	for range 100 {
		q.push(b)
		q.drop()
	}
	// The pool may forget some of it at a collection, and the race detector
	// has it forget at random.
	if made > 200 {
		t.Errorf("%d chunks were made", made)
	}
}
