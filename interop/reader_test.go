//go:build interop

package interop

import (
	"fmt"
	"sync"
	"time"
)

// slowPage is from when on a page is a slow one.
const slowPage = 5 * time.Second

// reader asks for one page again and again.
type reader struct {
	proxy string
	page  string
	want  []byte
	// patience is how long a page may take, in all tries.
	patience time.Duration
	// from and of are the routers.
	from, of int

	mu    sync.Mutex
	pages int
	slow  int
	worst outcome
	lost  error
}

// read reads until done is closed, with a pause after each page.
func (r *reader) read(done <-chan struct{}, pause time.Duration) {
	for {
		select {
		case <-done:
			return
		case <-time.After(pause):
		}
		o := insist(r.proxy, r.page, r.want, tryLimit, r.patience)
		r.mu.Lock()
		r.pages++
		if o.took > slowPage {
			r.slow++
		}
		if o.took > r.worst.took {
			r.worst = o
		}
		if o.err != nil {
			r.lost = fmt.Errorf("%d tries: %w", o.tries, o.err)
		}
		r.mu.Unlock()
	}
}

func (r *reader) state() (pages int, worst outcome, lost error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pages, r.worst, r.lost
}
