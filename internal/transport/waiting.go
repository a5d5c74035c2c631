package transport

import (
	"bytes"
	"math"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/noise"
	"allium/internal/transport/block"
	"allium/internal/transport/ntcp2"
)

const (
	// maxWaiting is how many bytes may wait for one router to be reached: one
	// message of any size and some thirty of tunnels.
	maxWaiting = 96 << 10
	// parcelCost is what a message takes beside its body.
	parcelCost = 128
	// maxMessage is the largest message with its header that a session takes.
	maxMessage = math.MaxUint16 - noise.Overhead
)

// parcel is a message to be sent.
type parcel struct {
	m  i2np.Message
	c  bandwidth.Class
	at time.Time // when it came
}

// own tells whether what waits for a dial is our own: a message, or with nil
// the wish to be connected.
func own(p *parcel) bool { return p == nil || p.c == bandwidth.Own }

func (p *parcel) cost() int { return parcelCost + len(p.m.Body) }

// stale tells a message in transit that has waited longer than age. Our own
// are sent as long as they are of use.
func (p *parcel) stale(now time.Time, age time.Duration) bool {
	return p.c == bandwidth.Transit && now.Sub(p.at) > age
}

// waiting is what is sent to a router while it is dialled: our own messages,
// and those for others.
type waiting struct {
	own, others         []parcel
	ownSize, othersSize int
}

// push keeps a copy of a message. Where there is no room the oldest for
// others are dropped, how many it tells. It fails with host.ErrFull and
// ntcp2.ErrTooLong.
func (w *waiting) push(p parcel) (dropped int, err error) {
	switch {
	case block.I2NPSize(p.m) > maxMessage:
		return 0, ntcp2.ErrTooLong
	case w.ownSize+p.cost() > maxWaiting:
		return 0, host.ErrFull
	}
	for w.ownSize+w.othersSize+p.cost() > maxWaiting {
		w.othersSize -= w.others[0].cost()
		w.others = w.others[1:]
		dropped++
	}
	p.m.Body = bytes.Clone(p.m.Body)
	if p.c == bandwidth.Own {
		w.own = append(w.own, p)
		w.ownSize += p.cost()
	} else {
		w.others = append(w.others, p)
		w.othersSize += p.cost()
	}
	return dropped, nil
}

// take takes everything out, our own messages first.
func (w *waiting) take() []parcel {
	all := append(w.own, w.others...)
	*w = waiting{}
	return all
}
