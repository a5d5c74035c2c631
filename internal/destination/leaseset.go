package destination

import (
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
)

const (
	// gatherLeases is how long a change waits for others: tunnels tend to
	// come in groups, and peers take one LeaseSet a second at most.
	gatherLeases = time.Second
	// renewLeasesBefore is when a LeaseSet is made anew although nothing has
	// changed, before its first lease ends.
	renewLeasesBefore = 90 * time.Second
	// retryPublish is how soon a store that nobody confirmed is repeated.
	retryPublish = 5 * time.Second
	// maxLeases is how many leases we publish.
	maxLeases = 8
)

// leases is our LeaseSet and what becomes of it.
type leases struct {
	current   *data.LeaseSet2
	stored    bool // some floodfill has confirmed one of ours
	timer     host.Timer
	waiting   bool // a new one will be made
	published time.Time
}

// leasesChanged makes a new LeaseSet soon.
func (d *Destination) leasesChanged(*host.Round) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.leases.waiting || d.closed {
		return
	}
	d.leases.waiting = true
	d.leases.timer = d.h.AfterFunc(gatherLeases, d.makeLeaseSet)
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

// makeLeaseSet signs a LeaseSet of the tunnels there are and publishes it.
func (d *Destination) makeLeaseSet(r *host.Round) {
	tunnels := d.context.Pool.Inbounds(r.Now)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leases.waiting = false
	if d.closed || len(tunnels) == 0 {
		return
	}
	content := data.LeaseSet2Content{
		Destination: d.keys.Destination,
		Published:   r.Now,
		Unpublished: d.cfg.Unpublished,
		Offline:     d.keys.Offline,
		Keys:        []data.EncryptionKey{{Type: data.X25519, Key: d.key.Public[:]}},
	}
	if old := d.leases.current; old != nil && !r.Now.Truncate(time.Second).After(old.Published()) {
		d.leases.waiting = true
		d.leases.timer = d.h.AfterFunc(gatherLeases, d.makeLeaseSet)
		return
	}
	for _, t := range tunnels[:min(len(tunnels), maxLeases)] {
		gateway, id := t.Gateway()
		content.Leases = append(content.Leases, data.Lease{Gateway: gateway, TunnelID: uint32(id), Expires: t.Expires()})
	}
	ls, err := data.SignLeaseSet2(d.keys.Signing, content)
	if err != nil {
		d.log.Error("cannot sign our LeaseSet", "err", wrapped("LeaseSet", err))
		return
	}
	d.leases.current = ls
	if !d.cfg.Unpublished {
		d.leases.timer = d.h.AfterFunc(0, func(r *host.Round) { d.publish(r, ls) })
	}
}

// publish stores a LeaseSet in the network, again and again until that is
// confirmed or there is a newer one.
func (d *Destination) publish(r *host.Round, ls *data.LeaseSet2) {
	if !d.isCurrent(ls) {
		return
	}
	d.context.Publish(r, ls, func(r *host.Round, err error) {
		d.mu.Lock()
		if err == nil {
			d.leases.stored = true
		} else if d.leases.current == ls && !d.closed && !d.leases.waiting {
			d.leases.timer = d.h.AfterFunc(random.Between(retryPublish, 2*retryPublish), func(r *host.Round) { d.publish(r, ls) })
		}
		d.mu.Unlock()
		if err != nil {
			d.log.Debug("LeaseSet not stored", "err", err)
			return
		}
		d.up.Ready(r, d.Ready(r.Now))
	})
}

func (d *Destination) isCurrent(ls *data.LeaseSet2) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.leases.current == ls && !d.closed
}

// storeMessage is our LeaseSet as peers get it along with messages.
func storeMessage(now time.Time, ls *data.LeaseSet2) i2np.Message {
	store := i2np.DatabaseStore{Key: ls.Key(), Type: i2np.StoreType(ls.Type()), Data: ls.Bytes()}
	return i2np.Message{
		Type:       i2np.TypeDatabaseStore,
		ID:         random.Nonzero32(),
		Expiration: now.Add(messageLife),
		Body:       store.Append(nil),
	}
}

// usableLeases are those that do not end before a message could arrive, the
// longest first.
func usableLeases(now time.Time, entry data.LeaseSetEntry) []data.Lease {
	var all []data.Lease
	switch ls := entry.(type) {
	case *data.LeaseSet2:
		all = ls.Leases()
	case *data.LeaseSet:
		all = ls.Leases()
	}
	var usable []data.Lease
	for _, l := range all {
		if l.Expires.Sub(now) > leaseMargin {
			usable = append(usable, l)
		}
	}
	slices.SortStableFunc(usable, func(a, b data.Lease) int { return b.Expires.Compare(a.Expires) })
	return usable
}

// leaseMargin is how long before its end a lease is left alone.
const leaseMargin = 10 * time.Second
