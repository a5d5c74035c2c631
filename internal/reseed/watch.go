package reseed

import (
	"sync"
	"time"
)

// watch ends a transfer in which too little arrives.
type watch struct {
	end func()

	mu      sync.Mutex
	timer   *time.Timer
	arrived int // since the last look
	slow    bool
	stopped bool
}

// newWatch begins to watch. end is called once, if ever, when less than
// leastProgress has arrived in progressEvery.
func newWatch(end func()) *watch {
	w := &watch{end: end}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(progressEvery, w.look)
	return w
}

func (w *watch) add(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arrived += n
}

func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.stopped:
	case w.arrived < leastProgress:
		w.slow = true
		w.end()
	default:
		w.arrived = 0
		w.timer.Reset(progressEvery)
	}
}

func (w *watch) tooSlow() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.slow
}

func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.timer.Stop()
}
