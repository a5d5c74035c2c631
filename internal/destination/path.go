package destination

import (
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/random"
	"allium/internal/tunnel/pool"
	"allium/internal/x25519"
)

const (
	// leaseMargin is how long before its end a lease is left alone: a message
	// must come out of the tunnel before.
	leaseMargin = 10 * time.Second
	// silence is how long a peer may say nothing, having been sent something,
	// before another tunnel and lease are tried. It may speak and yet not hear
	// us, so every askEvery, while we send, it is asked to acknowledge a
	// message; if it does that at all, it has askWait before the pair is taken
	// for broken.
	silence  = 4 * time.Second
	askEvery = 4 * time.Second
	askWait  = 5 * time.Second
	// A peer's LeaseSet is looked up again so long before its last lease ends,
	// and when so many pairs were in vain: it may have begun anew, with others.
	refreshBefore   = 60 * time.Second
	refreshSilences = 1
	// refreshOften is how many such lookups follow at the pace of the silences:
	// what has begun anew takes a while to be found.
	refreshOften = 4
	// refreshEvery is how often before the last lease ends, and refreshSlow how
	// often in the end when the peer only stays silent: some never answer.
	refreshEvery = 10 * time.Second
	refreshSlow  = 5 * time.Minute
)

// path gives the outbound tunnel and the lease to use: those used before
// while they last and the peer answers, else the next. Errors are ErrClosed,
// ErrNoLeaseSet and ErrNoTunnel.
func (d *Destination) path(r *host.Round, to data.Hash, key x25519.PublicKey, entry data.LeaseSetEntry) (*pool.Outbound, data.Lease, error) {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil, data.Lease{}, ErrClosed
	}
	p := d.peers.get(r.Now, to)
	d.peers.bind(p, key, false)
	p.know(entry)
	vain := p.sending(r.Now)
	leases := p.usable(r.Now)
	refresh := !p.looking && p.outdated(r.Now, leases)
	p.looking = p.looking || refresh
	out, lease := p.out, p.lease
	d.mu.Unlock()

	if refresh {
		d.lookUp(r, to)
	}
	if len(leases) == 0 {
		return nil, data.Lease{}, ErrNoLeaseSet
	}
	next := out
	if out == nil || vain || !out.Usable(r.Now) || !out.Working() {
		if next = d.anotherOutbound(r.Now, out); next == nil {
			return nil, data.Lease{}, ErrNoTunnel
		}
	}
	nextLease := lease
	if vain || !slices.Contains(leases, lease) {
		nextLease = anotherLease(r.Now, leases, lease)
	}
	if next != out || nextLease != lease {
		d.mu.Lock()
		p.out, p.lease = next, nextLease
		d.mu.Unlock()
	}
	return next, nextLease, nil
}

// know takes the newest LeaseSet of the peer.
func (p *peer) know(entry data.LeaseSetEntry) {
	if p.entry == entry {
		return
	}
	p.entry, p.leases = entry, nil
	if ls, ok := entry.(*data.LeaseSet2); ok {
		p.leases = slices.Clone(ls.Leases())
	}
	slices.SortStableFunc(p.leases, func(a, b data.Lease) int { return b.Expires.Compare(a.Expires) })
}

// usable are the leases that do not end before a message could arrive, the
// longest first. They are not to be changed.
func (p *peer) usable(now time.Time) []data.Lease {
	n := len(p.leases)
	for n > 0 && p.leases[n-1].Expires.Sub(now) <= leaseMargin {
		n--
	}
	return p.leases[:n]
}

// sending notes that something is about to be sent, and reports whether the
// pair in use is in vain: the peer has been silent for too long, or has not
// acknowledged what it should have.
func (p *peer) sending(now time.Time) (vain bool) {
	if p.unanswered.IsZero() {
		p.unanswered = now
	}
	silent := now.Sub(p.unanswered) > silence
	unproved := p.acknowledges && p.proof != 0 && now.Sub(p.askedAt) > askWait
	if !silent && !unproved {
		return false
	}
	p.unanswered, p.proof = now, 0
	p.silences++
	return true
}

// heard notes a sign of life.
func (p *peer) heard(now time.Time) {
	p.heardAt, p.unanswered, p.silences = now, time.Time{}, 0
}

// outdated reports whether the peer's LeaseSet is to be looked up again, given
// those of its leases that are usable.
func (p *peer) outdated(now time.Time, leases []data.Lease) bool {
	since := now.Sub(p.refreshed)
	if len(leases) == 0 || leases[0].Expires.Sub(now) < refreshBefore {
		return since > refreshEvery
	}
	if p.silences < refreshSilences {
		return false
	}
	return since > min(silence<<min(max(p.silences-refreshOften, 0), 8), refreshSlow)
}

// anotherOutbound picks an outbound tunnel, not the one there was if there is
// a choice. It is nil when there is none.
func (d *Destination) anotherOutbound(now time.Time, not *pool.Outbound) *pool.Outbound {
	t, ok := d.context.Pool.Outbound(now)
	if ok && t != not {
		return t
	}
	var others []*pool.Outbound
	for _, t := range d.context.Pool.Outbounds(now) {
		if t != not && t.Working() {
			others = append(others, t)
		}
	}
	switch {
	case len(others) > 0:
		return others[random.IntN(len(others))]
	case ok:
		return t
	}
	return nil
}

// anotherLease picks a lease at random, rather one that lasts, and not the one
// there was if there is a choice. The leases are the longest first.
func anotherLease(now time.Time, leases []data.Lease, not data.Lease) data.Lease {
	n := len(leases)
	for n > 2 && leases[n-1].Expires.Sub(now) < refreshBefore {
		n--
	}
	i := random.IntN(n)
	if leases[i] == not {
		i = (i + 1) % n
	}
	return leases[i]
}
