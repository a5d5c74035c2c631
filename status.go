package allium

import (
	"maps"
	"slices"
	"time"

	"allium/internal/destination"
	"allium/internal/netdb/floodfill"
	"allium/internal/netdb/query"
	"allium/internal/router"
	"allium/internal/transport"
	"allium/internal/tunnel/pool"
	"allium/internal/tunnel/transit"
)

// Status is a snapshot of a router, in plain values that make good JSON.
type Status struct {
	Router    string `json:"router"` // its hash
	Network   int    `json:"network"`
	Floodfill bool   `json:"floodfill"`
	// FloodfillWhy is why it is one, or is none, in words.
	FloodfillWhy string  `json:"floodfill_why"`
	UptimeS      float64 `json:"uptime_s"`
	// Ready tells that the router has tunnels of its own both ways.
	Ready      bool        `json:"ready"`
	Joining    Joining     `json:"joining"`
	Reseed     Reseed      `json:"reseed"`
	ClockSkewS float64     `json:"clock_skew_s"` // the median of peers' clocks against ours
	Clock      Clock       `json:"clock"`
	Ports      PortMapping `json:"port_mapping"`
	Known      Known       `json:"known"`
	Lookups    Lookups     `json:"lookups"`
	Peers      Peers       `json:"peers"`
	// Reachability is how others connect to us, over IPv4 and over IPv6.
	Reachability []Reachability  `json:"reachability"`
	Builds       Builds          `json:"builds"`
	Pools        []Pool          `json:"pools"`
	Transit      Transit         `json:"transit"`
	Bandwidth    Bandwidth       `json:"bandwidth"`
	Messages     Messages        `json:"messages"`
	Served       Served          `json:"served"`
	Sessions     []SessionStatus `json:"sessions"`
}

// Known is what the router knows of the network.
type Known struct {
	Routers    int `json:"routers"`
	Floodfills int `json:"floodfills"`
	LeaseSets  int `json:"lease_sets"` // kept for others, as a floodfill
}

// Lookups are what is asked of the network database, and what was noticed.
type Lookups = query.Status

// Served is what others have asked of the router's part of the network
// database and stored there.
type Served = floodfill.Status

// Peers are connections with other routers, now and since the start.
type Peers struct {
	Sessions int    `json:"sessions"`
	Inbound  int    `json:"inbound"` // of those, dialled by the peer
	Dialling int    `json:"dialling"`
	Dialled  uint64 `json:"dialled"`
	Accepted uint64 `json:"accepted"`
	Failed   uint64 `json:"failed"`
	Evicted  uint64 `json:"evicted"` // closed because there were too many
	Refused  uint64 `json:"refused"` // not taken for that reason
	Dropped  uint64 `json:"dropped"` // messages that waited for a dial in vain
	// Ended counts the sessions that are gone, by why: "peer: " stands before
	// the reason a peer has given.
	Ended map[string]uint64 `json:"ended"`
}

// Reachability is whether others can connect to us over one family of
// addresses, and how we know.
type Reachability struct {
	Family string `json:"family"` // ipv4 or ipv6
	// State is unused, unknown, reachable or firewalled.
	State string `json:"state"`
	// Address is what is published, if anything, since Since. Source is how it
	// is known: settings, listen, sessions or mapped; with sessions, Agree is
	// how many peers of different networks have one that ends at it.
	Address string    `json:"address,omitempty"`
	Source  string    `json:"source,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	Agree   int       `json:"agree"`
	// Inbound counts the peers that connected to it, Last is when the last did.
	Inbound uint64    `json:"inbound"`
	Last    time.Time `json:"last,omitzero"`
}

func reachability(all []transport.Reachability) []Reachability {
	list := make([]Reachability, len(all))
	for i, f := range all {
		list[i] = Reachability{
			Family: f.Family.String(), State: string(f.State), Source: string(f.Source),
			Since: f.Since, Agree: f.Agree, Inbound: f.Inbound, Last: f.Last,
		}
		if f.Address.IsValid() {
			list[i].Address = f.Address.String()
		}
	}
	return list
}

// Builds sums up the tunnel builds of all pools.
type Builds struct {
	Built    int `json:"built"`
	Failed   int `json:"failed"`
	Late     int `json:"late"`
	Held     int `json:"held"` // never sent: no peers, no tunnel for the request, no worker
	UnderWay int `json:"under_way"`
	// Success is the share of builds whose answers were all yes, late ones
	// not counted; 0 before the first.
	Success float64 `json:"success"`
	// Causes is why builds failed.
	Causes map[string]int `json:"causes"`
	// Lately is how they went in the last two minutes, and whether so few
	// succeed that only routers are chosen which have carried tunnels before.
	Lately Weather `json:"lately"`
	// Candidates are the routers to build through, by class.
	Candidates map[string]int `json:"candidates"`
}

// Weather is how tunnel builds went of late.
type Weather = pool.Weather

// Pool is the tunnels of one context.
type Pool struct {
	Name        string   `json:"name"`
	Inbound     PoolSide `json:"inbound"`
	Outbound    PoolSide `json:"outbound"`
	Passed      int      `json:"tests_passed"`
	TestsFailed int      `json:"tests_failed"`
}

// PoolSide is one direction of it.
type PoolSide struct {
	Wanted   int            `json:"wanted"`
	Good     int            `json:"good"`
	Building int            `json:"building"`
	Built    int            `json:"built"`
	Failed   int            `json:"failed"`
	Late     int            `json:"late"`
	Held     int            `json:"held"`
	Dropped  int            `json:"dropped"`
	RTTms    float64        `json:"rtt_ms"` // of tests, there and back
	Causes   map[string]int `json:"causes,omitempty"`
}

// Transit is the tunnels carried for others, and what became of requests and
// messages; the reasons are in words.
type Transit struct {
	Participants      int `json:"participants"`
	InboundGateways   int `json:"inbound_gateways"`
	OutboundEndpoints int `json:"outbound_endpoints"`

	Requests   uint64            `json:"requests"`
	Waiting    int               `json:"waiting"`
	Accepted   uint64            `json:"accepted"`
	Refused    map[string]uint64 `json:"refused"`
	Ignored    map[string]uint64 `json:"ignored"`
	Unanswered uint64            `json:"unanswered"`

	Messages uint64            `json:"messages"`
	Bytes    uint64            `json:"bytes"`
	Dropped  map[string]uint64 `json:"dropped"`
	// Pressure is how near the nearest of its limits the router is, 0 to 1;
	// from a half on it refuses tunnels now and then. Pressures tells of each.
	Pressure  float64           `json:"pressure"`
	Pressures transit.Pressures `json:"pressures"`
}

// TransitTunnel is one of the tunnels carried for others.
type TransitTunnel = transit.Tunnel

// TransitTunnels lists the tunnels carried for others, the oldest first.
func (r *Router) TransitTunnels() []TransitTunnel { return r.rt.Carried() }

func transitStatus(s transit.Stats) Transit {
	return Transit{
		Participants: s.Participants, InboundGateways: s.InboundGateways, OutboundEndpoints: s.OutboundEndpoints,
		Requests: s.Requests, Waiting: s.Waiting, Accepted: s.Accepted, Unanswered: s.Unanswered,
		Refused: inWords(s.Refused), Ignored: inWords(s.Ignored), Dropped: inWords(s.Dropped),
		Messages: s.Messages, Bytes: s.Bytes, Pressure: s.Pressure, Pressures: s.Pressures,
	}
}

func inWords(counts map[transit.Reason]uint64) map[string]uint64 {
	words := make(map[string]uint64, len(counts))
	for reason, n := range counts {
		words[reason.String()] = n
	}
	return words
}

// Bandwidth is what passes on the wire, each way: bytes since the start, their
// rate over 15 seconds, and the limits.
type Bandwidth struct {
	In    router.Line  `json:"in"`
	Out   router.Line  `json:"out"`
	Quota router.Quota `json:"quota"`
}

// Messages counts I2NP messages, and those that came to nothing.
type Messages struct {
	Received      uint64 `json:"received"`
	Malformed     uint64 `json:"malformed"`
	Expired       uint64 `json:"expired"`
	Repeated      uint64 `json:"repeated"`
	Unknown       uint64 `json:"unknown"`
	Busy          uint64 `json:"busy"`
	Undeliverable uint64 `json:"undeliverable"`
}

// SessionStatus is a snapshot of a session.
type SessionStatus struct {
	Name      string    `json:"name"`
	Host      string    `json:"host"`
	Ready     bool      `json:"ready"`
	Leases    int       `json:"leases"`
	Published time.Time `json:"published"`
	Streams   int       `json:"streams"`
	Sent      uint64    `json:"sent"`
	Received  uint64    `json:"received"`
	// Lost counts messages that could not be opened, read or sent.
	Lost uint64 `json:"lost"`
}

// Status tells how the router is.
func (r *Router) Status() Status {
	in := r.rt.Status(r.host.Now())
	s := Status{
		Router: in.Router.String(), Network: int(in.NetID), Floodfill: in.Floodfill,
		FloodfillWhy: in.FloodfillWhy,
		UptimeS:      in.Uptime.Seconds(), Ready: in.Ready, ClockSkewS: in.ClockSkew.Seconds(),
		Clock:        clockStatus(r.clock.Status()),
		Reseed:       r.reseedStatus(),
		Ports:        r.portStatus(),
		Known:        Known(in.Known),
		Lookups:      in.Queries,
		Peers:        Peers(in.Transport),
		Reachability: reachability(in.Reachable),
		Builds:       Builds{UnderWay: in.Building, Causes: map[string]int{}, Lately: in.Weather, Candidates: in.Candidates},
		Pools:        []Pool{},
		Transit:      transitStatus(in.Transit),
		Bandwidth:    Bandwidth(in.Bandwidth),
		Messages:     Messages(in.Messages),
		Served:       in.Served,
		Sessions:     []SessionStatus{},
	}
	for _, p := range in.Pools {
		s.Pools = append(s.Pools, poolStatus(p))
		s.Builds.add(p.Inbound)
		s.Builds.add(p.Outbound)
	}
	if n := s.Builds.Built + s.Builds.Failed; n > 0 {
		s.Builds.Success = float64(s.Builds.Built) / float64(n)
	}
	for _, session := range r.openSessions() {
		s.Sessions = append(s.Sessions, session.Status())
	}
	s.Joining = r.joiningStatus(&s, r.host.Now())
	return s
}

// openSessions are the sessions, in the order of their hashes.
func (r *Router) openSessions() []*Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Keys(r.sessions), func(a, b *Session) int { return a.d.Hash().Compare(b.d.Hash()) })
}

// Status tells how the session is.
func (s *Session) Status() SessionStatus {
	return sessionStatus(s.d.Status(s.r.host.Now()), s.streams.Len())
}

func sessionStatus(d destination.Status, streams int) SessionStatus {
	return SessionStatus{
		Name: d.Name, Host: d.B32, Ready: d.Ready, Leases: d.Leases, Published: d.Published,
		Streams: streams, Sent: d.Sent, Received: d.Received, Lost: d.Unsealed + d.Malformed + d.Unsent,
	}
}

func (b *Builds) add(side pool.Status) {
	b.Built += side.Built
	b.Failed += side.Failed
	b.Late += side.Late
	b.Held += side.Held
	for cause, n := range side.Causes {
		b.Causes[string(cause)] += n
	}
}

func poolStatus(p pool.PoolStatus) Pool {
	return Pool{
		Name: p.Name, Inbound: poolSide(p.Inbound), Outbound: poolSide(p.Outbound),
		Passed: p.Tests.Passed, TestsFailed: p.Tests.Failed,
	}
}

func poolSide(s pool.Status) PoolSide {
	side := PoolSide{
		Wanted: s.Wanted, Good: s.Good, Building: s.Building, Built: s.Built,
		Failed: s.Failed, Late: s.Late, Held: s.Held, Dropped: s.Dropped,
		RTTms: float64(s.RTT) / float64(time.Millisecond), Causes: map[string]int{},
	}
	for cause, n := range s.Causes {
		side.Causes[string(cause)] = n
	}
	return side
}
