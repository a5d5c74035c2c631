// Package router is one router: the one place where the parts meet.
//
// [New] makes the parts in the order of their layers and gives each what it
// needs; nothing is set later. What arrives is sorted in dispatch.go, what
// leaves goes through [Router.Send]. Everything that must not be linked
// (the router's own lookups, each Destination's traffic) has a [Context] of
// its own, in context.go. Our RouterInfo is made in routerinfo.go, the
// snapshot for readers in status.go.
package router

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb"
	"allium/internal/netdb/floodfill"
	"allium/internal/netdb/query"
	"allium/internal/profile"
	"allium/internal/random"
	"allium/internal/replay"
	"allium/internal/store"
	"allium/internal/transport"
	"allium/internal/tunnel"
	"allium/internal/tunnel/pool"
	"allium/internal/tunnel/transit"
)

const (
	// maxTunnels bounds the tunnel table.
	maxTunnels = 20000
	// tunnelMessages is what the filter of tunnel messages is made for, in
	// eleven minutes.
	tunnelMessages = 1 << 21
	// fragmentMemory bounds the messages being put together from fragments.
	fragmentMemory = 32 << 20
	// messages is what the filter of other messages is made for.
	messages = 1 << 16
	// messageLife is for how long a message could come again: it may expire
	// i2np.MaxAhead from now, and is taken for i2np.MaxLate more. garlicLife is
	// the same for garlic, which tells its time.
	messageLife = i2np.MaxAhead + i2np.MaxLate
	garlicLife  = 8 * time.Minute
	// garlicPerSecond is how much garlic for the router is looked into: each
	// takes some 0.1 ms.
	garlicPerSecond = 500
	// maxOpening is how much of it is with workers, which others need too.
	maxOpening = 64
	// anyVersion is older than all routers there are.
	anyVersion = "0.9.10"
	// keepEvery is how often old entries are dropped, and looked whether
	// stores are to be written.
	keepEvery = time.Minute
)

// Router is a running router.
type Router struct {
	cfg     Config
	h       host.Host
	log     *slog.Logger
	id      *identity
	hash    data.Hash
	own     *ownInfo
	changed func(r *host.Round, ri *data.RouterInfo)

	limiter     *bandwidth.Limiter
	quota       *quota // nil without one
	db          *netdb.DB
	published   *netdb.LeaseSets // stored with us as a floodfill
	profiles    *profile.Profiles
	transport   *transport.Transport
	table       *tunnel.Table
	builder     *pool.Builder
	selector    *pool.Selector
	transit     *transit.Transit
	queries     *query.Queries
	duty        *floodfill.Duty
	floodfill   *floodfill.Floodfill
	explore     *Context       // the router's own
	seen        *replay.Filter // of what came directly
	garlics     *replay.Filter
	garlicShare garlicShare
	opening     atomic.Int64 // garlic that workers have
	waiting     waiting
	watch       watch
	publishing  publishing
	congestion  congestion
	running     atomic.Bool // all of the above is set
	counts      counts

	mu       sync.Mutex
	started  time.Time
	saved    time.Time // when stores were last written
	closed   bool
	timers   map[int]host.Timer
	nextID   int
	contexts []*Context
}

// New makes a router whose keys, netDb and profiles are in s, and starts it.
// changed is told our RouterInfo when it is published; it may be nil. It fails
// when the store cannot be read or an address not be listened on.
func New(cfg Config, h host.Host, s store.Store, log *slog.Logger, changed func(r *host.Round, ri *data.RouterInfo)) (*Router, error) {
	rt := &Router{
		cfg: cfg, h: h, log: log, changed: changed,
		started: h.Now(),
		timers:  make(map[int]host.Timer),
		seen:    replay.New(messageLife, messages),
		garlics: replay.New(garlicLife, messages),
		waiting: waiting{messages: make(map[data.Hash][]waitingMessage)},
		duty:    floodfill.NewDuty(cfg.Floodfill),
	}
	var err error
	if rt.id, err = loadIdentity(s); err != nil {
		return nil, err
	}
	rt.hash = rt.id.hash()
	if rt.quota, err = openQuota(s, uint64(cfg.MonthlyQuota), cfg.QuotaDay); err != nil {
		return nil, err
	}
	if err := rt.knowledge(s); err != nil {
		return nil, err
	}
	if err := rt.connections(); err != nil {
		return nil, err
	}
	if err := rt.choice(s); err != nil {
		h.Do(rt.transport.Close)
		return nil, err
	}
	rt.tunnels()
	h.Do(rt.start)
	return rt, nil
}

// knowledge makes what remembers.
func (rt *Router) knowledge(s store.Store) error {
	cfg := rt.cfg.NetDB
	cfg.NetID, cfg.AllowPrivate = rt.cfg.NetID, rt.cfg.Private
	if cfg.MinVersion == "" {
		cfg.MinVersion = rt.cfg.MinVersion
	}
	bucket, err := s.Bucket("netdb")
	if err != nil {
		return fmt.Errorf("router: %w", err)
	}
	if rt.db, err = netdb.New(cfg, rt.hash, bucket); err != nil {
		return fmt.Errorf("router: %w", err)
	}
	rt.published = netdb.NewLeaseSets(netdb.LeaseSetsConfig{}, rt.hash)
	if bucket, err = s.Bucket("profiles"); err != nil {
		return fmt.Errorf("router: %w", err)
	}
	if rt.profiles, err = profile.New(bucket); err != nil {
		return fmt.Errorf("router: %w", err)
	}
	return nil
}

// connections makes the transports, and with their addresses our first
// RouterInfo.
func (rt *Router) connections() error {
	rt.limiter = bandwidth.NewLimiter(rt.h.Now(), rt.cfg.limits())
	rt.own = &ownInfo{rt: rt}
	local := rt.id.local(rt.cfg.NetID)
	local.RouterInfo = rt.own.get
	cfg := rt.cfg.Transport
	cfg.AllowPrivate = rt.cfg.Private
	cfg.Publish = cfg.Publish && !rt.cfg.Hidden
	var err error
	if rt.transport, err = transport.New(cfg, rt.h, local, rt.db, rt.limiter, incoming{rt}); err != nil {
		return fmt.Errorf("router: %w", err)
	}
	if err = rt.own.begin(rt.h.Now(), rt.transport.Addresses(), rt.reached(rt.h.Now())); err != nil {
		rt.h.Do(rt.transport.Close)
	}
	return err
}

// tunnels makes what builds, carries and asks.
func (rt *Router) tunnels() {
	rt.table = tunnel.NewTable(maxTunnels)
	replays := tunnel.NewReplays(tunnelMessages)
	memory := tunnel.NewReassembly(fragmentMemory)
	profiles := fair{rt.profiles, rt.transport}
	rt.builder = pool.NewBuilder(rt.h, rt.hash, rt.table, replays, memory, rt.Send, rt.meet, profiles)
	rt.transit = transit.New(rt.cfg.transit(), rt.h, rt.hash, &rt.id.Encryption, rt.table, replays, memory, rt.Send, rt.limiter, rt.transport.Subnet, rt.local)
	oldest := cmp.Or(rt.cfg.MinVersion, anyVersion)
	rt.queries = query.New(query.Config{MinVersion: oldest}, rt.h, rt.hash, rt.db, profiles, rt.Send)
	rt.floodfill = floodfill.New(floodfill.Config{MinVersion: cmp.Or(rt.cfg.MinVersion, anyVersion)}, rt.h, rt.hash, rt.db, rt.published, rt.Send, rt.own.get, rt.own.floodfill)
}

// start begins what goes on by itself.
func (rt *Router) start(r *host.Round) {
	rt.explore = rt.OpenContext(r, ContextConfig{Name: "exploratory", Tunnels: rt.cfg.Exploratory})
	rt.running.Store(true)
	rt.own.setAddresses(rt.transport.Addresses(), rt.reached(r.Now)) // they may have changed by now
	rt.queries.Start(r, rt.explore.query)
	rt.acquaint(r)
	rt.publishLater(r.Now, publishFirst)
	rt.after(keepEvery, rt.keep)
	rt.after(saveFirst, rt.saveEarly)
	rt.reviewLater(r)
	rt.after(random.Between(judgeLoadMin, judgeLoadMax), rt.judgeLoad)
	rt.look(r)
}

// keep drops what has expired and has the rest written.
func (rt *Router) keep(r *host.Round) {
	if !rt.remembers(r.Now) {
		rt.db.Expire(r.Now)
		rt.profiles.Expire(r.Now)
	}
	rt.published.Expire(r.Now)
	rt.transport.Review(r)
	rt.congestion.sample(rt.transit.Stats().Pressure)
	for _, c := range rt.openContexts() {
		c.LeaseSets.Expire(r.Now)
	}
	rt.economize(r.Now)
	rt.save(r)
	rt.after(keepEvery, rt.keep)
}

// after calls f in its own round unless the router is closed by then.
func (rt *Router) after(d time.Duration, f func(r *host.Round)) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.closed {
		return
	}
	id := rt.nextID
	rt.nextID++
	rt.timers[id] = rt.h.AfterFunc(d, func(r *host.Round) {
		rt.mu.Lock()
		_, stands := rt.timers[id]
		delete(rt.timers, id)
		rt.mu.Unlock()
		if stands {
			f(r)
		}
	})
}

// Close says good-bye to peers, gives up all tunnels and writes what is to
// survive. It leaves host and store open. Not to be called in a round.
func (rt *Router) Close() {
	rt.mu.Lock()
	if rt.closed {
		rt.mu.Unlock()
		return
	}
	rt.closed = true
	for _, t := range rt.timers {
		t.Stop()
	}
	clear(rt.timers)
	contexts := slices.Clone(rt.contexts)
	rt.mu.Unlock()
	rt.h.Do(func(r *host.Round) {
		for _, c := range contexts {
			c.Close(r)
		}
		rt.queries.Close(r)
		rt.transit.Close()
		rt.transport.Close(r)
	})
	rt.flush()
}

func (rt *Router) isClosed() bool {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return rt.closed
}

// Hash is the router's name.
func (rt *Router) Hash() data.Hash { return rt.hash }

// Host is the machine it runs on.
func (rt *Router) Host() host.Host { return rt.h }

// NetDB is what it knows of other routers.
func (rt *Router) NetDB() *netdb.DB { return rt.db }

// Profiles is what it remembers of its peers.
func (rt *Router) Profiles() *profile.Profiles { return rt.profiles }

// Queries is what it asks the network.
func (rt *Router) Queries() *query.Queries { return rt.queries }

// Send sends a message to a router: to itself, through the transports, or,
// when the router is unknown, as soon as its RouterInfo has been found. It
// implements tunnel.Sender. Errors are those of transport.Transport.Send, and
// host.ErrFull.
func (rt *Router) Send(r *host.Round, to data.Hash, m i2np.Message, c bandwidth.Class) error {
	if to == rt.hash {
		return r.Gather(host.Encrypt, rt).(*loop).add(rt.hash, m)
	}
	err := rt.transport.Send(r, to, m, c)
	if errors.Is(err, transport.ErrUnknownRouter) {
		return rt.sendLater(r, to, m, c)
	}
	return err
}
