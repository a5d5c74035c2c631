package destination

import (
	"bytes"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/x25519"
)

const (
	// maxQueued bounds the messages that wait for one LeaseSet, and
	// maxQueuedBytes their bytes for all.
	maxQueued      = 32
	maxQueuedBytes = 4 << 20
	// maxWaiters bounds the calls of Resolve that wait for one LeaseSet.
	maxWaiters = 1024
)

// Resolve makes sure that we can write to a Destination: it calls done, at
// once or later, when its LeaseSet is known. The error is ErrNoLeaseSet,
// ErrEncryption, ErrClosed, or host.ErrFull when too many wait already.
func (d *Destination) Resolve(r *host.Round, to data.Hash, done func(r *host.Round, err error)) {
	_, _, err := d.reach(r.Now, to)
	if to == d.hash && err == ErrNoLeaseSet {
		err = nil
	}
	if err != ErrNoLeaseSet {
		done(r, err)
		if err == nil {
			d.review(r, to)
		}
		return
	}
	start, err := d.enlist(r.Now, to, func(p *peer) error {
		if len(p.waiters) >= maxWaiters {
			return host.ErrFull
		}
		p.waiters = append(p.waiters, done)
		return nil
	})
	switch {
	case err != nil:
		done(r, err)
	case start:
		d.lookUp(r, to)
	}
}

// reviewAfter is how long a peer may say nothing before its LeaseSet is looked
// up again when somebody wants to begin a conversation with it.
const reviewAfter = time.Minute

// review looks a LeaseSet up again beside its use: a peer that was not heard
// of for a while may have begun anew, with other tunnels and keys, and the
// second try to connect then reaches it.
func (d *Destination) review(r *host.Round, to data.Hash) {
	d.mu.Lock()
	p := d.peers.byHash[to]
	due := p != nil && !p.looking && !d.closed &&
		r.Now.Sub(p.heardAt) > reviewAfter && r.Now.Sub(p.refreshed) > reviewAfter
	if due {
		p.looking = true
	}
	d.mu.Unlock()
	if due {
		d.lookUp(r, to)
	}
}

// Send sends a message to a Destination. If its LeaseSet is unknown the
// message waits for it, copied; host.ErrFull tells that too much waits. Nothing
// is promised to arrive.
func (d *Destination) Send(r *host.Round, to data.Hash, m Message) error {
	if len(m.Payload) > MaxPayload {
		return ErrTooLarge
	}
	if to == d.hash {
		return d.sendToSelf(m)
	}
	entry, key, err := d.reach(r.Now, to)
	switch err {
	case nil:
		return d.sendTo(r, to, key, entry, &m)
	case ErrNoLeaseSet:
		return d.sendLater(r, to, m)
	}
	return err
}

// sendTo sends a message of the application to a peer that can be reached.
func (d *Destination) sendTo(r *host.Round, to data.Hash, key x25519.PublicKey, entry data.LeaseSetEntry, m *Message) error {
	if err := d.seal(r, to, key, entry, m); err != nil {
		return err
	}
	d.counts.sent.Add(1)
	return nil
}

// sendToSelf hands a message back in a later round.
func (d *Destination) sendToSelf(m Message) error {
	if d.isClosed() {
		return ErrClosed
	}
	m.Payload = bytes.Clone(m.Payload)
	d.h.AfterFunc(0, func(r *host.Round) {
		if !d.isClosed() {
			d.up.Message(r, Sender{Bound: true, Hash: d.hash}, m)
		}
	})
	return nil
}

// reach gives the newest LeaseSet of a peer and the key to encrypt to. Errors
// are ErrClosed, ErrEncryption, and ErrNoLeaseSet when there is none whose
// leases last.
func (d *Destination) reach(now time.Time, to data.Hash) (data.LeaseSetEntry, x25519.PublicKey, error) {
	entry := d.context.LeaseSets.Get(now, to)
	d.mu.Lock()
	if p := d.peers.byHash[to]; p != nil {
		entry = newer(entry, p.entry)
	}
	closed := d.closed
	d.mu.Unlock()
	switch {
	case closed:
		return nil, x25519.PublicKey{}, ErrClosed
	case entry == nil || entry.Expires().Sub(now) <= leaseMargin:
		return nil, x25519.PublicKey{}, ErrNoLeaseSet
	}
	key, ok := encryptionKey(entry)
	if !ok {
		return nil, x25519.PublicKey{}, ErrEncryption
	}
	return entry, key, nil
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

// sendLater keeps a copy of m until the LeaseSet has been found.
func (d *Destination) sendLater(r *host.Round, to data.Hash, m Message) error {
	start, err := d.enlist(r.Now, to, func(p *peer) error {
		if len(p.queued) >= maxQueued || d.peers.queued+len(m.Payload) > maxQueuedBytes {
			return host.ErrFull
		}
		m.Payload = bytes.Clone(m.Payload)
		d.peers.enqueue(p, m)
		return nil
	})
	if start {
		d.lookUp(r, to)
	}
	return err
}

// enlist adds what waits for the LeaseSet of a peer, and reports whether a
// lookup is to begin.
func (d *Destination) enlist(now time.Time, to data.Hash, add func(p *peer) error) (start bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false, ErrClosed
	}
	p := d.peers.get(now, to)
	if err := add(p); err != nil {
		return false, err
	}
	start = !p.looking
	p.looking, p.partner, p.used = true, true, now
	return start, nil
}

// lookUp asks the network for a LeaseSet. looking is set.
func (d *Destination) lookUp(r *host.Round, to data.Hash) {
	d.context.LeaseSet(r, to, func(r *host.Round, _ data.LeaseSetEntry, err error) { d.lookedUp(r, to) })
}

// lookedUp tells whoever has waited. The lookup may have failed and the peer
// have told us its LeaseSet meanwhile, or it has found one that has ended: what
// counts is what is known now.
func (d *Destination) lookedUp(r *host.Round, to data.Hash) {
	entry, key, err := d.reach(r.Now, to)
	d.mu.Lock()
	p := d.peers.byHash[to]
	if p == nil {
		d.mu.Unlock()
		return
	}
	queued, waiters := d.peers.found(r.Now, p)
	d.mu.Unlock()
	for _, done := range waiters {
		done(r, err)
	}
	for i := range queued {
		if err != nil || d.sendTo(r, to, key, entry, &queued[i]) != nil {
			d.counts.unsent.Add(1)
		}
	}
}
