package destination

import (
	"bytes"
	"errors"
	"time"

	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb"
	"allium/internal/x25519"
)

// open opens garlic that came out of one of our inbound tunnels. It is lent,
// and opened in place. Messages of existing sessions are opened at once, and
// so stay in order; the first ones of a session take a worker.
func (d *Destination) open(r *host.Round, sealed []byte) {
	if !d.opened.Load() || d.isClosed() {
		return
	}
	if d.sessions.Form(r.Now, sealed) == garlic.ExistingSession {
		d.take(r, sealed)
		return
	}
	sealed = bytes.Clone(sealed)
	if !d.work(func(r *host.Round) { d.take(r, sealed) }) {
		d.counts.dropped.Add(1)
	}
}

// take opens a message and does what it says.
func (d *Destination) take(r *host.Round, sealed []byte) {
	o := d.openings.Get().(*garlic.Opened)
	defer d.openings.Put(o)
	if d.sessions.Open(r.Now, sealed, o) != nil {
		d.counts.unsealed.Add(1)
		return
	}
	// LeaseSets first: they tell who the sender is.
	content := false
	for i := range o.Cloves {
		c := &o.Cloves[i]
		content = content || c.Message.Type == i2np.TypeData
		if c.Kind == garlic.Local && c.Message.Type == i2np.TypeDatabaseStore {
			d.introduced(r, o, c.Message)
		}
	}
	from := d.heard(r.Now, o, content)
	for i := range o.Cloves {
		if o.Cloves[i].Message.Type == i2np.TypeData {
			d.deliver(r, from, &o.Cloves[i])
		}
	}
	if o.Due {
		d.payDebts(r)
	}
}

// introduced takes the LeaseSet that came along with a message. That of an
// existing session goes to a worker, for its signature; a worker is at those
// of the others already.
func (d *Destination) introduced(r *host.Round, o *garlic.Opened, m i2np.Message) {
	switch {
	case !o.Bound || m.Expired(r.Now):
		d.counts.malformed.Add(1)
	case o.Form != garlic.ExistingSession:
		d.learn(r, o.Remote, m.Body)
	default:
		body, remote := bytes.Clone(m.Body), o.Remote
		if !d.work(func(r *host.Round) { d.learn(r, remote, body) }) {
			d.counts.dropped.Add(1)
		}
	}
}

// learn takes the LeaseSet of a sender whose key is known. It is to name that
// key as its own: this tells who the sender is, and nobody can make us keep
// the LeaseSets of others.
func (d *Destination) learn(r *host.Round, remote x25519.PublicKey, body []byte) {
	store, err := i2np.ParseDatabaseStore(body)
	if err != nil || !store.Type.LeaseSet() {
		d.counts.malformed.Add(1)
		return
	}
	entry, err := data.ParseLeaseSetEntry(data.EntryType(store.Type), store.Data)
	if err != nil || entry.Key() != store.Key || store.Key == d.hash {
		d.counts.malformed.Add(1)
		return
	}
	if key, ok := encryptionKey(entry); !ok || key != remote {
		d.counts.malformed.Add(1)
		return
	}
	// What finds no room there was checked all the same, and stays as long as
	// the peer.
	_, err = d.inBand.Add(r.Now, entry, netdb.Reply)
	if err != nil && !errors.Is(err, netdb.ErrFull) {
		d.counts.malformed.Add(1)
		return
	}
	if err == nil {
		entry = d.inBand.Get(r.Now, store.Key)
	}
	newest := newer(entry, d.context.LeaseSets.Get(r.Now, store.Key))
	d.mu.Lock()
	defer d.mu.Unlock()
	if newest == nil || d.closed {
		return
	}
	p := d.peers.get(r.Now, store.Key)
	p.know(newer(newest, p.entry))
	// It may have begun anew, with another key, since this was sent.
	if key, ok := encryptionKey(p.entry); ok && key == remote {
		d.peers.bind(p, key, true)
	}
}

// newer is the newer of two LeaseSets, either of which may be nil. Those we
// can write to are preferred to others.
func newer(a, b data.LeaseSetEntry) data.LeaseSetEntry {
	_, aFits := a.(*data.LeaseSet2)
	_, bFits := b.(*data.LeaseSet2)
	switch {
	case a == nil || bFits && !aFits:
		return b
	case b == nil || aFits && !bFits:
		return a
	case b.Published().After(a.Published()):
		return b
	}
	return a
}

// heard notes a sign of life of the sender and finds out who it is. content
// tells that it was more than that.
func (d *Destination) heard(now time.Time, o *garlic.Opened, content bool) Sender {
	if !o.Bound {
		return Sender{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.peers.byKey[o.Remote]
	if p == nil {
		return Sender{}
	}
	p.heard(now)
	p.partner = p.partner || o.Form != garlic.NewSession
	if content {
		p.used = now
	}
	for _, number := range o.Acked {
		p.acknowledged(number, &d.leases)
	}
	return Sender{Bound: true, Hash: p.hash}
}

// deliver hands a message up.
func (d *Destination) deliver(r *host.Round, from Sender, c *garlic.Clove) {
	if c.Kind != garlic.Local && (c.Kind != garlic.ToDestination || c.Hash != d.hash) {
		d.counts.malformed.Add(1)
		return
	}
	if c.Message.Expired(r.Now) {
		d.counts.dropped.Add(1)
		return
	}
	body, err := i2np.ParseData(c.Message.Body)
	if err != nil {
		d.counts.malformed.Add(1)
		return
	}
	m, err := d.codec.parse(body.Payload)
	if err != nil {
		d.counts.malformed.Add(1)
		return
	}
	if d.isClosed() {
		return
	}
	d.counts.received.Add(1)
	d.up.Message(r, from, m)
}

// payDebts sends what sessions owe, as far as it is due, and comes back for
// the rest.
func (d *Destination) payDebts(r *host.Round) {
	owed, next := d.sessions.Due(r.Now)
	for _, key := range owed {
		d.payDebt(r, key)
	}
	if next.IsZero() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || !d.dueAt.IsZero() && !d.dueAt.After(next) {
		return
	}
	if d.due != nil {
		d.due.Stop()
	}
	d.dueAt = next
	d.due = d.h.AfterFunc(max(next.Sub(r.Now), 0), func(r *host.Round) {
		d.mu.Lock()
		d.dueAt = time.Time{}
		closed := d.closed
		d.mu.Unlock()
		if !closed {
			d.payDebts(r)
		}
	})
}

// payDebt sends an empty message to the peer with the key.
func (d *Destination) payDebt(r *host.Round, key x25519.PublicKey) {
	d.mu.Lock()
	p := d.peers.byKey[key]
	d.mu.Unlock()
	if p != nil {
		d.sendEmpty(r, p.hash)
	}
}
