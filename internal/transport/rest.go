package transport

import (
	"errors"
	"time"

	"allium/internal/data"
	"allium/internal/transport/ntcp2"
)

const (
	// A router that could not be reached is left alone for so long, twice as
	// long after each further failure.
	firstRest = 5 * time.Second
	longRest  = time.Minute
	// restMemory is how long after its rest a failure still makes the next
	// rest longer.
	restMemory = time.Hour
	// maxResting bounds how many such routers are remembered.
	maxResting = 4096
)

// resting are the routers that could not be reached.
type resting map[data.Hash]rest

type rest struct {
	until     time.Time
	pause     time.Duration
	published time.Time // of the RouterInfo that did not help
}

// holds tells whether a router is to be left alone. One that has published a
// newer RouterInfo is alive, and may have moved.
func (all resting) holds(now time.Time, ri *data.RouterInfo) bool {
	last, ok := all[ri.Hash()]
	return ok && now.Before(last.until) && !ri.Published().After(last.published)
}

// add leaves a router alone for a while.
func (all resting) add(now time.Time, ri *data.RouterInfo, cause error) {
	peer, pause := ri.Hash(), firstRest
	last, again := all[peer]
	if again && now.Sub(last.until) < restMemory {
		pause = min(2*last.pause, longRest)
	}
	if ours(cause) {
		pause = firstRest
	}
	if !again && len(all) >= maxResting {
		all.dropFirst()
	}
	all[peer] = rest{until: now.Add(pause), pause: pause, published: ri.Published()}
}

// ours tells failures that say nothing about the peer.
func ours(cause error) bool {
	return errors.Is(cause, ErrOffline) || errors.Is(cause, ntcp2.ErrBusy)
}

// dropFirst forgets the router whose rest ends first.
func (all resting) dropFirst() {
	var first data.Hash
	var until time.Time
	for peer, r := range all {
		if until.IsZero() || r.until.Before(until) || r.until.Equal(until) && peer.Compare(first) < 0 {
			first, until = peer, r.until
		}
	}
	delete(all, first)
}
