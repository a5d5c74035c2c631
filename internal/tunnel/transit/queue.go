package transit

import (
	"net/netip"
	"time"

	"allium/internal/data"
	"allium/internal/i2np"
)

// request is a ShortTunnelBuild that waits for a worker.
type request struct {
	from    data.Hash    // zero when it came out of a tunnel
	subnet  netip.Prefix // of from, the zero Prefix if that does not matter
	arrived time.Time
	handed  time.Time             // to a worker
	records i2np.ShortTunnelBuild // a copy
}

// queue holds requests, a line for each neighbour they came from, and takes
// from the lines in turn: a flood from one neighbour makes its own line long
// and leaves the others theirs. The neighbours of one subnet have their turns
// together as if they were one, because anybody can have many there.
//
// Requests that came out of tunnels have a common line, as nobody knows whose
// they are. It has every second turn: all inbound gateways are asked that way,
// and neighbours that flood are not to keep them out.
type queue struct {
	room   int // for requests of all lines together
	size   int
	lines  map[data.Hash]*line
	groups map[netip.Prefix]*group // by subnet
	turns  []*group                // the next first

	tunnelled     line
	tunnelledTurn bool
}

// group is the lines of one subnet, or the one line of a neighbour whose
// subnet does not matter. It is in the queue while anything waits in it.
type group struct {
	subnet netip.Prefix
	size   int     // of all its lines
	turns  []*line // the next first
}

// line is what waits of one neighbour; it is in its group while that is
// anything.
type line struct {
	from    data.Hash
	group   *group // nil for what came out of tunnels
	waiting []request
}

func newQueue(room int) queue {
	return queue{room: room, lines: make(map[data.Hash]*line), groups: make(map[netip.Prefix]*group)}
}

// open tells whether a request from there may be added. No line may be longer
// than what is free beside all of them, less what its group has. So one line
// alone takes up a third of the room, the many lines of one group half of it,
// n groups all but one of n+1 parts, and whoever comes later still finds some.
func (q *queue) open(from data.Hash, subnet netip.Prefix) bool {
	free := q.room - q.size
	if from.IsZero() {
		return len(q.tunnelled.waiting) < free
	}
	of := 0
	if l := q.lines[from]; l != nil {
		of = l.group.size
	} else if g := q.groups[subnet]; g != nil {
		of = g.size
	}
	return q.waiting(from) < free-of
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
		l = q.line(a.from, a.subnet)
		l.group.size++
	}
	l.waiting = append(l.waiting, a)
	q.size++
}

// line is that of a neighbour, which is put into the queue.
func (q *queue) line(from data.Hash, subnet netip.Prefix) *line {
	if l := q.lines[from]; l != nil {
		return l
	}
	g := q.groups[subnet]
	if g == nil {
		g = &group{subnet: subnet}
		if subnet.IsValid() {
			q.groups[subnet] = g
		}
		q.turns = append(q.turns, g)
	}
	l := &line{from: from, group: g}
	q.lines[from] = l
	g.turns = append(g.turns, l)
	return l
}

// pop takes the request whose turn it is out of a queue that is not empty.
func (q *queue) pop() request {
	q.size--
	if len(q.tunnelled.waiting) > 0 && (q.tunnelledTurn || len(q.turns) == 0) {
		q.tunnelledTurn = false
		return q.tunnelled.pop()
	}
	q.tunnelledTurn = true
	g := q.turns[0]
	q.turns[0] = nil
	q.turns = q.turns[1:]
	a := q.popGroup(g)
	if g.size > 0 {
		q.turns = append(q.turns, g)
	} else {
		delete(q.groups, g.subnet)
	}
	return a
}

// popGroup takes the request whose turn it is out of a group.
func (q *queue) popGroup(g *group) request {
	l := g.turns[0]
	g.turns[0] = nil
	g.turns = g.turns[1:]
	g.size--
	a := l.pop()
	if len(l.waiting) > 0 {
		g.turns = append(g.turns, l)
	} else {
		delete(q.lines, l.from)
	}
	return a
}

// pop takes the oldest request out of a line that is not empty.
func (l *line) pop() request {
	a := l.waiting[0]
	l.waiting[0] = request{}
	l.waiting = l.waiting[1:]
	return a
}
