package router

import (
	"time"

	"allium/internal/host"
	"allium/internal/netdb/floodfill"
	"allium/internal/random"
)

const (
	// dutyEvery is how often it is looked at whether to be a floodfill.
	dutyEvery  = 9 * time.Minute
	dutySpread = 2 * time.Minute
)

// reviewLater looks at whether to be a floodfill, again and again.
func (rt *Router) reviewLater(*host.Round) {
	rt.after(dutyEvery+random.Between(0, dutySpread), func(r *host.Round) {
		rt.review(r)
		rt.reviewLater(r)
	})
}

// review looks at whether to be a floodfill, and tells the network when that
// has changed.
func (rt *Router) review(r *host.Round) {
	if !rt.duty.Review(rt.standing(r.Now)) {
		return
	}
	what := "no floodfill any more"
	if rt.duty.Active() {
		what = "floodfill from now on: keeping a part of the network database for others"
	}
	rt.log.Info(what, "why", rt.duty.Reason())
	rt.own.renew()
	rt.publishSoon(r)
}

// standing is how we are doing.
func (rt *Router) standing(now time.Time) floodfill.Standing {
	skew, _ := rt.transport.ClockSkew()
	return floodfill.Standing{
		Uptime:    rt.uptime(now),
		Share:     int(rt.cfg.lent()),
		Reachable: rt.own.isReachable(),
		Congested: rt.own.isCongested(),
		Routers:   rt.db.Len(),
		Sessions:  rt.transport.Stats().Sessions,
		Skew:      skew,
	}
}
