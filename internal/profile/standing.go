package profile

import (
	"time"

	"allium/internal/data"
)

// Standing is what whoever chooses hops has to know of a peer. That of a peer
// nothing is known of has a Score in the middle and is Usable.
type Standing struct {
	// Score is from 0 to 1: higher for those who lately joined more of the
	// tunnels they were asked for, lost fewer tests and could be dialled.
	Score float64
	// Delay is the mean time a message took to or from the peer when tunnels
	// were built, 0 if unknown.
	Delay time.Duration
	// Pace is the most tunnel messages a second that a tunnel with the peer
	// was seen to carry, half of it an hour later.
	Pace float64
	// Met tells that there was a session with the peer in the last 36 hours:
	// it exists. Proven tells that in the last two weeks it was in a tunnel of
	// ours that worked.
	Met, Proven bool
	// Usable is as [Profiles.Usable] has it.
	Usable bool
}

// Standing tells how a peer stands.
func (p *Profiles) Standing(now time.Time, h data.Hash) Standing {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.standing(now, h)
}

func (p *Profiles) standing(now time.Time, h data.Hash) Standing {
	of := p.peers[h]
	if of == nil {
		return Standing{Score: unknownScore, Usable: !p.banned(now, h)}
	}
	s := Standing{
		Score:  of.score(now),
		Pace:   float64(of.pace) * of.worth(now),
		Met:    !of.met.IsZero() && now.Sub(of.met) < forgetAfter,
		Proven: of.isProven(now),
		Usable: !p.banned(now, h) && of.usable(now),
	}
	if of.delayed > 0 {
		mean := min(float64(of.delays)/float64(of.delayed), maxDelay.Seconds())
		s.Delay = time.Duration(mean * float64(time.Second))
	}
	return s
}

// maxDelay is longer than any message is under way.
const maxDelay = time.Hour

// isProven tells that the peer has carried a tunnel of ours of late.
func (of *peer) isProven(now time.Time) bool {
	return !of.proven.IsZero() && now.Sub(of.proven) < provenFor
}
