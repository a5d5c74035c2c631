package reseed

import (
	"slices"
	"time"
)

// State is what a Reseeder is doing.
type State string

// The states.
const (
	// Off: not wanted, or there is nobody to ask.
	Off State = "off"
	// Idle: the router knows enough others.
	Idle State = "idle"
	// Asking: sources are being asked.
	Asking State = "asking"
	// Waiting: nothing came of it so far, and it is tried again at Next.
	Waiting State = "waiting"
)

// Status is a snapshot of a Reseeder.
type Status struct {
	State State
	// Need is why routers are asked for, in words; empty when they are not.
	Need string
	// Sources are those that can be asked, the operator's own first.
	Sources []SourceStatus
	// Signers is how many signers independent of each other have delivered
	// since routers were needed.
	Signers int
	// Passes is how often all sources were gone through since then.
	Passes int
	// Next is when sources are asked again, zero if that is not planned.
	Next time.Time
	// Done is when a search was last successful, zero for never.
	Done time.Time
}

// SourceStatus is one of the sources.
type SourceStatus struct {
	Source string // URL or path
	// Tried is when it was last asked, zero for never.
	Tried time.Time
	// Busy tells that it is being asked.
	Busy bool
	// Routers is how many it gave that can be used, the last time.
	Routers int
	// Signer is who signed them, if anybody did.
	Signer string
	// Why and Detail tell what went wrong the last time, or are empty.
	Why    Reason
	Detail string
}

func newStatus(sources []source, wanted bool) Status {
	s := Status{State: Idle}
	for _, src := range sources {
		s.Sources = append(s.Sources, SourceStatus{Source: src.place})
	}
	if !wanted || len(sources) == 0 {
		s.State = Off
	}
	return s
}

// Status tells how the search stands.
func (r *Reseeder) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.status
	s.Sources = slices.Clone(s.Sources)
	return s
}

// Failed counts the sources that gave nothing the last time they were asked,
// and lists their reasons, each once, in the order of the sources.
func (s *Status) Failed() (n int, why []Reason) {
	for _, src := range s.Sources {
		if src.Why == "" {
			continue
		}
		n++
		if !slices.Contains(why, src.Why) {
			why = append(why, src.Why)
		}
	}
	return n, why
}

// Routers is how many routers the sources gave the last time.
func (s *Status) Routers() (n int) {
	for _, src := range s.Sources {
		n += src.Routers
	}
	return n
}

// set changes the status.
func (r *Reseeder) set(change func(s *Status)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.status)
}

// setSource changes that of one source.
func (r *Reseeder) setSource(place string, change func(s *SourceStatus)) {
	r.set(func(s *Status) {
		for i := range s.Sources {
			if s.Sources[i].Source == place {
				change(&s.Sources[i])
			}
		}
	})
}
