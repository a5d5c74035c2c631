// Package pace has sessions take turns at the limits of bandwidth.
//
// A session asks before it seals and before it reads. Far from a limit it gets
// what it asks for, and nothing here costs more than that question. When there
// is not enough, sessions wait in lines and get a share each in turn, as fast
// as the limits allow: who has something of our own to send or brings it goes
// first, then who was not seen to wait of late, such as a router that answers
// us once, then all the others. So many that want much do not keep out those
// that want little.
//
// What is not read stays with its sender: TCP slows it down.
package pace

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/host"
)

// Session is what waits for its turn.
type Session interface {
	// MaySend is the turn of messages of class c: n bytes of them may be
	// sealed. What is not used is given back with Settle.
	MaySend(r *host.Round, c bandwidth.Class, n int)
	// MayRead is the turn of reading.
	MayRead(r *host.Round)
}

const (
	// While somebody waits, the lines are served at least and at most so
	// often. In between, what a limit allows adds up.
	minPause, maxPause = 5 * time.Millisecond, 20 * time.Millisecond
	// turn is how long the limit would take for what one session may send or
	// read in its turn, minTurn and maxTurn how many bytes that is at least and
	// at most: a message, and a large read.
	turn             = 10 * time.Millisecond
	minTurn, maxTurn = 2 << 10, 48 << 10
	// patient is how long ago a session must have waited to go before those
	// that wait all the time.
	patient = time.Second
)

// Pacer hands out turns. It is safe for concurrent use.
type Pacer struct {
	h       host.Host
	limiter *bandwidth.Limiter
	quantum [2]int // bytes of a turn, by direction
	much    int64  // bytes a second for others that a session may bring beside our own; 0 for any

	mu    sync.Mutex
	lines [lines]line
	timer host.Timer // nil when nobody waits
}

// The lines, in the order in which they are served.
const (
	sendOwn = iota
	readOwn
	sendTransit
	readRare // who has not waited of late
	readOften
	lines
)

// direction and class are what the sessions in a line wait for.
func direction(i int) bandwidth.Direction {
	if i == sendOwn || i == sendTransit {
		return bandwidth.Out
	}
	return bandwidth.In
}

func class(i int) bandwidth.Class {
	if i == sendOwn || i == readOwn {
		return bandwidth.Own
	}
	return bandwidth.Transit
}

// New makes a Pacer for the limits that a limiter keeps.
func New(h host.Host, limiter *bandwidth.Limiter) *Pacer {
	p := &Pacer{h: h, limiter: limiter}
	limits := limiter.Limits()
	p.quantum[bandwidth.In], p.quantum[bandwidth.Out] = quantum(limits.In), quantum(limits.Out)
	p.much = cmp.Or(max(limits.In.Transit, 0), max(limits.In.Total, 0)) / muchPart
	return p
}

// quantum is how much one turn is.
func quantum(l bandwidth.Line) int {
	n := int64(maxTurn)
	for _, limit := range []int64{l.Own, l.Transit, l.Total} {
		if limit > 0 {
			n = min(n, int64(float64(limit)*turn.Seconds()))
		}
	}
	return int(max(n, minTurn))
}

// Place is where a session stands in the lines of a Pacer.
type Place struct {
	session Session
	ownAt   atomic.Int64 // when something of our own last passed, nanoseconds since 1970

	// Pacer.mu guards these.
	waits   [lines]bool
	waited  time.Time // when it last began to wait to read
	allowed int       // what it may read in its turn
	own     rate      // of what it brings for ourselves
	lent    rate      // and for others
}

// Enter gives the place to a session, which waits for nothing yet.
func (at *Place) Enter(s Session) { at.session = s }

// Leave ends all waiting of a session.
func (p *Pacer) Leave(at *Place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.lines {
		if at.waits[i] {
			at.waits[i] = false
			p.lines[i].remove(at)
		}
	}
}

// wait puts a session into a line, unless it stands there. Under mu.
func (p *Pacer) wait(i int, at *Place) {
	if at.waits[i] {
		return
	}
	at.waits[i] = true
	p.lines[i].push(at)
	if p.timer == nil {
		p.timer = p.h.AfterFunc(minPause, p.tick)
	}
}

// tick serves the lines until there is nothing left to hand out.
func (p *Pacer) tick(r *host.Round) {
	reading := 0
	for i := range lines {
		if direction(i) == bandwidth.Out {
			p.serveSend(r, i)
		} else {
			reading = p.serveRead(r, i, reading)
		}
	}
	pause := maxPause
	for i, anybody := range p.waiting() {
		if anybody {
			pause = min(pause, p.limiter.Wait(r.Now, direction(i), class(i)))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	for i := range p.lines {
		if !p.lines[i].empty() {
			p.timer = p.h.AfterFunc(max(pause, minPause), p.tick)
			return
		}
	}
}

// waiting tells in which lines somebody waits.
func (p *Pacer) waiting() (in [lines]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.lines {
		in[i] = !p.lines[i].empty()
	}
	return in
}

// line is sessions that wait, from first on.
type line struct {
	places []*Place
	first  int
}

func (l *line) empty() bool { return l.first == len(l.places) }

func (l *line) push(at *Place) {
	if l.first > 0 && l.first >= len(l.places)-l.first {
		n := copy(l.places, l.places[l.first:])
		clear(l.places[n:])
		l.places, l.first = l.places[:n], 0
	}
	l.places = append(l.places, at)
}

// pop takes the first out of a line that is not empty.
func (l *line) pop() *Place {
	at := l.places[l.first]
	l.places[l.first] = nil
	l.first++
	if l.empty() {
		l.places, l.first = l.places[:0], 0
	}
	return at
}

func (l *line) remove(at *Place) {
	kept := l.places[:l.first]
	for _, other := range l.places[l.first:] {
		if other != at {
			kept = append(kept, other)
		}
	}
	clear(l.places[len(kept):])
	l.places = kept
}
