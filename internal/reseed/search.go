package reseed

import (
	"context"
	"time"
)

const (
	// lanes is how many sources are asked at a time. Whoever takes longer than
	// slowAfter lets another one begin beside him.
	lanes     = 3
	slowAfter = 4 * time.Second
	// wanted is how many routers two signers must give together for a search
	// to end before all have been asked, and independent how many signers.
	wanted      = 100
	independent = 2
)

// search is one search for routers, of as many passes as it takes. It
// remembers who has delivered.
type search struct {
	r *Reseeder
	// delivered are the sources that need not be asked again, and signers
	// those who signed their bundles. own tells that a file of the operator's
	// gave enough: nobody else has to.
	delivered map[string]bool
	signers   map[string]bool
	usable    int
	own       bool
	// told is told what came of each source; it may be nil.
	told func(SourceStatus)
}

func (r *Reseeder) newSearch() *search {
	return &search{r: r, delivered: map[string]bool{}, signers: map[string]bool{}}
}

// enough tells that nothing is left to wish for.
func (s *search) enough() bool {
	return s.own || len(s.signers) >= independent && s.usable >= min(wanted, 2*s.r.cfg.Threshold)
}

// started tells that the router has enough to begin with.
func (s *search) started() bool { return s.own || len(s.delivered) > 0 }

// left are the sources that have not delivered, and whose signer has not.
func (s *search) left() []source {
	var left []source
	for _, src := range shuffled(s.r.sources) {
		if !s.delivered[src.place] && !s.signers[src.signer] {
			left = append(left, src)
		}
	}
	return left
}

// answer is what came of asking one source; slow that nothing came so far.
type answer struct {
	source source
	slow   bool
	signer string
	usable int
	err    error
}

// pass asks those who are left until there is enough. It tells whether all of
// them failed for reasons that are likely to lie with our own connection.
func (s *search) pass(ctx context.Context) (offline bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	left := s.left()
	answers := make(chan answer, 2*len(left)) // one slow and one final each
	running, slow := 0, map[string]bool{}
	offline = true
	for {
		for running-len(slow) < lanes && len(left) > 0 && !s.enough() && ctx.Err() == nil {
			next := left[0]
			left = left[1:]
			if s.signers[next.signer] {
				continue // the same signer has delivered meanwhile
			}
			running++
			go s.ask(ctx, next, answers)
			if next.kind != server {
				break // and see first what the operator's own gives
			}
		}
		if s.enough() && running == len(slow) {
			cancel() // nobody waits for the slow ones
		}
		if running == 0 {
			return offline
		}
		a := <-answers
		if a.slow {
			slow[a.source.place] = true
			continue
		}
		running--
		delete(slow, a.source.place)
		offline = s.note(ctx, a) && offline
	}
}

// ask asks one source, and says so when that takes long.
func (s *search) ask(ctx context.Context, src source, answers chan<- answer) {
	s.r.setSource(src.place, func(st *SourceStatus) { st.Busy, st.Tried = true, s.r.w.Now() })
	done := make(chan answer, 1)
	go func() {
		a := answer{source: src}
		a.signer, a.usable, a.err = s.r.ask(ctx, src)
		done <- a
	}()
	late := time.NewTimer(slowAfter)
	defer late.Stop()
	select {
	case a := <-done:
		answers <- a
	case <-late.C:
		answers <- answer{source: src, slow: true}
		answers <- <-done
	}
}

// note takes down what came of asking a source. It tells whether its failure
// is likely to lie with our own connection.
func (s *search) note(ctx context.Context, a answer) (offline bool) {
	if a.err != nil && ctx.Err() != nil {
		// It was given up on because there was enough.
		s.r.setSource(a.source.place, func(st *SourceStatus) { st.Busy = false })
		return false
	}
	why, detail := Reason(""), ""
	if a.err != nil {
		why, detail = reasonOf(a.err), a.err.Error()
		s.r.w.Log.Debug("reseed source failed", "source", a.source.place, "why", why, "err", detail)
	} else {
		s.r.w.Log.Info("routers received", "source", a.source.place, "routers", a.usable, "signer", a.signer)
		s.delivered[a.source.place] = true
		s.usable += a.usable
		if a.signer != "" {
			s.signers[a.signer] = true
		}
		s.own = s.own || a.source.kind != server && a.usable >= s.r.cfg.Threshold
		s.r.delivered()
	}
	s.r.set(func(st *Status) { st.Signers = len(s.signers) })
	var now SourceStatus
	s.r.setSource(a.source.place, func(st *SourceStatus) {
		st.Busy, st.Routers, st.Signer, st.Why, st.Detail = false, a.usable, a.signer, why, detail
		now = *st
	})
	if s.told != nil {
		s.told(now)
	}
	return isOffline(a.err)
}
