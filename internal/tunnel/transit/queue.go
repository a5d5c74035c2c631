package transit

import (
	"time"

	"allium/internal/data"
	"allium/internal/i2np"
)

// request is a ShortTunnelBuild that waits for a worker.
type request struct {
	from    data.Hash // zero when it came out of a tunnel
	arrived time.Time
	records i2np.ShortTunnelBuild // a copy
}

// queue holds requests, a line for each neighbour they came from, and takes
// from the lines in turn: a flood from one neighbour makes its own line long
// and leaves the others theirs.
//
// Requests that came out of tunnels have a common line, as nobody knows whose
// they are. It has every second turn: all inbound gateways are asked that way,
// and neighbours that flood are not to keep them out.
type queue struct {
	room  int // for requests of all lines together
	size  int
	lines map[data.Hash]*line
	turns []*line // of neighbours, the next first

	tunnelled     line
	tunnelledTurn bool
}

// line is what waits of one neighbour; it is in the queue while that is
// anything.
type line struct {
	from    data.Hash
	waiting []request
}

func newQueue(room int) queue {
	return queue{room: room, lines: make(map[data.Hash]*line)}
}

// open tells whether a request from there may be added. No line may be longer
// than what is free beside all of them. So one line alone takes up half of the
// room, n lines all but one of n+1 parts, and a neighbour that comes later
// still finds some.
func (q *queue) open(from data.Hash) bool {
	return q.waiting(from) < q.room-q.size
}

// waiting is how many requests of a neighbour wait.
func (q *queue) waiting(from data.Hash) int {
	if from.IsZero() {
		return len(q.tunnelled.waiting)
	}
	if l := q.lines[from]; l != nil {
		return len(l.waiting)
	}
	return 0
}

// push adds a request.
func (q *queue) push(a request) {
	l := &q.tunnelled
	if !a.from.IsZero() {
		l = q.lines[a.from]
	}
	if l == nil {
		l = &line{from: a.from}
		q.lines[a.from] = l
		q.turns = append(q.turns, l)
	}
	l.waiting = append(l.waiting, a)
	q.size++
}

// pop takes the request whose turn it is out of a queue that is not empty.
func (q *queue) pop() request {
	l := &q.tunnelled
	if len(l.waiting) == 0 || !q.tunnelledTurn && len(q.turns) > 0 {
		l = q.turns[0]
		q.turns[0] = nil
		q.turns = q.turns[1:]
	}
	q.tunnelledTurn = l != &q.tunnelled
	a := l.waiting[0]
	l.waiting[0] = request{}
	l.waiting = l.waiting[1:]
	q.size--
	switch {
	case l == &q.tunnelled:
	case len(l.waiting) > 0:
		q.turns = append(q.turns, l)
	default:
		delete(q.lines, l.from)
	}
	return a
}
