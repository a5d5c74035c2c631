package pace

import (
	"math"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/host"
)

const (
	// ownMemory is how long after something of our own, there or back, a
	// session is read for the sake of more of it.
	ownMemory = 10 * time.Second
	// muchPart of the limit is too much for others beside less of our own.
	muchPart = 8
	// rateTime is about how long a rate looks back.
	rateTime = 2 * time.Second
)

// rate is bytes a second of late.
type rate struct {
	level float64
	at    time.Time
}

// add adds n bytes and gives the rate with them.
func (m *rate) add(now time.Time, n int) float64 {
	if passed := now.Sub(m.at); passed > 0 {
		m.level *= math.Exp(-passed.Seconds() / rateTime.Seconds())
		m.at = now
	}
	m.level += float64(n) / rateTime.Seconds()
	return m.level
}

// passed notes something of our own.
func (at *Place) passed(now time.Time, b bandwidth.Bytes) {
	if b[bandwidth.Own] > 0 {
		at.ownAt.Store(now.UnixNano())
	}
}

// bringsOwn tells whether a session may bring something of our own, and not
// much more for others: who floods us has to wait as others do. Under mu.
func (p *Pacer) bringsOwn(now time.Time, at *Place) bool {
	if now.UnixNano()-at.ownAt.Load() >= int64(ownMemory) {
		return false
	}
	lent := at.lent.add(now, 0)
	return p.much == 0 || lent <= float64(p.much) || lent <= at.own.add(now, 0)
}

// Room is how many of n bytes a session may read now. When it is nothing, Hold
// it. It may be a little more than the limits have left, as little reads cost
// much: that is made up for later.
func (p *Pacer) Room(at *Place, n int) int {
	if !p.limiter.Limited(bandwidth.In) {
		return n
	}
	now := p.h.Now()
	p.mu.Lock()
	own := p.bringsOwn(now, at)
	allowed := at.allowed
	at.allowed = 0
	waits := !p.lines[readOwn].empty() || !own && !(p.lines[readRare].empty() && p.lines[readOften].empty())
	p.mu.Unlock()
	switch {
	case allowed > 0:
		return min(n, allowed)
	case waits:
		return 0
	}
	c := bandwidth.Transit
	if own {
		c = bandwidth.Own
	}
	room := p.limiter.Room(now, c, min(n, p.quantum[bandwidth.In]))
	if room > 0 {
		room = min(n, max(room, minTurn))
	}
	return room
}

// Hold has a session wait until it may read: MayRead is called then.
func (p *Pacer) Hold(at *Place) {
	now := p.h.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	i := readOften
	switch {
	case p.bringsOwn(now, at):
		i = readOwn
	case now.Sub(at.waited) >= patient:
		i = readRare
	}
	at.waited = now
	p.wait(i, at)
}

// Arrived tells that a session has read n bytes, and whom those served that it
// has read now or before.
func (p *Pacer) Arrived(now time.Time, at *Place, n int, served bandwidth.Bytes) {
	at.passed(now, served)
	p.limiter.Arrived(now, n, served)
	if served != (bandwidth.Bytes{}) && p.limiter.Limited(bandwidth.In) {
		p.mu.Lock()
		at.own.add(now, served[bandwidth.Own])
		at.lent.add(now, served[bandwidth.Control]+served[bandwidth.Transit])
		p.mu.Unlock()
	}
}

// serveRead gives those in a line a turn each, until what there is room for
// beside given bytes is given, too. It is paid for when it has been read.
func (p *Pacer) serveRead(r *host.Round, i, given int) int {
	for room := p.limiter.Room(r.Now, class(i), math.MaxInt); given < room; {
		at := p.next(i)
		if at == nil {
			break
		}
		n := max(min(room-given, p.quantum[bandwidth.In]), minTurn)
		given += n
		p.mu.Lock()
		at.allowed = n
		p.mu.Unlock()
		at.session.MayRead(r)
	}
	return given
}
