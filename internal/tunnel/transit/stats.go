package transit

import (
	"sync/atomic"
	"time"

	"allium/internal/tunnel/build"
)

// Reason is why a request was ignored or refused, or a message dropped.
type Reason uint8

// The reasons.
const (
	none        Reason = iota
	Malformed          // not what the specification describes, or not for us
	Invalid            // a request that no honest router makes, or too old
	Duplicate          // it came before
	Misdirected        // not from the previous hop, or not what our role takes
	Share              // the neighbour has its share of tunnels
	Crowded            // the neighbour has its share of requests waiting
	Late               // it waited too long, or its time was over
	Busy               // workers have too much to do
	Stopped            // we take no tunnels
	Full               // we have as many tunnels as we may, or nearly so
	Limited            // bandwidth
	Taken              // the tunnel ID is in use
	Unsupported        // a cipher we do not have
	Unsent             // there is no way to the next router, or it is full
	reasons
)

var words = [reasons]string{
	Malformed: "malformed", Invalid: "invalid", Duplicate: "duplicate", Misdirected: "misdirected",
	Share: "share used up", Crowded: "crowded", Late: "late", Busy: "busy", Stopped: "not accepting",
	Full: "full", Limited: "bandwidth", Taken: "tunnel ID taken", Unsupported: "unsupported", Unsent: "unsent",
}

// String says it in a word or two.
func (w Reason) String() string {
	if w < reasons {
		return words[w]
	}
	return ""
}

// MarshalText is String.
func (w Reason) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// Stats is what we do for others, and have done so far.
type Stats struct {
	// Tunnels by role.
	Participants      int `json:"participants"`
	InboundGateways   int `json:"inbound_gateways"`
	OutboundEndpoints int `json:"outbound_endpoints"`

	// Requests is all that came; each was accepted, refused or ignored, or
	// still waits.
	Requests uint64            `json:"requests"`
	Waiting  int               `json:"waiting"`
	Accepted uint64            `json:"accepted"`
	Refused  map[Reason]uint64 `json:"refused,omitempty"`
	Ignored  map[Reason]uint64 `json:"ignored,omitempty"`
	// Unanswered are those, accepted or refused, whose answer could not be
	// sent.
	Unanswered uint64 `json:"unanswered"`

	// Messages and Bytes were sent on. Dropped are tunnel messages and I2NP
	// messages.
	Messages uint64            `json:"messages"`
	Bytes    uint64            `json:"bytes"`
	Dropped  map[Reason]uint64 `json:"dropped,omitempty"`
	// Pressure is how near the nearest of our limits is, 0 to 1. From a half
	// on tunnels are refused now and then. Pressures tells of each.
	Pressure  float64   `json:"pressure"`
	Pressures Pressures `json:"pressures"`
}

// Tunnel is the state of one tunnel we carry.
type Tunnel struct {
	Role    build.Role `json:"role"`
	Expires time.Time  `json:"expires"`
	// Messages were sent on, Limited dropped for want of bandwidth.
	Messages uint64 `json:"messages"`
	Limited  uint64 `json:"limited"`
}

// counts is Stats in the making.
type counts struct {
	requests, accepted, unanswered, messages, bytes atomic.Uint64

	refused, ignored, dropped tally
}

// tally counts by reason.
type tally [reasons]atomic.Uint64

// read gives those that occurred.
func (c *tally) read() map[Reason]uint64 {
	m := make(map[Reason]uint64)
	for w := range c {
		if n := c[w].Load(); n > 0 {
			m[Reason(w)] = n
		}
	}
	return m
}

// Stats gives the counts so far.
func (t *Transit) Stats() Stats {
	s := Stats{
		Requests:   t.counts.requests.Load(),
		Accepted:   t.counts.accepted.Load(),
		Unanswered: t.counts.unanswered.Load(),
		Messages:   t.counts.messages.Load(),
		Bytes:      t.counts.bytes.Load(),
		Refused:    t.counts.refused.read(),
		Ignored:    t.counts.ignored.read(),
		Dropped:    t.counts.dropped.read(),
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Participants = t.tunnels.roles[build.Participant]
	s.InboundGateways = t.tunnels.roles[build.InboundGateway]
	s.OutboundEndpoints = t.tunnels.roles[build.OutboundEndpoint]
	s.Waiting = t.queue.size + t.serving
	s.Pressures = t.pressed()
	s.Pressure = s.Pressures.Most()
	return s
}

// Tunnels lists the tunnels we carry, the oldest first.
func (t *Transit) Tunnels() []Tunnel {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Tunnel, 0, len(t.tunnels.hops))
	for _, h := range t.tunnels.hops {
		all = append(all, Tunnel{
			Role: h.role, Expires: h.expires,
			Messages: h.relayed.Load(), Limited: h.limited.Load(),
		})
	}
	return all
}
