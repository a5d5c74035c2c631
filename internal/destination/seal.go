package destination

import (
	"encoding/binary"
	"time"

	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel"
	"allium/internal/x25519"
)

// resendLeaseSet is how soon our new LeaseSet is sent again to a peer that has
// not acknowledged it, with the next message to it.
const resendLeaseSet = 5 * time.Second

// parcel is the room one message is packed in, used again and again.
type parcel struct {
	cloves []garlic.Clove
	data   []byte // body of a Data message
	sealed []byte // body of a Garlic message
}

// sizeLen is how long the size is that Data and Garlic bodies begin with.
const sizeLen = 4

// seal seals a message for a peer, with our LeaseSet if it needs it, and sends
// it on its way. Without a message it pays what the session owes, or tells the
// peer our leases.
func (d *Destination) seal(r *host.Round, to data.Hash, key x25519.PublicKey, entry data.LeaseSetEntry, m *Message) error {
	out, lease, err := d.path(r, to, key, entry)
	if err != nil {
		return err
	}
	store, track := d.introduction(r.Now, to, d.sessions.Next(r.Now, key), m != nil)
	p := d.parcels.Get().(*parcel)
	defer d.parcels.Put(p)
	p.cloves = p.cloves[:0]
	expiration := r.Now.Add(messageLife)
	// The LeaseSet first: i2pd takes cloves in order, and answers nobody it
	// knows no LeaseSet of.
	if store != nil {
		p.cloves = append(p.cloves, garlic.Clove{Message: i2np.Message{
			Type: i2np.TypeDatabaseStore, ID: random.Nonzero32(), Expiration: expiration, Body: store,
		}})
	}
	if m != nil {
		p.data = d.codec.append(append(p.data[:0], make([]byte, sizeLen)...), *m)
		binary.BigEndian.PutUint32(p.data, uint32(len(p.data)-sizeLen))
		p.cloves = append(p.cloves, garlic.Clove{
			Delivery: garlic.Delivery{Kind: garlic.ToDestination, Hash: to},
			Message:  i2np.Message{Type: i2np.TypeData, ID: random.Nonzero32(), Expiration: expiration, Body: p.data},
		})
	}
	p.sealed, err = d.sessions.Seal(append(p.sealed[:0], make([]byte, sizeLen)...), r.Now, key, p.cloves, track)
	if err != nil {
		return wrapped("seal", err)
	}
	binary.BigEndian.PutUint32(p.sealed, uint32(len(p.sealed)-sizeLen))
	return out.Send(r,
		tunnel.Delivery{Kind: tunnel.ToTunnel, Router: lease.Gateway, Tunnel: tunnel.ID(lease.TunnelID)},
		i2np.Message{Type: i2np.TypeGarlic, ID: random.Nonzero32(), Expiration: expiration, Body: p.sealed})
}

// introduction is our LeaseSet as the body of a DatabaseStore if the peer needs
// it now: who sends the first messages of a session, or has got new leases,
// tells where it is. track is the handle of the delivery if we want to know
// whether it arrives. content tells that there is a message of the application.
func (d *Destination) introduction(now time.Time, to data.Hash, form garlic.Form, content bool) (store []byte, track garlic.Handle) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.peers.byHash[to]
	if p == nil {
		return nil, 0
	}
	if content {
		p.used = now
	}
	own := &d.leases
	told := form == garlic.ExistingSession && p.told == own.number && (p.confirmed || now.Sub(p.toldAt) < resendLeaseSet)
	if own.reachable(now) && !told {
		p.told, p.toldAt, p.confirmed = own.number, now, false
		return own.store, p.track(now, own.number, form)
	}
	if content && p.proof == 0 && now.Sub(p.askedAt) >= askEvery {
		track = p.track(now, 0, form)
	}
	return nil, track
}

// tell tells a peer our leases, if there is a session that it hears us
// through.
func (d *Destination) tell(r *host.Round, p *peer) {
	d.mu.Lock()
	key := p.key
	d.mu.Unlock()
	if d.sessions.Next(r.Now, key) == garlic.ExistingSession {
		d.sendEmpty(r, p.hash)
	}
}

// sendEmpty sends a message without content.
func (d *Destination) sendEmpty(r *host.Round, to data.Hash) {
	entry, key, err := d.reach(r.Now, to)
	if err != nil || d.seal(r, to, key, entry, nil) != nil {
		d.counts.unsent.Add(1)
	}
}
