package host

import "sync"

// chunkSize is how many waiting bytes one write to the system carries.
const chunkSize = 32 << 10

type chunk struct {
	start, end int
	b          [chunkSize]byte
}

// queue holds the bytes of a stream that wait to be sent. It takes memory
// only while something waits.
type queue struct {
	pool   *sync.Pool // of *chunk
	chunks []*chunk
	size   int
}

// push copies b to the end.
func (q *queue) push(b []byte) {
	q.size += len(b)
	for len(b) > 0 {
		last := len(q.chunks) - 1
		if last < 0 || q.chunks[last].end == chunkSize {
			c := q.pool.Get().(*chunk)
			c.start, c.end = 0, 0
			q.chunks = append(q.chunks, c)
			continue
		}
		c := q.chunks[last]
		n := copy(c.b[c.end:], b)
		c.end += n
		b = b[n:]
	}
}

// front is the next bytes to send, nil when nothing waits. A push may go on
// beside their sending.
func (q *queue) front() []byte {
	if len(q.chunks) == 0 {
		return nil
	}
	c := q.chunks[0]
	return c.b[c.start:c.end]
}

// pop takes the first n bytes of front away.
func (q *queue) pop(n int) {
	q.size -= n
	c := q.chunks[0]
	c.start += n
	if c.start < c.end {
		return
	}
	q.pool.Put(c)
	last := len(q.chunks) - 1
	copy(q.chunks, q.chunks[1:])
	q.chunks[last] = nil
	q.chunks = q.chunks[:last]
}

// drop forgets everything.
func (q *queue) drop() {
	for len(q.chunks) > 0 {
		q.pop(len(q.front()))
	}
}
