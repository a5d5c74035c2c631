package query

import (
	"fmt"
	"slices"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb"
	"allium/internal/random"
	"allium/internal/tunnel"
)

// PublishRouter stores our RouterInfo directly with the floodfills closest to
// it. done is called once, at once or in a later round: with nil when one of
// them has confirmed it, or with one of the errors of this package. A newer
// one takes the place of one that is under way.
func (q *Queries) PublishRouter(r *host.Round, ri *data.RouterInfo, done func(r *host.Round, err error)) {
	c := q.ownContext()
	if c == nil {
		done(r, ErrClosed)
		return
	}
	if q.db.Floodfills() == 0 {
		done(r, ErrNoFloodfills)
		return
	}
	f := q.deflaters.Get().(*i2np.Deflater)
	compressed, err := f.DeflateRouterInfo(nil, ri.Bytes())
	q.deflaters.Put(f)
	if err != nil {
		done(r, fmt.Errorf("query: our RouterInfo: %w", err)) // it is longer than any router takes
		return
	}
	q.publish(r, &publication{ctx: c, key: ri.Hash(), kind: data.TypeRouterInfo, data: compressed}, done)
}

// Publish stores a LeaseSet with the floodfills closest to it, through the
// context's tunnels, and then looks for it at others. kept is called when the
// first floodfill has confirmed it: from then on it can be found as a rule.
// done is called once: with nil when it was found, some ten seconds later, or
// with one of the errors of this package. Both may be nil. A newer one of the
// same key takes the place of one that is under way.
func (c *Context) Publish(r *host.Round, ls data.LeaseSetEntry, kept func(r *host.Round), done func(r *host.Round, err error)) {
	p := &publication{ctx: c, key: ls.Key(), kind: ls.Type(), data: ls.Bytes(), ls: ls, kept: kept}
	c.q.publish(r, p, done)
}

func (q *Queries) publish(r *host.Round, p *publication, done func(r *host.Round, err error)) {
	p.done = done
	p.goals = netdb.PublishKeys(r.Now, p.key, p.kind)
	p.ends = r.Now.Add(storeTime)
	p.wide = p.ls != nil && q.crowded(p.goals[0])
	q.mu.Lock()
	var old *publication
	for _, other := range q.publications {
		if other.ctx == p.ctx && other.key == p.key {
			old = other
		}
	}
	var err error
	switch {
	case q.closed || p.ctx.closed:
		err = ErrClosed
	case old == nil && len(q.publications) >= maxPublications:
		err = ErrBusy
	default:
		q.publications = append(q.publications, p)
	}
	q.mu.Unlock()
	if err != nil {
		p.over = true
		p.tell(r, err)
		return
	}
	if old != nil {
		q.conclude(r, old, ErrSuperseded)
	}
	q.proceed(r, p)
	q.wake()
}

// proceed moves a publication on.
func (q *Queries) proceed(r *host.Round, p *publication) {
	q.mu.Lock()
	now := p.phase
	if now == resting && !p.over && !r.Now.Before(p.verifyAt) {
		p.phase = verifying
	}
	begin := p.phase != now
	q.mu.Unlock()
	switch {
	case begin:
		q.verify(r, p)
	case now == storing:
		q.store(r, p)
	}
}

// store tells whoever is to be told next.
func (q *Queries) store(r *host.Round, p *publication) {
	held := !p.ctx.ready(r.Now)
	all := make([]candidates, len(p.goals), len(p.goals)+1)
	for i, goal := range p.goals {
		all[i] = q.floodfills(r.Now, goal)
	}
	all = append(all, all[0].far())
	q.mu.Lock()
	if p.over || p.phase != storing || held && r.Now.Before(p.ends) {
		q.mu.Unlock()
		return
	}
	tell, fell, done := p.step(r.Now, all)
	untold, kept := len(p.told) == 0, len(p.holders) > 0
	if done == stored && p.ls != nil {
		p.phase = resting
		p.verifyAt = r.Now.Add(random.Between(verifyAfter, verifyBy))
	}
	q.mu.Unlock()
	q.blame(r.Now, fell)
	switch {
	case done == failed && kept:
		q.conclude(r, p, nil) // in an earlier round
	case done == failed && held:
		q.conclude(r, p, ErrNoTunnels)
	case done == failed && untold:
		q.conclude(r, p, ErrNoFloodfills)
	case done == failed:
		q.conclude(r, p, ErrNoAnswer)
	case done == stored && p.ls == nil:
		q.conclude(r, p, nil)
	}
	for _, t := range tell {
		q.tell(p, t)
	}
}

// tell stores the entry with one floodfill.
func (q *Queries) tell(p *publication, t told) {
	sent := q.h.Spawn(func(r *host.Round) {
		q.mu.Lock()
		over := p.over
		q.mu.Unlock()
		if !over && p.ctx.storeAt(r, p, t) != nil {
			q.untold(p, t.token)
		}
	})
	if !sent {
		q.untold(p, t.token)
	}
}

func (q *Queries) untold(p *publication, token uint32) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range p.told {
		if t := &p.told[i]; t.token == token && t.state == waiting {
			t.state = silent
		}
	}
}

// storeAt sends the store. A RouterInfo goes directly, as it tells who we are
// anyhow, and so does its confirmation; a LeaseSet must not.
func (c *Context) storeAt(r *host.Round, p *publication, t told) error {
	s := i2np.DatabaseStore{Key: p.key, Type: i2np.StoreType(p.kind), ReplyToken: t.token, Data: p.data}
	if p.ls == nil {
		s.ReplyGateway = c.q.self
		m := message(r.Now.Add(directLife), i2np.TypeDatabaseStore, s.Append(nil))
		return c.q.send(r, t.to.Hash(), m, bandwidth.Own)
	}
	out, canSend := c.tunnels.Outbound(r.Now)
	in, canReceive := c.tunnels.Inbound(r.Now)
	if !canSend || !canReceive {
		return ErrNoTunnels
	}
	var id tunnel.ID
	s.ReplyGateway, id = in.Gateway()
	s.ReplyTunnel = uint32(id)
	return sendSealed(r, out, t.to, message(r.Now.Add(tunnelLife), i2np.TypeDatabaseStore, s.Append(nil)))
}

// confirm takes the DeliveryStatus of a floodfill.
func (q *Queries) confirm(r *host.Round, c *Context, token uint32) bool {
	q.mu.Lock()
	var by data.Hash
	var confirmed *publication
	var kept func(r *host.Round)
	for _, p := range q.publications {
		if p.ctx != c {
			continue
		}
		if h, ok := p.acknowledge(token); ok {
			by, confirmed = h, p
			kept, p.kept = p.kept, nil
			break
		}
	}
	q.mu.Unlock()
	if confirmed == nil {
		return false
	}
	if confirmed.ls == nil {
		q.profiles.LookupAnswered(r.Now, by)
	}
	if kept != nil {
		kept(r)
	}
	q.proceed(r, confirmed)
	return true
}

// conclude ends a publication.
func (q *Queries) conclude(r *host.Round, p *publication, err error) {
	q.mu.Lock()
	if p.over {
		q.mu.Unlock()
		return
	}
	p.over = true
	q.publications = slices.DeleteFunc(q.publications, func(other *publication) bool { return other == p })
	q.mu.Unlock()
	p.tell(r, err)
}

func (p *publication) tell(r *host.Round, err error) {
	if p.done != nil {
		p.done(r, err)
	}
}
