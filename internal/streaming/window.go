package streaming

import "time"

// window is how many packets may be under way: slow start, then one more for
// each round trip, half after a loss. It is the seam for another congestion
// control.
type window struct {
	size      float64
	threshold float64
	limit     float64
	// recovery is the sequence number up to which losses belong to the
	// reduction already made.
	recovery uint32
}

const (
	initialWindow    = 6
	initialThreshold = 64
	minWindow        = 2
)

func newWindow(limit int) window {
	return window{size: initialWindow, threshold: initialThreshold, limit: float64(limit)}
}

// packets is how many may be under way now.
func (w *window) packets() int { return int(w.size) }

// acked grows the window for n packets that arrived.
func (w *window) acked(n int) {
	for range n {
		if w.size < w.threshold {
			w.size++
		} else {
			w.size += 1 / w.size
		}
	}
	w.size = min(w.size, w.limit)
}

// lost halves the window for the loss of the packet sequence, once for all
// losses of what was under way; next is the first number not yet sent.
func (w *window) lost(sequence, next uint32) {
	if sequence < w.recovery {
		return
	}
	w.recovery = next
	w.size = max(w.size/2, minWindow)
	w.threshold = w.size
}

// silent restarts the window after a time-out.
func (w *window) silent(next uint32) {
	w.threshold = max(w.size/2, minWindow)
	w.size = minWindow
	w.recovery = next
}

// roundTrip estimates the round trip and the retransmission time-out from it
// (RFC 6298 with the bounds of I2P streaming).
type roundTrip struct {
	smooth, vary time.Duration
	backoff      uint
}

const (
	initialRTO = 9 * time.Second
	minRTO     = 100 * time.Millisecond
	maxRTO     = 45 * time.Second
)

func (t *roundTrip) sample(d time.Duration) {
	d = max(d, time.Millisecond)
	t.backoff = 0
	if t.smooth == 0 {
		t.smooth, t.vary = d, d/2
		return
	}
	t.vary = (3*t.vary + (t.smooth - d).Abs()) / 4
	t.smooth = (7*t.smooth + d) / 8
}

// timeout is the wait before a packet is taken for lost. delay is how long
// the peer may hold an acknowledgement back.
func (t *roundTrip) timeout(delay time.Duration) time.Duration {
	rto := initialRTO
	if t.smooth != 0 {
		rto = max(t.smooth+4*t.vary+delay, minRTO)
	}
	return min(rto<<t.backoff, maxRTO)
}

// timedOut doubles the next time-out.
func (t *roundTrip) timedOut() {
	if t.backoff < 8 {
		t.backoff++
	}
}
