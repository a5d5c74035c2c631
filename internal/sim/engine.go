package sim

// action is something that happens at a point in time.
type action interface {
	fire(w *World)
}

// entry is an action with its place in time. Of two at the same instant the
// one scheduled first comes first.
type entry struct {
	at  int64 // nanoseconds since Start
	seq uint64
	do  action
}

func (e *entry) before(f *entry) bool {
	return e.at < f.at || e.at == f.at && e.seq < f.seq
}

// queue is the clock and a heap of what is to come, four children to a node.
type queue struct {
	now  int64
	seq  uint64
	heap []entry
	dead int // stopped timers still in the heap
}

// compactAt is how many stopped timers are worth a sweep.
const compactAt = 4096

// at schedules do. What is past happens now.
func (q *queue) at(t int64, do action) {
	q.seq++
	q.heap = append(q.heap, entry{at: max(t, q.now), seq: q.seq, do: do})
	q.up(len(q.heap) - 1)
}

// next takes the earliest action not after end and sets the clock to it. It
// is nil when there is none.
func (q *queue) next(end int64) action {
	for len(q.heap) > 0 && q.heap[0].at <= end {
		e := q.heap[0]
		q.pop()
		if t, ok := e.do.(*timer); ok && t.f == nil {
			q.dead--
			continue
		}
		q.now = e.at
		return e.do
	}
	return nil
}

func (q *queue) pop() {
	last := len(q.heap) - 1
	q.heap[0] = q.heap[last]
	q.heap[last] = entry{}
	q.heap = q.heap[:last]
	if last > 1 {
		q.down(0)
	}
}

func (q *queue) up(i int) {
	e := q.heap[i]
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&q.heap[parent]) {
			break
		}
		q.heap[i] = q.heap[parent]
		i = parent
	}
	q.heap[i] = e
}

func (q *queue) down(i int) {
	e := q.heap[i]
	for {
		first := 4*i + 1
		if first >= len(q.heap) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(q.heap)); c++ {
			if q.heap[c].before(&q.heap[least]) {
				least = c
			}
		}
		if !q.heap[least].before(&e) {
			break
		}
		q.heap[i] = q.heap[least]
		i = least
	}
	q.heap[i] = e
}

// buried counts one more stopped timer and sweeps them out when they are many.
func (q *queue) buried() {
	q.dead++
	if q.dead < compactAt || q.dead < len(q.heap)/2 {
		return
	}
	live := q.heap[:0]
	for _, e := range q.heap {
		if t, ok := e.do.(*timer); ok && t.f == nil {
			continue
		}
		live = append(live, e)
	}
	clear(q.heap[len(live):])
	q.heap, q.dead = live, 0
	for i := len(live)/4 + 1; i >= 0; i-- {
		if i < len(live) {
			q.down(i)
		}
	}
}
