package ntcp2

import (
	"time"

	"allium/internal/i2np"
	"allium/internal/transport/block"
)

// keepBuffer is how much memory an empty buffer may keep.
const keepBuffer = 16 << 10

// queue holds messages of one class that wait to be sealed, as the blocks they
// will be. They lie one after the other in one piece of memory without
// pointers, which is used again and again.
type queue struct {
	blocks []byte // from head on
	head   int
	items  []item // from first on
	first  int
}

// item is one message of a queue.
type item struct {
	size    int   // of its block
	queued  int64 // when it came, nanoseconds since 1970
	expires int64
}

// late reports whether the message is of no use any more.
func (it item) late(now time.Time) bool { return now.UnixNano()-it.expires > int64(i2np.MaxLate) }

// older reports whether the message has waited longer than age.
func (it item) older(now time.Time, age time.Duration) bool {
	return now.UnixNano()-it.queued > int64(age)
}

func (q *queue) empty() bool { return q.first == len(q.items) }

// size is how many bytes wait.
func (q *queue) size() int { return len(q.blocks) - q.head }

// push copies a message to the end.
func (q *queue) push(now time.Time, m i2np.Message) {
	q.compact()
	q.items = append(q.items, item{
		size:    block.I2NPSize(m),
		queued:  now.UnixNano(),
		expires: m.Expiration.UnixNano(),
	})
	q.blocks = block.AppendI2NP(q.blocks, m)
}

// compact makes room for push by moving what waits to the start, when that is
// less than what it moves over.
func (q *queue) compact() {
	if q.head < len(q.blocks)-q.head || q.head == 0 {
		return
	}
	q.blocks = q.blocks[:copy(q.blocks, q.blocks[q.head:])]
	q.items = q.items[:copy(q.items, q.items[q.first:])]
	q.head, q.first = 0, 0
}

// front is the oldest message of a queue that is not empty.
func (q *queue) front() (item, []byte) {
	it := q.items[q.first]
	return it, q.blocks[q.head : q.head+it.size]
}

// pop takes the oldest message away and gives the size of its block.
func (q *queue) pop() int {
	size := q.items[q.first].size
	q.head += size
	q.first++
	if q.empty() {
		q.blocks, q.items = q.blocks[:0], q.items[:0]
		q.head, q.first = 0, 0
	}
	return size
}

// shrink gives memory back that an empty queue does not need.
func (q *queue) shrink() {
	if q.empty() && cap(q.blocks) > keepBuffer {
		q.blocks, q.items = nil, nil
	}
}
