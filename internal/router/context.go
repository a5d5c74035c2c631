package router

import (
	"slices"
	"sync/atomic"

	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb"
	"allium/internal/netdb/query"
	"allium/internal/tunnel/pool"
)

// ContextConfig describes a context.
type ContextConfig struct {
	// Name is for status: of no meaning to the network.
	Name string
	// Tunnels is how many tunnels of which length.
	Tunnels pool.Config
	// Key orders hops; nil for a random order.
	Key *[32]byte
	// Garlic takes garlic that came out of an inbound tunnel and is no answer
	// to a question of the context. The body is lent, and may be opened in
	// place. Nil for the router's own context, which gets none.
	Garlic func(r *host.Round, sealed []byte)
	// Changed tells that an inbound tunnel came or went. It may be nil.
	Changed func(r *host.Round)
}

// Context keeps together what belongs to one party, and apart what must not
// be linked with others: tunnels, the answers expected through them, the
// LeaseSets learned by them, and lookups. The router has one of its own, and
// each local Destination has one.
type Context struct {
	// Pool is its tunnels.
	Pool *pool.Pool
	// LeaseSets is what it has learned of Destinations.
	LeaseSets *netdb.LeaseSets

	rt      *Router
	cfg     ContextConfig
	replies *garlic.Replies
	query   *query.Context
	ready   atomic.Bool // all of the above is set
}

// OpenContext makes a context and begins to build its tunnels. Its callbacks
// may come before it returns, from other goroutines. On a closed router the
// context is closed.
func (rt *Router) OpenContext(r *host.Round, cfg ContextConfig) *Context {
	c := &Context{
		rt: rt, cfg: cfg,
		LeaseSets: netdb.NewLeaseSets(netdb.LeaseSetsConfig{}, data.Hash{}),
		replies:   garlic.NewReplies(),
	}
	var fallback *pool.Pool
	if rt.explore != nil {
		fallback = rt.explore.Pool
	}
	c.Pool = rt.builder.Open(r, cfg.Tunnels, pool.Context{
		Name: cfg.Name, Replies: c.replies, Deliver: c.deliver, Changed: cfg.Changed, Key: cfg.Key,
	}, rt.selector, fallback)
	c.query = rt.queries.Context(c.Pool, c.replies, c.LeaseSets)
	c.ready.Store(true)
	rt.mu.Lock()
	closed := rt.closed
	if !closed {
		rt.contexts = append(rt.contexts, c)
	}
	rt.mu.Unlock()
	if closed {
		c.Close(r)
	}
	return c
}

// openContexts are all contexts there are.
func (rt *Router) openContexts() []*Context {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return slices.Clone(rt.contexts)
}

// Close gives up the context's tunnels and lookups.
func (c *Context) Close(r *host.Round) {
	c.rt.mu.Lock()
	c.rt.contexts = slices.DeleteFunc(c.rt.contexts, func(other *Context) bool { return other == c })
	c.rt.mu.Unlock()
	c.query.Close(r)
	c.Pool.Close()
}

// LeaseSet finds the LeaseSet of a Destination through the context's tunnels.
func (c *Context) LeaseSet(r *host.Round, key data.Hash, done func(r *host.Round, ls data.LeaseSetEntry, err error)) {
	c.query.LeaseSet(r, key, done)
}

// Publish stores a LeaseSet with floodfills, and sees that it can be found:
// see query.Context.Publish.
func (c *Context) Publish(r *host.Round, ls data.LeaseSetEntry, kept func(r *host.Round), done func(r *host.Round, err error)) {
	c.query.Publish(r, ls, kept, done)
}

// deliver filters what comes out of the context's inbound tunnels: answers to
// its own questions, and garlic. Anything else is somebody's attempt to have
// us act on it, and link us to the tunnel by that. No memory is shared with
// what comes directly or to others, not even of what was seen before.
func (c *Context) deliver(r *host.Round, m i2np.Message) {
	if !c.ready.Load() {
		return // nothing can have been asked yet
	}
	if m.CheckExpiration(r.Now) != nil {
		c.rt.counts.expired.Add(1)
		return
	}
	if m.Type != i2np.TypeGarlic {
		c.answer(r, data.Hash{}, m)
		return
	}
	g, err := i2np.ParseGarlic(m.Body)
	if err != nil {
		c.rt.counts.malformed.Add(1)
		return
	}
	if c.opened(r, g.Data) {
		return
	}
	if c.cfg.Garlic == nil {
		c.rt.counts.unknown.Add(1)
		return
	}
	c.cfg.Garlic(r, g.Data)
}

// opened takes an answer that we expect sealed, and reports whether it is one.
func (c *Context) opened(r *host.Round, sealed []byte) bool {
	from := c.query.Asked(sealed)
	cloves, ok := c.replies.Open(r.Now, sealed)
	for _, clove := range cloves {
		if clove.Kind == garlic.Local {
			c.answer(r, from, clove.Message)
		}
	}
	return ok
}

// answer takes one message that may be an answer. from is the floodfill that
// it is from, zero if that is not certain.
func (c *Context) answer(r *host.Round, from data.Hash, m i2np.Message) {
	switch m.Type {
	case i2np.TypeDeliveryStatus:
		if s, err := i2np.ParseDeliveryStatus(m.Body); err == nil && c.Pool.Tested(r, s.ID) {
			return
		}
		c.query.Handle(r, from, m)
	case i2np.TypeDatabaseStore, i2np.TypeDatabaseSearchReply:
		c.query.Handle(r, from, m)
	case i2np.TypeOutboundTunnelBuildReply:
		c.Pool.Reply(r, m)
	default:
		c.rt.counts.unknown.Add(1)
	}
}
