package destination

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel"
	"allium/internal/tunnel/pool"
	"allium/internal/x25519"
)

const (
	// maxRemotes bounds the peers whose state is kept.
	maxRemotes = 4096
	// remoteLife is how long a peer is kept that nothing is exchanged with.
	remoteLife = 12 * time.Minute
	// maxQueued bounds the messages that wait for one LeaseSet.
	maxQueued = 32
	// silence is how long a peer may say nothing, having been sent something,
	// before another tunnel and lease are tried.
	silence = 4 * time.Second
	// refreshBefore is how long before the end of its last lease a peer's
	// LeaseSet is looked up again.
	refreshBefore = 60 * time.Second
	refreshEvery  = 10 * time.Second
	// resendLeaseSet is how soon our new LeaseSet is sent again to a peer that
	// has not acknowledged it.
	resendLeaseSet = 5 * time.Second
)

// remote is what we know of one peer.
type remote struct {
	hash  data.Hash
	used  time.Time
	key   x25519.PublicKey // its sessions'; zero until known
	out   *pool.Outbound   // the pair in use
	lease data.Lease

	unanswered time.Time // since when it was sent something and said nothing
	told       *data.LeaseSet2
	toldAt     time.Time
	confirmed  bool // it has acknowledged told
	track      garlic.Handle

	looking   bool
	refreshed time.Time
	queued    []Message
	waiters   []func(r *host.Round, err error)
}

// remotes are the peers of a Destination. Its lock guards them.
type remotes struct {
	byHash map[data.Hash]*remote
	byKey  map[x25519.PublicKey]*remote
}

func (rs *remotes) init() {
	rs.byHash = make(map[data.Hash]*remote)
	rs.byKey = make(map[x25519.PublicKey]*remote)
}

// get finds a peer, or makes room for it and notes it.
func (rs *remotes) get(now time.Time, h data.Hash) *remote {
	if re := rs.byHash[h]; re != nil {
		re.used = now
		return re
	}
	if len(rs.byHash) >= maxRemotes {
		rs.drop(rs.oldest())
	}
	re := &remote{hash: h, used: now}
	rs.byHash[h] = re
	return re
}

func (rs *remotes) oldest() *remote {
	var oldest *remote
	for _, re := range rs.byHash {
		if re.looking {
			continue
		}
		if oldest == nil || re.used.Before(oldest.used) || re.used.Equal(oldest.used) && re.hash.Compare(oldest.hash) < 0 {
			oldest = re
		}
	}
	return oldest
}

func (rs *remotes) drop(re *remote) {
	if re == nil {
		return
	}
	delete(rs.byHash, re.hash)
	if rs.byKey[re.key] == re {
		delete(rs.byKey, re.key)
	}
}

// bind notes which key a peer's sessions have, as its LeaseSet says.
func (rs *remotes) bind(re *remote, key x25519.PublicKey) {
	if re.key == key {
		return
	}
	if rs.byKey[re.key] == re {
		delete(rs.byKey, re.key)
	}
	re.key = key
	rs.byKey[key] = re
}

func (rs *remotes) expire(now time.Time) {
	for _, re := range rs.byHash {
		if !re.looking && now.Sub(re.used) > remoteLife {
			rs.drop(re)
		}
	}
}

// untrack notes that a message with our LeaseSet was not acknowledged.
func (rs *remotes) untrack(track garlic.Handle) {
	for _, re := range rs.byHash {
		if re.track == track {
			re.track = 0
		}
	}
}

// clear gives up all peers and returns those who wait for a LeaseSet.
func (rs *remotes) clear() []func(r *host.Round, err error) {
	all := make([]*remote, 0, len(rs.byHash))
	for _, re := range rs.byHash {
		all = append(all, re)
	}
	slices.SortFunc(all, func(a, b *remote) int { return cmp.Or(a.hash.Compare(b.hash)) })
	var waiting []func(r *host.Round, err error)
	for _, re := range all {
		waiting = append(waiting, re.waiters...)
	}
	rs.init()
	return waiting
}

// Resolve makes sure that the LeaseSet of a Destination is known, and calls
// done, at once or later, when it is or cannot be found.
func (d *Destination) Resolve(r *host.Round, to data.Hash, done func(r *host.Round, err error)) {
	if to == d.hash || d.context.LeaseSets.Get(r.Now, to) != nil {
		done(r, nil)
		return
	}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		done(r, ErrClosed)
		return
	}
	re := d.remotes.get(r.Now, to)
	re.waiters = append(re.waiters, done)
	start := !re.looking
	re.looking = true
	d.mu.Unlock()
	if start {
		d.lookUp(r, to)
	}
}

// lookUp asks the network for a LeaseSet.
func (d *Destination) lookUp(r *host.Round, to data.Hash) {
	d.context.LeaseSet(r, to, func(r *host.Round, _ data.LeaseSetEntry, err error) {
		if err != nil {
			err = ErrNoLeaseSet
		}
		d.mu.Lock()
		re := d.remotes.byHash[to]
		if re == nil {
			d.mu.Unlock()
			return
		}
		re.looking = false
		re.refreshed = r.Now
		queued, waiters := re.queued, re.waiters
		re.queued, re.waiters = nil, nil
		d.mu.Unlock()
		for _, done := range waiters {
			done(r, err)
		}
		for _, m := range queued {
			if err != nil || d.Send(r, to, m) != nil {
				d.counts.unsent.Add(1)
			}
		}
	})
}

// Send sends a message to a Destination. If its LeaseSet is unknown the
// message waits for it, copied. Nothing is promised to arrive.
func (d *Destination) Send(r *host.Round, to data.Hash, m Message) error {
	if to == d.hash {
		return d.sendToSelf(m)
	}
	entry := d.context.LeaseSets.Get(r.Now, to)
	if entry == nil {
		return d.sendLater(r, to, m)
	}
	key, ok := encryptionKey(entry)
	if !ok {
		return ErrEncryption
	}
	body := i2np.Data{Payload: appendPayload(nil, m, d.cfg.Compress)}
	clove := garlic.Clove{
		Delivery: garlic.Delivery{Kind: garlic.ToDestination, Hash: to},
		Message: i2np.Message{
			Type: i2np.TypeData, ID: random.Nonzero32(), Expiration: r.Now.Add(messageLife), Body: body.Append(nil),
		},
	}
	d.counts.sent.Add(1)
	return d.seal(r, to, key, entry, clove)
}

// sendToSelf hands a message back in a later round.
func (d *Destination) sendToSelf(m Message) error {
	m.Payload = bytes.Clone(m.Payload)
	d.h.AfterFunc(0, func(r *host.Round) { d.up.Message(r, Sender{Bound: true, Hash: d.hash}, m) })
	return nil
}

// sendLater keeps a copy of m until the LeaseSet has been found.
func (d *Destination) sendLater(r *host.Round, to data.Hash, m Message) error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return ErrClosed
	}
	re := d.remotes.get(r.Now, to)
	if len(re.queued) >= maxQueued {
		d.mu.Unlock()
		return host.ErrFull
	}
	m.Payload = bytes.Clone(m.Payload)
	re.queued = append(re.queued, m)
	start := !re.looking
	re.looking = true
	d.mu.Unlock()
	if start {
		d.lookUp(r, to)
	}
	return nil
}

// encryptionKey is the key of a LeaseSet that we can encrypt to.
func encryptionKey(entry data.LeaseSetEntry) (key x25519.PublicKey, ok bool) {
	ls, ok := entry.(*data.LeaseSet2)
	if !ok {
		return key, false
	}
	k, ok := ls.EncryptionKey(data.X25519)
	if !ok {
		return key, false
	}
	return x25519.PublicKey(k.Key), true
}

// seal seals cloves for a peer, with our LeaseSet if it needs it, and sends
// them on their way. Without cloves it pays what the session owes.
func (d *Destination) seal(r *host.Round, to data.Hash, key x25519.PublicKey, entry data.LeaseSetEntry, cloves ...garlic.Clove) error {
	out, lease, ok := d.path(r, to, key, entry)
	if !ok {
		return ErrNoTunnel
	}
	own, track := d.introduction(r, to, d.sessions.Next(r.Now, key))
	if own != nil {
		cloves = append(cloves, garlic.Clove{Message: storeMessage(r.Now, own)})
	}
	sealed, err := d.sessions.Seal(nil, r.Now, key, cloves, track)
	if err != nil {
		return wrapped("seal", err)
	}
	delivery := tunnel.Delivery{Kind: tunnel.ToTunnel, Router: lease.Gateway, Tunnel: tunnel.ID(lease.TunnelID)}
	return out.Send(r, delivery, i2np.Message{
		Type:       i2np.TypeGarlic,
		ID:         random.Nonzero32(),
		Expiration: r.Now.Add(messageLife),
		Body:       i2np.Garlic{Data: sealed}.Append(nil),
	})
}

// path gives the outbound tunnel and the lease to use: those used before
// while they last and the peer answers, else the next.
func (d *Destination) path(r *host.Round, to data.Hash, key x25519.PublicKey, entry data.LeaseSetEntry) (*pool.Outbound, data.Lease, bool) {
	leases := usableLeases(r.Now, entry)
	d.mu.Lock()
	re := d.remotes.get(r.Now, to)
	d.remotes.bind(re, key)
	refresh := !re.looking && r.Now.Sub(re.refreshed) > refreshEvery &&
		(len(leases) == 0 || leases[0].Expires.Sub(r.Now) < refreshBefore)
	if refresh {
		re.looking = true
	}
	silent := !re.unanswered.IsZero() && r.Now.Sub(re.unanswered) > silence
	if silent {
		re.unanswered = r.Now
	} else if re.unanswered.IsZero() {
		re.unanswered = r.Now
	}
	out, lease := re.out, re.lease
	d.mu.Unlock()
	if refresh {
		d.lookUp(r, to)
	}
	if len(leases) == 0 {
		return nil, data.Lease{}, false
	}
	if out == nil || silent || !out.Usable(r.Now) || !out.Working() {
		next, ok := d.context.Pool.Outbound(r.Now)
		if !ok {
			return nil, data.Lease{}, false
		}
		out = next
	}
	if silent || !slices.Contains(leases, lease) {
		lease = another(leases, lease)
	}
	d.mu.Lock()
	re.out, re.lease = out, lease
	d.mu.Unlock()
	return out, lease, true
}

// another picks a lease at random, not the one there was if there is a
// choice.
func another(leases []data.Lease, not data.Lease) data.Lease {
	i := random.IntN(len(leases))
	if leases[i] == not {
		i = (i + 1) % len(leases)
	}
	return leases[i]
}

// introduction is our LeaseSet if the peer needs it now: who sends the first
// messages of a session, or has got new leases, tells where it is.
func (d *Destination) introduction(r *host.Round, to data.Hash, form garlic.Form) (*data.LeaseSet2, garlic.Handle) {
	d.mu.Lock()
	defer d.mu.Unlock()
	own := d.leases.current
	re := d.remotes.byHash[to]
	if own == nil || re == nil {
		return nil, 0
	}
	if form == garlic.ExistingSession && re.told == own && (re.confirmed || r.Now.Sub(re.toldAt) < resendLeaseSet) {
		return nil, 0
	}
	d.tracks++
	re.told, re.toldAt, re.confirmed, re.track = own, r.Now, false, d.tracks
	return own, d.tracks
}
