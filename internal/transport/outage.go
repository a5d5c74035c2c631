package transport

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"allium/internal/host"
	"allium/internal/transport/ntcp2"
)

// ErrOffline is in what Failed tells when nobody at all was heard meanwhile:
// the fault is as likely ours, so the peer is not to blame.
var ErrOffline = errors.New("transport: nobody is heard")

const (
	// After outageMisses peers in a row that could not be reached, and no word
	// of anybody for outageSilence, we take our own connection for broken.
	outageMisses  = 3
	outageSilence = 10 * time.Second
	// hearEvery is how exactly is known when somebody was last heard.
	hearEvery = time.Second
	// leastJump is how far the clock must have jumped for the sessions to be
	// given up: their peers have done so as well by then, or soon will.
	leastJump = time.Minute
)

// outage tells failures of our own connection from those of peers.
type outage struct {
	heard  atomic.Int64 // when a peer was last heard, nanoseconds since 1970
	misses atomic.Int32 // peers not reached since then
	broken atomic.Bool  // our own connection is
}

// heardAt is when a peer was last heard, to a second.
func (o *outage) heardAt() time.Time { return time.Unix(0, o.heard.Load()) }

// silent tells that nobody has been heard since some time.
func (o *outage) silent(since time.Time) bool {
	return o.heard.Load() < since.Add(-hearEvery).UnixNano()
}

// miss notes a peer that was not reached for a reason which may be ours.
func (o *outage) miss(now time.Time) {
	if o.misses.Add(1) >= outageMisses && o.silent(now.Add(-outageSilence)) {
		o.broken.Store(true)
	}
}

// Offline tells that our own connection seems to be broken: no peer can be
// reached, and none has been heard for a while.
func (t *Transport) Offline() bool { return t.outage.broken.Load() }

// Heard is when something last came from any peer, to a second; a long time
// ago if nothing ever has.
func (t *Transport) Heard() time.Time { return t.outage.heardAt() }

// hear notes that a peer was heard. It is called for every message.
func (t *Transport) hear(r *host.Round) {
	o, now := &t.outage, r.Now.UnixNano()
	if last := o.heard.Load(); now-last < int64(hearEvery) && now >= last {
		return
	}
	since := o.heardAt()
	o.heard.Store(now)
	o.misses.Store(0)
	if o.broken.CompareAndSwap(true, false) {
		t.revive(r, since)
	}
}

// revive takes up again what an outage has stopped that began at since. The
// sessions from before are cut off: TCP waits the longer before it tries again
// the longer an outage has lasted, and tries in vain when our address in front
// of some gateway has changed.
func (t *Transport) revive(r *host.Round, since time.Time) {
	t.forgive()
	t.cut(func(s *ntcp2.Session) bool { return !s.LastHeard().After(since.Add(hearEvery)) })
	t.up.Online(r, since)
}

// forgive lets all routers be dialled again at once.
func (t *Transport) forgive() {
	t.mu.Lock()
	clear(t.resting)
	t.here.ways = [families]way{}
	t.mu.Unlock()
}

// NetworkChanged tells that the addresses of this machine have changed.
// Sessions from addresses it no longer has are cut off, and who could not be
// reached is dialled again.
func (t *Transport) NetworkChanged(r *host.Round) {
	own := t.h.Addrs()
	t.forgive()
	t.mu.Lock()
	t.here = here{addrs: own}
	t.strayedVotes()
	t.mu.Unlock()
	t.Review(r)
	t.cut(func(s *ntcp2.Session) bool { return strayed(s.Local().Addr(), own) })
}

// strayed tells an address that a machine does not have.
func strayed(a netip.Addr, own []netip.Addr) bool {
	return a.IsValid() && len(own) > 0 && !slices.Contains(own, a)
}

// Jumped tells that the clock has jumped, or that the machine was asleep. The
// peers of before have given us up, so their sessions are cut off.
func (t *Transport) Jumped(_ *host.Round, by time.Duration) {
	if by.Abs() < leastJump {
		return
	}
	t.outage.heard.Store(0)
	t.forgive()
	t.cut(func(*ntcp2.Session) bool { return true })
}

// cut ends the sessions that match, and dials under way, without a word.
func (t *Transport) cut(match func(s *ntcp2.Session) bool) {
	t.mu.RLock()
	var gone []*ntcp2.Session
	for s := range t.table.all {
		if match(s) {
			gone = append(gone, s)
		}
	}
	t.mu.RUnlock()
	slices.SortFunc(gone, compareSessions)
	for _, s := range gone {
		s.Cut()
	}
}

// judge tells whose fault it is that a peer was not reached, which was dialled
// at began: the cause says ErrOffline as well when it may be ours.
func (t *Transport) judge(now, began time.Time, cause error) error {
	if !errors.Is(cause, host.ErrTimeout) && !errors.Is(cause, host.ErrUnreachable) {
		return cause
	}
	t.outage.miss(now)
	if t.outage.silent(began) {
		return fmt.Errorf("%w: %w", ErrOffline, cause)
	}
	return cause
}
