package floodfill

import (
	"encoding/binary"
	"time"

	"allium/internal/data"
	"allium/internal/random"

	"github.com/dchest/siphash"
)

// Limits, most of them Java's.
const (
	lookupWindow = 2 * time.Minute
	// lookupsToTunnel bounds the answers to one reply tunnel, or directly to
	// one router, in a window, of a floodfill and of others.
	lookupsToTunnel      = 14
	lookupsToTunnelOther = 3
	// lookupsToRouter bounds those to all tunnels of one gateway: with other
	// tunnel IDs an attacker could have us send any number of messages there.
	lookupsToRouter = 20 * lookupsToTunnel

	storeWindow = time.Minute
	// storesFrom bounds the stores of one router, of which any that knows of
	// a large network may have many.
	storesFrom = 1000

	floodWindow = 90 * time.Second
	// floodsOf bounds how often entries of one key are flooded.
	floodsOf = 3
)

// limitSlots is the size of the table of a limit.
const limitSlots = 1 << 14

// limit counts events by key within a window of time. Its table has a fixed
// size; the keys that share a slot, which nobody outside can tell, count as
// one.
type limit struct {
	window time.Duration
	k0, k1 uint64
	ends   time.Time
	slots  [limitSlots]uint16
}

func newLimit(window time.Duration) *limit {
	return &limit{window: window, k0: random.Uint64(), k1: random.Uint64()}
}

// allow counts one more event and reports whether there have been at most most.
func (l *limit) allow(now time.Time, key []byte, most int) bool {
	if !now.Before(l.ends) {
		l.ends = now.Add(l.window)
		clear(l.slots[:])
	}
	slot := &l.slots[siphash.Hash(l.k0, l.k1, key)%limitSlots]
	if int(*slot) >= most {
		return false
	}
	*slot++
	return true
}

// mayLookUp counts a lookup whose answer goes to a tunnel, or to a router
// itself.
func (f *Floodfill) mayLookUp(now time.Time, to data.Hash, id uint32, active bool) bool {
	var key [len(data.Hash{}) + 4]byte
	binary.BigEndian.PutUint32(key[copy(key[:], to[:]):], id)
	most := lookupsToTunnel
	if !active {
		most = lookupsToTunnelOther
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byTunnel.allow(now, key[:], most) && f.byRouter.allow(now, to[:], lookupsToRouter)
}

// mayStore counts a store. Those in garlic do not tell who sent them.
func (f *Floodfill) mayStore(now time.Time, from data.Hash) bool {
	if from.IsZero() {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bySender.allow(now, from[:], storesFrom)
}

// mayFlood counts a flood of a key.
func (f *Floodfill) mayFlood(now time.Time, key data.Hash) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.floods.allow(now, key[:], floodsOf)
}
