package host

import "time"

// Phase orders the work at the end of a round.
type Phase uint8

// The phases, in their order. Work of one phase may add work of the same or a
// later one; work added to an earlier one runs in another turn before the
// round is over.
const (
	// Encrypt is for messages gathered from many tunnels.
	Encrypt Phase = iota
	// Seal is for sessions that have something to send.
	Seal
	phases
)

// Ender does at a round's end what its owner gathered during it.
type Ender interface {
	// EndRound is called once for each time the Ender was put into the round
	// with Later or, with Gather, once for each round it was used in.
	EndRound(r *Round)
}

// Gatherer is a component that keeps something of its own in each round, such
// as a batch. The Gatherer value itself is the key: a pointer to something
// that is not empty.
type Gatherer interface {
	// NewBatch makes what the component keeps in one Round.
	NewBatch() Ender
}

// Round is the span from one read to the writes that answer it. It belongs to
// one goroutine. A Round is used again for later rounds of its engine, so
// that the memory of its batches is too.
type Round struct {
	// Now is the one timestamp of the round.
	Now time.Time

	due     [phases][]Ender
	next    [phases]int // the first of due that has not been called
	batches []batch
}

type batch struct {
	owner Gatherer
	ender Ender
	used  bool
}

// Later has e.EndRound called when the round ends. Calls for the same Ender
// add up: whoever wants one call keeps a mark of its own.
func (r *Round) Later(p Phase, e Ender) {
	r.due[p] = append(r.due[p], e)
}

// Gather returns what owner keeps in this round, and has its EndRound called
// when the round ends.
func (r *Round) Gather(p Phase, owner Gatherer) Ender {
	for i := range r.batches {
		b := &r.batches[i]
		if b.owner != owner {
			continue
		}
		if !b.used {
			b.used = true
			r.Later(p, b.ender)
		}
		return b.ender
	}
	e := owner.NewBatch()
	r.batches = append(r.batches, batch{owner: owner, ender: e, used: true})
	r.Later(p, e)
	return e
}

// Begin opens the round at now. Engines call it.
func (r *Round) Begin(now time.Time) {
	r.Now = now
}

// End does all that was put off, phase by phase, until nothing is left.
// Engines call it. When an EndRound panics, End may be called again and goes
// on with the one after it.
func (r *Round) End() {
	for r.endPhase() {
	}
}

// endPhase runs the earliest phase that has work and reports whether there
// was any.
func (r *Round) endPhase() bool {
	for p := range r.due {
		if len(r.due[p]) == 0 {
			continue
		}
		// EndRound may append to the very list: index, not range. A batch
		// used again while it ends is due once more.
		for r.next[p] < len(r.due[p]) {
			i := r.next[p]
			r.next[p]++
			e := r.due[p][i]
			r.due[p][i] = nil
			r.release(e)
			e.EndRound(r)
		}
		r.due[p], r.next[p] = r.due[p][:0], 0
		return true
	}
	return false
}

// release marks a batch as not in use, so that the next Gather puts it into
// the list again.
func (r *Round) release(e Ender) {
	for i := range r.batches {
		if r.batches[i].ender == e {
			r.batches[i].used = false
			return
		}
	}
}
