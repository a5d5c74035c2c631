package query

import (
	"bytes"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb"
	"allium/internal/random"
	"allium/internal/tunnel"
	"allium/internal/tunnel/pool"
)

// Tunnels are those of a context. *pool.Pool is one.
type Tunnels interface {
	// Outbound picks a tunnel to send through, if there is one.
	Outbound(now time.Time) (*pool.Outbound, bool)
	// Inbound picks a tunnel for answers to come back through.
	Inbound(now time.Time) (*pool.Inbound, bool)
}

// How long messages live, and how long answers to lookups are waited for.
const (
	tunnelLife = 60 * time.Second
	directLife = 15 * time.Second
	replyLife  = 30 * time.Second
)

// Context is one party that asks: the router itself, or a Destination.
type Context struct {
	q         *Queries
	tunnels   Tunnels
	replies   *garlic.Replies
	leaseSets *netdb.LeaseSets

	// Guarded by the mutex of Queries.
	closed   bool
	absences absences
}

// Context makes a context that asks through tunnels, has answers sealed with
// one-time keys that replies keeps, and keeps LeaseSets in leaseSets.
func (q *Queries) Context(tunnels Tunnels, replies *garlic.Replies, leaseSets *netdb.LeaseSets) *Context {
	return &Context{q: q, tunnels: tunnels, replies: replies, leaseSets: leaseSets}
}

// Close ends what the context asks. Callbacks get ErrClosed.
func (c *Context) Close(r *host.Round) {
	c.q.mu.Lock()
	c.closed = true
	c.q.mu.Unlock()
	c.q.cancel(r, func(other *Context) bool { return other == c })
}

// Handle takes a DatabaseStore, DatabaseSearchReply or DeliveryStatus that
// came out of the context's tunnels or its one-time garlic; for the router's
// own context also one that came directly. from is the router that sent it, as
// far as that is certain, else zero. It reports whether the message is the answer to
// something the context has asked. What is not has no effect.
func (c *Context) Handle(r *host.Round, from data.Hash, m i2np.Message) bool {
	expected := c.handle(r, from, m)
	if expected {
		c.q.hear(r.Now)
	}
	return expected
}

func (c *Context) handle(r *host.Round, from data.Hash, m i2np.Message) bool {
	switch m.Type {
	case i2np.TypeDatabaseStore:
		return c.store(r, from, m.Body)
	case i2np.TypeDatabaseSearchReply:
		return c.searchReply(r, from, m.Body)
	case i2np.TypeDeliveryStatus:
		s, err := i2np.ParseDeliveryStatus(m.Body)
		return err == nil && c.q.confirm(r, c, s.ID)
	}
	return false
}

// searching are the searches of the context that suit.
func (c *Context) searching(suits func(*search) bool) []*search {
	c.q.mu.Lock()
	defer c.q.mu.Unlock()
	var all []*search
	for _, s := range c.q.searches {
		if s.ctx == c && suits(s) {
			all = append(all, s)
		}
	}
	return all
}

// Asked is the floodfill that was asked for an answer sealed like this: nobody
// else can have sealed it. It is zero if we wait for no such answer.
func (c *Context) Asked(sealed []byte) data.Hash {
	if len(sealed) < garlic.TagSize {
		return data.Hash{}
	}
	tag := [garlic.TagSize]byte(sealed)
	c.q.mu.Lock()
	defer c.q.mu.Unlock()
	for _, s := range c.q.searches {
		if s.ctx != c {
			continue
		}
		for i := range s.asked {
			if w := &s.asked[i]; w.tag == tag {
				return w.to.Hash()
			}
		}
	}
	return data.Hash{}
}

// searchReply takes the word of a floodfill that it has no entry. When it is
// certain who says so, nobody else can.
func (c *Context) searchReply(r *host.Round, from data.Hash, body []byte) bool {
	reply, err := i2np.ParseDatabaseSearchReply(body)
	if err != nil || !from.IsZero() && from != reply.From {
		return false
	}
	all := c.searching(func(s *search) bool { return s.key == reply.Key })
	for _, s := range all {
		c.q.named(r, s, reply)
	}
	return len(all) > 0
}

// store takes an entry. Its signature is checked by a worker.
func (c *Context) store(r *host.Round, from data.Hash, body []byte) bool {
	entry, err := i2np.ParseDatabaseStore(body)
	if err != nil || entry.ReplyToken != 0 {
		return false // answers have no token: somebody publishes
	}
	looksFor := func(s *search) bool {
		return s.looksFor(entry.Key, entry.Type.LeaseSet()) && (s.only.IsZero() || s.only == from)
	}
	if len(c.searching(looksFor)) == 0 {
		return false
	}
	entry.Data = bytes.Clone(entry.Data)
	// Without a free worker it is as if the message had been lost.
	c.q.h.Spawn(func(r *host.Round) {
		for _, s := range c.searching(looksFor) {
			// What is wrong may come from anybody: the search goes on as if
			// it had not come.
			if a, ok := c.take(r, s, entry); ok {
				c.q.succeed(r, s, from, a)
			}
		}
	})
	return true
}

// take keeps an entry that answers a search, if it is right.
func (c *Context) take(r *host.Round, s *search, entry i2np.DatabaseStore) (answer, bool) {
	if !entry.Type.LeaseSet() {
		ri := c.q.takeRouter(r.Now, entry)
		return answer{router: ri}, ri != nil
	}
	ls, err := data.ParseLeaseSetEntry(data.EntryType(entry.Type), entry.Data)
	if err != nil || ls.Key() != entry.Key {
		return answer{}, false
	}
	if s.proves != nil {
		return answer{leaseSet: ls}, s.proves(ls)
	}
	if _, err := c.leaseSets.Add(r.Now, ls, netdb.Reply); err != nil {
		return answer{}, false
	}
	ls = c.leaseSets.Get(r.Now, entry.Key)
	return answer{leaseSet: ls}, ls != nil
}

// takeRouter keeps a RouterInfo and gives the one we have then, nil if it was
// wrong.
func (q *Queries) takeRouter(now time.Time, entry i2np.DatabaseStore) *data.RouterInfo {
	f := q.inflaters.Get().(*i2np.Inflater)
	plain, err := f.InflateRouterInfo(nil, entry.Data)
	q.inflaters.Put(f)
	if err != nil {
		return nil
	}
	ri, err := data.ParseRouterInfo(plain)
	if err != nil || ri.Hash() != entry.Key {
		return nil
	}
	if _, err := q.db.AddRouter(now, ri); err != nil {
		return nil
	}
	return q.db.RouterInfo(entry.Key)
}

// ready reports whether the context can ask. Only the router itself asks
// without tunnels.
func (c *Context) ready(now time.Time) bool {
	if c.q.ownContext() == c {
		return true
	}
	_, out := c.tunnels.Outbound(now)
	_, in := c.tunnels.Inbound(now)
	return out && in
}

// lookup sends a lookup to a floodfill: sealed, through a tunnel, for an
// answer that is sealed and comes through a tunnel. The router itself asks
// directly when it has none.
func (c *Context) lookup(r *host.Round, s *search, to *data.RouterInfo, l i2np.DatabaseLookup) error {
	out, canSend := c.tunnels.Outbound(r.Now)
	in, canReceive := c.tunnels.Inbound(r.Now)
	if !canSend || !canReceive {
		if c.q.ownContext() != c {
			return ErrNoTunnels
		}
		l.From = c.q.self
		return c.q.send(r, to.Hash(), message(r.Now.Add(directLife), i2np.TypeDatabaseLookup, l.Append(nil)), bandwidth.Own)
	}
	var id tunnel.ID
	l.From, id = in.Gateway()
	l.ReplyTunnel = uint32(id)
	l.ReplyKey, l.ReplyTag = new([32]byte), new([garlic.TagSize]byte)
	random.Fill(l.ReplyKey[:])
	random.Fill(l.ReplyTag[:])
	c.q.tagged(s, to.Hash(), *l.ReplyTag)
	c.replies.Expect(r.Now, *l.ReplyKey, *l.ReplyTag, replyLife)
	return sendSealed(r, out, to, message(r.Now.Add(tunnelLife), i2np.TypeDatabaseLookup, l.Append(nil)))
}

// tagged notes under which tag a floodfill will answer.
func (q *Queries) tagged(s *search, h data.Hash, tag [garlic.TagSize]byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w := s.question(h); w != nil {
		w.tag = tag
	}
}

// sendSealed sends a message through a tunnel that only the router at its end
// can read.
func sendSealed(r *host.Round, out *pool.Outbound, to *data.RouterInfo, m i2np.Message) error {
	key, ok := to.Identity().X25519()
	if !ok {
		return ErrNoFloodfills
	}
	sealed, err := garlic.SealRouter(r.Now, &key, garlic.Clove{Message: m})
	if err != nil {
		return err
	}
	outer := message(m.Expiration, i2np.TypeGarlic, i2np.Garlic{Data: sealed}.Append(nil))
	return out.Send(r, tunnel.Delivery{Kind: tunnel.ToRouter, Router: to.Hash()}, outer)
}

func message(expires time.Time, t i2np.Type, body []byte) i2np.Message {
	return i2np.Message{Type: t, ID: random.Nonzero32(), Expiration: expires, Body: body}
}
