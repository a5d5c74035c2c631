package destination

import (
	"time"

	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb"
	"allium/internal/x25519"
)

// open opens garlic that came out of one of our inbound tunnels. It is lent,
// and opened in place.
func (d *Destination) open(r *host.Round, sealed []byte) {
	var o garlic.Opened
	if err := d.sessions.Open(r.Now, sealed, &o); err != nil {
		d.counts.unsealed.Add(1)
		return
	}
	// LeaseSets first: they tell who the sender is.
	for _, c := range o.Cloves {
		if c.Kind == garlic.Local && c.Message.Type == i2np.TypeDatabaseStore {
			d.learn(r, &o, c.Message)
		}
	}
	from := d.heard(r.Now, &o)
	for _, c := range o.Cloves {
		if c.Message.Type == i2np.TypeData {
			d.deliver(r, from, c)
		}
	}
	if o.Due {
		d.payDebts(r)
	}
}

// learn takes a LeaseSet that came along with a message.
func (d *Destination) learn(r *host.Round, o *garlic.Opened, m i2np.Message) {
	store, err := i2np.ParseDatabaseStore(m.Body)
	if err != nil || !store.Type.LeaseSet() {
		d.counts.malformed.Add(1)
		return
	}
	entry, err := data.ParseLeaseSetEntry(data.EntryType(store.Type), store.Data)
	if err != nil || entry.Key() != store.Key || store.Key == d.hash {
		d.counts.malformed.Add(1)
		return
	}
	if _, err := d.context.LeaseSets.Add(r.Now, entry, netdb.Reply); err != nil {
		d.counts.malformed.Add(1)
		return
	}
	// Only the sender's own LeaseSet tells who it is.
	if key, ok := encryptionKey(entry); ok && o.Bound && key == o.Remote {
		d.mu.Lock()
		d.remotes.bind(d.remotes.get(r.Now, entry.Key()), key)
		d.mu.Unlock()
	}
}

// heard notes a sign of life of the sender and finds out who it is.
func (d *Destination) heard(now time.Time, o *garlic.Opened) Sender {
	if !o.Bound {
		return Sender{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	re := d.remotes.byKey[o.Remote]
	if re == nil {
		return Sender{}
	}
	re.used = now
	re.unanswered = time.Time{}
	for _, acked := range o.Acked {
		if acked == re.track {
			re.confirmed = true
		}
	}
	return Sender{Bound: true, Hash: re.hash}
}

// deliver hands a message up.
func (d *Destination) deliver(r *host.Round, from Sender, c garlic.Clove) {
	if c.Kind != garlic.Local && (c.Kind != garlic.ToDestination || c.Hash != d.hash) {
		d.counts.malformed.Add(1)
		return
	}
	body, err := i2np.ParseData(c.Message.Body)
	if err != nil {
		d.counts.malformed.Add(1)
		return
	}
	m, err := parsePayload(body.Payload)
	if err != nil {
		d.counts.malformed.Add(1)
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
		d.mu.Unlock()
		d.payDebts(r)
	})
}

// payDebt sends an empty message to the peer with the key.
func (d *Destination) payDebt(r *host.Round, key x25519.PublicKey) {
	d.mu.Lock()
	re := d.remotes.byKey[key]
	d.mu.Unlock()
	if re == nil {
		return
	}
	if entry := d.context.LeaseSets.Get(r.Now, re.hash); entry != nil {
		if d.seal(r, re.hash, key, entry) != nil {
			d.counts.unsent.Add(1)
		}
	}
}
