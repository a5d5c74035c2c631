package router

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"allium/internal/data"
)

const (
	// resignAfter is the age at which our RouterInfo is signed anew: peers
	// refuse one older than 90 minutes in a handshake.
	resignAfter = 30 * time.Minute
	// resignAhead is how far ahead of the clock it may be dated, which happens
	// when the clock is put right.
	resignAhead = 30 * time.Second
)

// ownInfo is our RouterInfo, signed whenever it is asked for and has become
// old, so that no handshake ever shows a stale one.
type ownInfo struct {
	rt *Router

	mu        sync.Mutex
	current   *data.RouterInfo
	outdated  bool // it is to be signed anew
	addresses []data.RouterAddress
	reach     reach
	load      data.Congestion
	faults    string // what was last found wrong with it
}

// reach is whether others can connect to us: neither while that is not known.
type reach struct{ yes, no bool }

// begin makes the first one.
func (o *ownInfo) begin(now time.Time, addresses []data.RouterAddress, r reach) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.addresses, o.reach = addresses, r
	var err error
	o.current, err = o.sign(now)
	return err
}

// get returns our RouterInfo, fresh at now.
func (o *ownInfo) get(now time.Time) *data.RouterInfo {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.current != nil && !o.outdated {
		if age := now.Sub(o.current.Published()); age > -resignAhead && age < resignAfter {
			return o.current
		}
	}
	ri, err := o.sign(now)
	if err != nil {
		// Only settings no RouterInfo can hold lead here, and begin has signed
		// one with the same.
		o.rt.log.Error("cannot sign our RouterInfo", "err", err)
		return o.current
	}
	o.current, o.outdated = ri, false
	return ri
}

// setAddresses says where we are.
func (o *ownInfo) setAddresses(addresses []data.RouterAddress, r reach) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.addresses, o.reach, o.outdated = addresses, r, true
}

// congestion is how loaded our RouterInfo says that we are. The lock is held.
func (o *ownInfo) congestion() data.Congestion {
	if !o.rt.cfg.transit().Accept {
		return data.RejectsTunnels
	}
	return o.load
}

func (o *ownInfo) isCongested() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.congestion() != data.NotCongested
}

// setLoad says how loaded we are. It reports whether that is a change.
func (o *ownInfo) setLoad(load data.Congestion) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.load == load {
		return false
	}
	o.load, o.outdated = load, true
	return true
}

// isPublished tells that there is an address to connect to us.
func (o *ownInfo) isPublished() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.published()
}

// published is isPublished. The lock is held.
func (o *ownInfo) published() bool {
	return slices.ContainsFunc(o.addresses, func(a data.RouterAddress) bool {
		_, ok := a.AddrPort()
		return ok
	})
}

// isReachable tells that others have connected to us there.
func (o *ownInfo) isReachable() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.reach.yes
}

// floodfill tells that we keep a part of the network database: it is our duty,
// and we can be reached.
func (o *ownInfo) floodfill() bool { return o.rt.duty.Active() && o.isPublished() }

// renew has our RouterInfo signed anew the next time it is asked for: what it
// says has changed.
func (o *ownInfo) renew() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.outdated = true
}

// sign makes our RouterInfo. The lock is held.
func (o *ownInfo) sign(now time.Time) (*data.RouterInfo, error) {
	cfg := &o.rt.cfg
	caps := data.Capabilities{
		Bandwidth:   data.BandwidthClass(int(cfg.lent())),
		Floodfill:   o.rt.duty.Active() && o.published(),
		Hidden:      cfg.Hidden,
		Reachable:   o.reach.yes,
		Unreachable: o.reach.no,
		Congestion:  o.congestion(),
	}
	pairs := []data.Pair{
		{Key: data.OptionNetID, Value: strconv.Itoa(int(cfg.NetID))},
		{Key: data.OptionVersion, Value: data.RouterVersion},
		{Key: data.OptionCaps, Value: caps.String()},
	}
	if caps.Floodfill {
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

// lint logs what others may take offence at, once. On a network of one's own
// that is nobody's worry.
func (o *ownInfo) lint(ri *data.RouterInfo) {
	faults := ""
	if err := ri.Lint(); err != nil {
		faults = err.Error()
	}
	o.mu.Lock()
	known := faults == o.faults
	o.faults = faults
	o.mu.Unlock()
	if faults == "" || known {
		return
	}
	level := slog.LevelWarn
	if o.rt.cfg.Private {
		level = slog.LevelDebug
	}
	o.rt.log.Log(context.Background(), level, "some routers will not accept our RouterInfo", "why", faults)
}

// RouterInfo is our own, fresh at now.
func (rt *Router) RouterInfo(now time.Time) *data.RouterInfo { return rt.own.get(now) }
