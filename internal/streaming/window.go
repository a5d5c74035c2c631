package streaming

import "time"

// window is how many packets may be under way. It opens by one for each
// packet acknowledged up to threshold, then by one for each round trip. A loss
// takes it back to what the path has been delivering lately (Westwood), but
// never below half: tunnels lose packets without being full. It is the seam
// for another congestion control.
type window struct {
	size      float64
	threshold float64
	limit     float64
	// recovery is the sequence number up to which losses belong to the
	// reduction already made.
	recovery uint32

	rate      float64 // delivered lately, packets for each second
	since     time.Time
	delivered int // since then
}

const (
	initialWindow    = 6
	initialThreshold = 64
	minWindow        = 2
)

func newWindow(limit int) window {
	return window{size: min(initialWindow, float64(limit)), threshold: initialThreshold, limit: float64(limit)}
}

// packets is how many may be under way now.
func (w *window) packets() int { return max(int(w.size), 1) }

// acked learns of n packets that arrived. full tells that the window kept more
// from being sent; one that does not is large enough.
func (w *window) acked(now time.Time, n int, rtt *roundTrip, full bool) {
	w.measure(now, n, rtt.smooth, full)
	if !full {
		return
	}
	for range n {
		if w.size < w.threshold {
			w.size++
		} else {
			w.size += 1 / w.size
		}
	}
	w.size = min(w.size, w.limit)
}

// measure follows the rate over each round trip. A round trip with nothing to
// send does not lower it.
func (w *window) measure(now time.Time, n int, rtt time.Duration, full bool) {
	w.delivered += n
	t := now.Sub(w.since)
	if w.since.IsZero() || t < 0 {
		w.since, w.delivered = now, 0
		return
	}
	if t < max(rtt, time.Millisecond) {
		return
	}
	if rate := float64(w.delivered) / t.Seconds(); full || rate > w.rate {
		if w.rate == 0 {
			w.rate = rate
		}
		w.rate += (rate - w.rate) / 4
	}
	w.since, w.delivered = now, 0
}

// reduced is the window after a loss.
func (w *window) reduced(rtt *roundTrip) float64 {
	return max(min(w.rate*rtt.least.Seconds(), w.size), w.size/2, minWindow)
}

// lost narrows the window for the loss of the packet sequence, once for all
// losses of what was under way; next is the first number not yet sent.
func (w *window) lost(sequence, next uint32, rtt *roundTrip) {
	if sequence < w.recovery {
		return
	}
	w.recovery = next
	w.threshold = w.reduced(rtt)
	w.size = min(w.size, w.threshold)
}

// silent restarts the window after a time-out.
func (w *window) silent(next uint32, rtt *roundTrip) {
	w.threshold = w.reduced(rtt)
	w.size = min(minWindow, w.limit)
	w.recovery = next
}

// roundTrip estimates the round trip and the retransmission time-out from it
// (RFC 6298 with the bounds of I2P streaming).
type roundTrip struct {
	smooth, vary time.Duration
	least        time.Duration // of the last while
	leastAt      time.Time
	backoff      uint
}

const (
	initialRTO = 5 * time.Second
	minRTO     = 100 * time.Millisecond
	maxRTO     = 45 * time.Second
	// leastLife is how long a shortest round trip stands: tunnels change.
	leastLife = 30 * time.Second
)

func (t *roundTrip) sample(now time.Time, d time.Duration) {
	d = max(d, time.Millisecond)
	t.backoff = 0
	if t.least == 0 || d <= t.least || now.Sub(t.leastAt) > leastLife {
		t.least, t.leastAt = d, now
	}
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
	// A first packet takes another path each time, so it is the path that was
	// broken and not full: each time-out comes twice.
	rto, backoff := initialRTO, t.backoff/2
	if t.smooth != 0 {
		backoff = t.backoff
		rto = max(t.smooth+max(4*t.vary, t.smooth/4, 2*ackDelay)+delay, minRTO)
	}
	return min(rto<<backoff, maxRTO)
}

// ackDelay is how long an acknowledgement may wait: little beside the path.
func (t *roundTrip) ackDelay() time.Duration {
	if t.least == 0 {
		return ackDelay
	}
	return min(max(t.least/10, leastAckDelay), ackDelay)
}

// late tells that an acknowledgement that takes this long is not to be expected
// any more, even if packets overtake each other.
func (t *roundTrip) late(d time.Duration) bool { return d >= t.smooth+2*t.vary }

// timedOut doubles the next time-out.
func (t *roundTrip) timedOut() {
	if t.backoff < 8 {
		t.backoff++
	}
}
