package router

import (
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/netdb/floodfill"
	"allium/internal/netdb/query"
	"allium/internal/transport"
	"allium/internal/tunnel/pool"
	"allium/internal/tunnel/transit"
)

// Status is a snapshot of a router.
type Status struct {
	Router    data.Hash
	NetID     uint8
	Floodfill bool
	// FloodfillWhy is why it is one, or is none, in words.
	FloodfillWhy string
	Uptime       time.Duration
	// Ready tells that the router has tunnels of its own, in and out.
	Ready     bool
	ClockSkew time.Duration // of the median of peers
	Known     struct{ Routers, Floodfills, LeaseSets int }
	Transport transport.Stats
	Reachable []transport.Reachability // for each family
	Pools     []pool.PoolStatus
	Building  int
	Weather   pool.Weather
	// Candidates are the routers that may be hops, by class.
	Candidates map[string]int
	Queries    query.Status
	Served     floodfill.Status
	Transit    transit.Stats
	Bandwidth  Bandwidth
	Messages   Messages
}

// Bandwidth is what passes on the wire, by whom it serves: ourselves, other
// routers (handshakes, and answers to requests for tunnels and of the netDb),
// and tunnels we carry.
type Bandwidth struct {
	In, Out Line
	Quota   Quota
}

// Quota is what of a month's allowance is left, and until when. It is all zero
// without one.
type Quota struct {
	Limit uint64    `json:"limit"`
	Left  uint64    `json:"left"`
	Ends  time.Time `json:"ends,omitzero"`
}

// Line is one direction of it.
type Line struct {
	Own     Traffic `json:"own"`
	Control Traffic `json:"control"`
	Transit Traffic `json:"transit"`
	// The limits in bytes per second, 0 where there is none, and -1 where
	// nothing may pass. Control and Transit have one together.
	OwnLimit   int64 `json:"own_limit"`
	LentLimit  int64 `json:"lent_limit"`
	TotalLimit int64 `json:"total_limit"`
}

// Traffic is one class of traffic in one direction.
type Traffic struct {
	Bytes uint64  `json:"bytes"`
	Rate  float64 `json:"bytes_per_s"` // over 15 seconds
}

// Messages counts what was received, and what of it came to nothing.
type Messages struct {
	Received, Malformed, Expired, Repeated, Unknown, Busy, Undeliverable uint64
}

// Status tells how the router is at now.
func (rt *Router) Status(now time.Time) Status {
	s := Status{
		Router:    rt.hash,
		NetID:     rt.cfg.NetID,
		Floodfill: rt.own.floodfill(), FloodfillWhy: rt.duty.Reason(),
		Uptime:    rt.uptime(now),
		Transport: rt.transport.Stats(),
		Reachable: rt.transport.Reachability(now),
		Building:  rt.builder.Building(),
		Weather:   rt.builder.Weather(now),
		Queries:   rt.queries.Status(),
		Served:    rt.floodfill.Status(),
		Transit:   rt.transit.Stats(),
	}
	s.ClockSkew, _ = rt.transport.ClockSkew()
	s.Known.Routers, s.Known.Floodfills, s.Known.LeaseSets = rt.db.Len(), rt.db.Floodfills(), rt.published.Len()
	s.Candidates = rt.selector.Classes(now)
	for _, c := range rt.openContexts() {
		s.Pools = append(s.Pools, c.Pool.Status(now))
	}
	own := rt.explore.Pool.Status(now)
	s.Ready = own.Inbound.Good > 0 && own.Outbound.Good > 0
	limits := rt.limiter.Limits()
	s.Bandwidth = Bandwidth{
		In:  rt.line(now, bandwidth.In, limits.In),
		Out: rt.line(now, bandwidth.Out, limits.Out),
	}
	if rt.quota != nil {
		s.Bandwidth.Quota.Limit = rt.quota.limit
		s.Bandwidth.Quota.Left, s.Bandwidth.Quota.Ends = rt.quota.left(now)
	}
	c := &rt.counts
	s.Messages = Messages{
		Received: c.received.Load(), Malformed: c.malformed.Load(), Expired: c.expired.Load(),
		Repeated: c.repeated.Load(), Unknown: c.unknown.Load(), Busy: c.busy.Load(),
		Undeliverable: c.undeliverable.Load(),
	}
	return s
}

// Carried lists the tunnels we carry for others, the oldest first.
func (rt *Router) Carried() []transit.Tunnel { return rt.transit.Tunnels() }

func (rt *Router) line(now time.Time, d bandwidth.Direction, limit bandwidth.Line) Line {
	return Line{
		Own: rt.traffic(now, d, bandwidth.Own), OwnLimit: limit.Own,
		Control: rt.traffic(now, d, bandwidth.Control),
		Transit: rt.traffic(now, d, bandwidth.Transit), LentLimit: limit.Transit,
		TotalLimit: limit.Total,
	}
}

func (rt *Router) traffic(now time.Time, d bandwidth.Direction, c bandwidth.Class) Traffic {
	return Traffic{rt.limiter.Total(d, c), rt.limiter.Average(now, d, c, bandwidth.FifteenSeconds)}
}
