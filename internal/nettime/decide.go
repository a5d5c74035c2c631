package nettime

import (
	"slices"
	"time"
)

// How witnesses are weighed.
//
// Servers testify when two or more answered and more than half of those lie
// within a second of their median; peers when five or more, of different
// networks, are known and more than half lie within five seconds of theirs.
// The median of all is what they say: a minority of liars, all on one side,
// moves it no further than the honest ones differ. A witness who tells a time
// before the program was made, or ten years after, is not heard.
//
//   - One kind alone is believed.
//   - When both testify to the same time, within ten seconds, the servers are
//     taken, for they are finer.
//   - When they do not, and one of them says that our clock is right, it stays.
//   - Else peers are believed if ten or more are known and three of four agree:
//     they prove who they are, and an answer of a server can be forged by
//     whoever carries it.
//   - Else servers are believed if three or more agree.
//   - Else nobody is.
const (
	minServers, serverSpread = 2, time.Second
	minPeers, peerSpread     = 5, 5 * time.Second
	// manyPeers and manyServers are enough to be believed against the others.
	manyPeers, manyServers = 10, 3
	// sameTime is how far servers and peers may differ.
	sameTime = 10 * time.Second
	// What is not worth a step: servers are exact, peers tell whole seconds.
	serverSlack, peerSlack = 500 * time.Millisecond, 2 * time.Second
	// maxStep and stepEvery bound the steps after the first.
	maxStep, stepEvery = 10 * time.Second, time.Minute
	// plausibleFor is how long after its making the program believes the date.
	plausibleFor = 10 * 365 * 24 * time.Hour
)

// Source is who told the time.
type Source string

// The sources.
const (
	Nobody  Source = ""
	Servers Source = "servers"
	Peers   Source = "peers"
	Both    Source = "servers and peers"
)

// Reason is why the time is not known better, for people.
type Reason string

// The reasons.
const (
	TooFew      Reason = "not enough servers or peers have told the time"
	Disagree    Reason = "servers or peers do not agree among themselves"
	Contrary    Reason = "servers and peers do not agree with each other"
	Implausible Reason = "the times told cannot be: before this program was made, or ten years after"
)

// evidence is what is known at one moment. Times are how far a witness is
// ahead of the network time as it stands.
type evidence struct {
	now     time.Time     // the network time as it stands
	uptime  time.Duration // on a clock that nobody sets
	servers []time.Duration
	peers   []time.Duration
}

// finding is what follows from it.
type finding struct {
	step   time.Duration // how far to move the network time ahead
	first  bool          // it is the first since the time was lost
	more   bool          // the step is not all that is wrong
	source Source
	reason Reason // with source Nobody
}

// course is what decisions depend on besides the evidence.
type course struct {
	built     time.Time // when the program was made
	confirmed bool      // the time has been known since the start or the last sleep
	stepped   time.Duration
}

// decide weighs the evidence.
func (c *course) decide(e evidence) finding {
	ahead, source, reason := c.weigh(e)
	if source == Nobody {
		return finding{reason: reason}
	}
	f := finding{source: source, first: !c.confirmed}
	c.confirmed = true
	slack := serverSlack
	if source == Peers {
		slack = peerSlack
	}
	switch {
	case ahead.Abs() < slack:
		return f
	case f.first:
		f.step = ahead
	case e.uptime-c.stepped >= stepEvery:
		f.step = min(max(ahead, -maxStep), maxStep)
	}
	f.more = f.step != ahead
	if f.step != 0 {
		c.stepped = e.uptime
	}
	return f
}

// weigh tells how far ahead the true time is, according to whom, and why
// nobody is believed.
func (c *course) weigh(e evidence) (time.Duration, Source, Reason) {
	s := c.hear(e, e.servers, minServers, serverSpread)
	p := c.hear(e, e.peers, minPeers, peerSpread)
	switch {
	case !s.testifies && !p.testifies && s.reason != TooFew:
		return 0, Nobody, s.reason
	case !s.testifies && !p.testifies:
		return 0, Nobody, p.reason
	case !p.testifies:
		return s.ahead, Servers, ""
	case !s.testifies:
		return p.ahead, Peers, ""
	case (s.ahead - p.ahead).Abs() <= sameTime:
		return s.ahead, Both, ""
	case s.ahead.Abs() <= sameTime:
		return 0, Servers, ""
	case p.ahead.Abs() <= sameTime:
		return 0, Peers, ""
	case p.of >= manyPeers && 4*p.agree >= 3*p.of:
		return p.ahead, Peers, ""
	case s.agree >= manyServers:
		return s.ahead, Servers, ""
	}
	return 0, Nobody, Contrary
}

// testimony is what the witnesses of one kind say together.
type testimony struct {
	testifies bool
	ahead     time.Duration // their median
	agree, of int
	reason    Reason // why they do not testify
}

// hear hears the witnesses of one kind.
func (c *course) hear(e evidence, all []time.Duration, least int, spread time.Duration) testimony {
	var sorted []time.Duration
	for _, ahead := range all {
		if t := e.now.Add(ahead); !t.Before(c.built) && t.Sub(c.built) < plausibleFor {
			sorted = append(sorted, ahead)
		}
	}
	n := len(sorted)
	switch {
	case n < least && len(all) >= least:
		return testimony{reason: Implausible}
	case n < least:
		return testimony{reason: TooFew}
	}
	slices.Sort(sorted)
	low, high := sorted[(n-1)/2], sorted[n/2]
	t := testimony{ahead: low + (high-low)/2, of: n}
	for _, ahead := range sorted {
		if (ahead - t.ahead).Abs() <= spread {
			t.agree++
		}
	}
	t.testifies = 2*t.agree > n
	if !t.testifies {
		t.reason = Disagree
	}
	return t
}
