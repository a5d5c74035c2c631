package reseed

import (
	"context"
	"fmt"
	"time"

	"allium/internal/random"
)

const (
	// lookEvery is how often the router is looked at.
	lookEvery = 5 * time.Second
	// alone is for how long nobody may be connected before the routers known
	// count as gone, and away for how long nothing may have been heard.
	alone = 5 * time.Minute
	away  = 60 * 24 * time.Hour
	// firstPause is before the second pass; pauses double up to longestPause.
	// While nothing leaves this machine, trying costs nobody anything, and the
	// pauses stay below offlinePause.
	firstPause   = 5 * time.Second
	longestPause = 10 * time.Minute
	offlinePause = 15 * time.Second
	// more is how often those who failed are asked again after one signer
	// alone has delivered.
	more = 8
	// restAfter is how long no search is begun after one that found something,
	// and settle how long a network that has come back is left alone.
	restAfter = time.Hour
	settle    = 2 * time.Second
)

// Run looks after the router until ctx is done.
func (r *Reseeder) Run(ctx context.Context) {
	if r.Status().State == Off {
		return
	}
	seen := r.w.Now() // when there was a peer, or hope for some
	for ctx.Err() == nil {
		k := r.w.Router.Known()
		if k.Peers > 0 {
			seen = r.w.Now()
		}
		if need := r.need(k, r.w.Now().Sub(seen)); need != "" {
			if r.search(ctx, need) {
				r.sleep(ctx, jittered(restAfter), nil)
			}
			seen = r.w.Now()
		}
		r.sleep(ctx, lookEvery, nil)
	}
}

// Poke tells that the network may be back: what waits is tried again now.
func (r *Reseeder) Poke() {
	select {
	case r.poke <- struct{}{}:
	default: // it has been told already
	}
}

// need tells why the router needs others, or "".
func (r *Reseeder) need(k Knowledge, alonefor time.Duration) string {
	silence := r.w.Now().Sub(k.Newest)
	switch {
	case k.Routers == 0:
		return "no routers known"
	case k.Routers < r.cfg.Threshold:
		return fmt.Sprintf("of %d routers wanted only %d known", r.cfg.Threshold, k.Routers)
	case silence > away:
		return fmt.Sprintf("nothing heard for %d days", int(silence.Hours()/24))
	case alonefor >= alone:
		return fmt.Sprintf("none of the %d known routers answers", k.Routers)
	}
	return ""
}

// search searches until there is enough, or as much as can be had, or the
// need is over without it. It tells whether anybody delivered.
func (r *Reseeder) search(ctx context.Context, need string) bool {
	r.set(func(s *Status) { s.State, s.Need, s.Signers, s.Passes, s.Next = Asking, need, 0, 0, time.Time{} })
	r.w.Log.Info("reseeding", "why", need)
	select {
	case <-r.poke: // of long ago
	default:
	}
	s, pause, extra := r.newSearch(), time.Duration(0), 0
	for {
		offline := s.pass(ctx)
		if s.started() {
			extra++
		}
		r.set(func(st *Status) { st.Passes++ })
		if ctx.Err() != nil || s.enough() || len(s.left()) == 0 || extra > more ||
			!s.started() && r.need(r.w.Router.Known(), 0) == "" {
			break
		}
		pause = nextPause(pause, offline)
		if r.pause(ctx, jittered(pause)) {
			pause = 0
		}
	}
	r.set(func(st *Status) { st.State, st.Need, st.Next = Idle, "", time.Time{} })
	return s.started()
}

// delivered notes that the router has enough to begin with.
func (r *Reseeder) delivered() {
	r.set(func(st *Status) {
		if st.Need != "" {
			st.Need, st.Done = "", r.w.Now()
		}
	})
}

// pause waits before the next pass. It tells whether it was poked.
func (r *Reseeder) pause(ctx context.Context, d time.Duration) bool {
	r.set(func(s *Status) { s.State, s.Next = Waiting, r.w.Now().Add(d) })
	poked := r.sleep(ctx, d, r.poke)
	if poked {
		r.set(func(s *Status) { s.Next = r.w.Now().Add(settle) })
		r.sleep(ctx, settle, nil)
	}
	r.set(func(s *Status) { s.State, s.Next = Asking, time.Time{} })
	return poked
}

// sleep waits for d, or for a word on early, which it tells, or for ctx.
func (r *Reseeder) sleep(ctx context.Context, d time.Duration, early <-chan struct{}) (word bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-early:
		return true
	case <-ctx.Done():
	}
	return false
}

// nextPause is the pause after one of d.
func nextPause(d time.Duration, offline bool) time.Duration {
	longest := longestPause
	if offline {
		longest = offlinePause
	}
	return min(max(2*d, firstPause), longest)
}

// jittered spreads a pause, so that routers that lost their network together
// do not come back together.
func jittered(d time.Duration) time.Duration { return random.Between(d*3/4, d*5/4) }

// Once goes through the sources a single time, whatever the router knows, and
// tells whether there is enough to begin with. told, which may be nil, is told
// what came of each source.
func (r *Reseeder) Once(ctx context.Context, told func(SourceStatus)) bool {
	s := r.newSearch()
	s.told = told
	s.pass(ctx)
	return s.started()
}
