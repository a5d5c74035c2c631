package destination

import (
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel/pool"
)

const (
	// gatherLeases is how long a change waits for others: tunnels tend to
	// come in groups, and peers take one LeaseSet a second at most.
	gatherLeases = time.Second
	// renewLeasesBefore is when a LeaseSet is made anew although no tunnel has
	// come or gone, before its last lease ends.
	renewLeasesBefore = 90 * time.Second
	// retryPublish is how soon a store that nobody confirmed is repeated, or
	// up to twice as late.
	retryPublish = 5 * time.Second
	// maxLeases is how many leases we publish.
	maxLeases = 8
	// forgottenBefore is how long before its end a lease may be missing from
	// the tunnels we have, without being worth a new LeaseSet.
	forgottenBefore = 30 * time.Second
)

// leases is our LeaseSet and what becomes of it.
type leases struct {
	current *data.LeaseSet2
	// number counts our LeaseSets. Deliveries of one are tracked by it.
	number garlic.Handle
	// store is current as peers get it along with messages.
	store []byte
	// storedUntil is when the last of those ends that a floodfill has confirmed.
	storedUntil time.Time

	gather    host.Timer
	gathering bool
	retry     host.Timer
}

// reachable tells whether a way leads to us.
func (l *leases) reachable(now time.Time) bool {
	return l.current != nil && now.Before(l.current.Expires())
}

// leasesChanged makes a new LeaseSet soon.
func (d *Destination) leasesChanged(*host.Round) {
	if !d.opened.Load() {
		return // Open calls again
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.leases.gathering || d.closed {
		return
	}
	d.leases.gathering = true
	d.leases.gather = d.h.AfterFunc(gatherLeases, d.makeLeaseSet)
}

// renewLeases makes a new LeaseSet when the one there is will not last.
func (d *Destination) renewLeases(r *host.Round) {
	d.mu.Lock()
	ls := d.leases.current
	d.mu.Unlock()
	if ls != nil && r.Now.After(ls.Expires().Add(-renewLeasesBefore)) {
		d.leasesChanged(r)
	}
}

// makeLeaseSet signs a LeaseSet of the tunnels there are and publishes it,
// unless it would say nothing new.
func (d *Destination) makeLeaseSet(r *host.Round) {
	now := leasesOf(d.context.Pool.Inbounds(r.Now))
	d.mu.Lock()
	d.leases.gathering = false
	old, closed := d.leases.current, d.closed
	d.mu.Unlock()
	if closed || len(now) == 0 || old != nil && stands(r.Now, old.Leases(), now) {
		return
	}
	ls, err := data.SignLeaseSet2(d.keys.Signing, data.LeaseSet2Content{
		Destination: d.keys.Destination,
		Published:   publishedAfter(old, r.Now),
		Unpublished: d.cfg.Unpublished,
		Offline:     d.keys.Offline,
		Keys:        []data.EncryptionKey{{Type: data.X25519, Key: d.key.Public[:]}},
		Leases:      now,
	})
	if err != nil {
		d.log.Error("cannot sign our LeaseSet", "err", wrapped("LeaseSet", err))
		return
	}
	if d.adopt(old, ls) && !d.cfg.Unpublished {
		d.publish(r, ls)
	}
}

// leasesOf are the leases of tunnels.
func leasesOf(tunnels []*pool.Inbound) []data.Lease {
	var all []data.Lease
	for _, t := range tunnels[:min(len(tunnels), maxLeases)] {
		gateway, id := t.Gateway()
		all = append(all, data.Lease{Gateway: gateway, TunnelID: uint32(id), Expires: t.Expires().Truncate(time.Second).UTC()})
	}
	return all
}

// stands reports whether a LeaseSet with the leases said is still right when
// these are: all of them are in it, and of the others none will be tried for
// long.
func stands(now time.Time, said, leases []data.Lease) bool {
	for _, l := range leases {
		if !slices.Contains(said, l) {
			return false
		}
	}
	for _, l := range said {
		if l.Expires.Sub(now) > forgottenBefore && !slices.Contains(leases, l) {
			return false
		}
	}
	return true
}

// publishedAfter is the date of a LeaseSet that is to replace old: later, if
// only by a second that has not come yet. A date far ahead is of a clock that
// was wrong; nobody has taken it.
func publishedAfter(old *data.LeaseSet2, now time.Time) time.Time {
	now = now.Truncate(time.Second)
	if old == nil || now.After(old.Published()) || old.Published().Sub(now) > data.RouterInfoMaxFuture {
		return now
	}
	return old.Published().Add(time.Second)
}

// adopt makes ls our LeaseSet, unless there is another by now.
func (d *Destination) adopt(old, ls *data.LeaseSet2) bool {
	store := i2np.DatabaseStore{Key: ls.Key(), Type: i2np.StoreType(ls.Type()), Data: ls.Bytes()}
	body := store.Append(nil)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.leases.current != old || d.closed {
		return false
	}
	d.leases.current, d.leases.store = ls, body
	d.leases.number++
	return true
}

// publish stores a LeaseSet in the network, again and again until it is found
// there or there is a newer one. From the first confirmation on the
// Destination counts as reachable.
func (d *Destination) publish(r *host.Round, ls *data.LeaseSet2) {
	kept := func(r *host.Round) {
		d.mu.Lock()
		closed := d.closed
		if ls.Expires().After(d.leases.storedUntil) {
			d.leases.storedUntil = ls.Expires()
		}
		d.mu.Unlock()
		if !closed {
			d.up.Ready(r, d.Ready(r.Now))
		}
	}
	d.context.Publish(r, ls, kept, func(r *host.Round, err error) {
		if err == nil {
			return
		}
		d.log.Debug("LeaseSet not stored", "err", err)
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.closed && d.leases.current == ls {
			d.leases.retry = d.h.AfterFunc(random.Between(retryPublish, 2*retryPublish), func(r *host.Round) { d.publishAgain(r, ls) })
		}
	})
}

func (d *Destination) publishAgain(r *host.Round, ls *data.LeaseSet2) {
	d.mu.Lock()
	wanted := d.leases.current == ls && !d.closed
	d.mu.Unlock()
	if wanted {
		d.publish(r, ls)
	}
}
