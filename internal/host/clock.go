package host

import "time"

// Now implements [Host]: the system's time put right by Adjust.
func (p *Portable) Now() time.Time {
	return time.Now().Add(time.Duration(p.offset.Load()))
}

// Adjust sets what Now adds to the system's time. Intervals between times
// taken before and after include the jump.
func (p *Portable) Adjust(offset time.Duration) { p.offset.Store(int64(offset)) }

type timer struct {
	p *Portable
	f func(r *Round)
	t *time.Timer
}

// AfterFunc implements [Host]. After Close it never fires.
func (p *Portable) AfterFunc(d time.Duration, f func(r *Round)) Timer {
	t := &timer{p: p, f: f}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		t.t = time.AfterFunc(d, t.fire)
		p.timers[t] = struct{}{}
	}
	return t
}

// Stop implements [Timer].
func (t *timer) Stop() bool {
	t.p.mu.Lock()
	defer t.p.mu.Unlock()
	if _, waits := t.p.timers[t]; !waits {
		return false
	}
	delete(t.p.timers, t)
	t.t.Stop()
	return true
}

// fire runs on a goroutine of its own.
func (t *timer) fire() {
	p := t.p
	p.mu.Lock()
	_, waits := p.timers[t]
	if waits {
		delete(p.timers, t)
		p.live++
	}
	p.mu.Unlock()
	if !waits {
		return
	}
	defer p.leave()
	p.run(t.f)
}
