package router

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/random"
)

const (
	// resignAfter is the age at which our RouterInfo is signed anew: peers
	// refuse one older than 90 minutes in a handshake.
	resignAfter = 30 * time.Minute
	// Our RouterInfo is stored again so often, and soon after the start.
	publishEvery  = 35 * time.Minute
	publishSpread = 8 * time.Minute
	publishFirst  = 3 * time.Second
)

// ownInfo is our RouterInfo, signed whenever it is asked for and has become
// old, so that no handshake ever shows a stale one.
type ownInfo struct {
	rt *Router

	mu        sync.Mutex
	current   *data.RouterInfo
	addresses []data.RouterAddress
}

// get returns our RouterInfo, fresh at now.
func (o *ownInfo) get(now time.Time) *data.RouterInfo {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.current != nil && now.Sub(o.current.Published()).Abs() < resignAfter {
		return o.current
	}
	ri, err := o.sign(now)
	if err != nil {
		// Only settings no RouterInfo can hold lead here, and New has signed
		// one with the same.
		o.rt.log.Error("cannot sign our RouterInfo", "err", err)
		return o.current
	}
	o.current = ri
	return ri
}

// sign makes our RouterInfo.
func (o *ownInfo) sign(now time.Time) (*data.RouterInfo, error) {
	cfg := &o.rt.cfg
	published := false
	for _, a := range o.addresses {
		_, dialable := a.AddrPort()
		published = published || dialable
	}
	caps := data.Capabilities{
		Bandwidth:   data.BandwidthClass(int(cfg.Share)),
		Floodfill:   cfg.Floodfill,
		Reachable:   published,
		Unreachable: !published,
	}
	pairs := []data.Pair{
		{Key: data.OptionNetID, Value: strconv.Itoa(int(cfg.NetID))},
		{Key: data.OptionVersion, Value: data.RouterVersion},
		{Key: data.OptionCaps, Value: caps.String()},
	}
	if cfg.Floodfill {
		pairs = append(pairs,
			data.Pair{Key: data.OptionKnownRouters, Value: strconv.Itoa(o.rt.db.Len())},
			data.Pair{Key: data.OptionKnownLeaseSets, Value: strconv.Itoa(o.rt.published.Len())})
	}
	options, err := data.NewMapping(pairs...)
	if err != nil {
		return nil, fmt.Errorf("router: own RouterInfo: %w", err)
	}
	return data.SignRouterInfo(o.rt.id.Signing, o.rt.id.Identity, now, o.addresses, options)
}

// RouterInfo is our own, fresh at now.
func (rt *Router) RouterInfo(now time.Time) *data.RouterInfo { return rt.own.get(now) }

// publish stores our RouterInfo in the network, and again in time.
func (rt *Router) publish(r *host.Round) {
	ri := rt.own.get(r.Now)
	if rt.changed != nil {
		rt.changed(r, ri)
	}
	rt.queries.PublishRouter(r, ri)
	rt.after(publishEvery+random.Between(0, publishSpread), rt.publish)
}
