// Package query asks the network: it finds RouterInfos and LeaseSets, explores
// for routers nobody told us of, and publishes what is ours.
//
// An entry is kept by the floodfills closest to its routing key. A search
// asks those we know of, two at a time, closest first. Each either sends the
// entry or names floodfills that it thinks are closer, and those of them that
// we do not know are looked up on the side. The search ends with a valid
// entry, or when its time is over or nobody is left to ask. Publishing is the
// same walk with stores: a floodfill that does not confirm in time makes room
// for the next one. When a LeaseSet has been stored, each floodfill that
// confirmed it is asked for it, as anybody would ask, and so are some that it
// should have been flooded to.
//
// Floodfills may lie. Who confirms and does not keep is caught by that and
// made the last choice for a while (caught.go). Who says of himself that he is
// one, and has never answered us, is given half of the chances at most
// (candidates.go). And if all around a key belong to one party, what is there
// is hidden from whoever asks only the closest: so a copy of each LeaseSet is
// stored farther away, and searches go as far (eclipse.go).
//
// What asks is a [Context]: the router's own, or that of one Destination.
// Each asks through its own tunnels under one-time keys of its own, keeps what
// it finds in its own netdb.LeaseSets, and takes no answers but to its own
// questions, so that nobody can join two of them. The router's own is the one
// that looks for RouterInfos.
//
// [Queries] has one mutex, which is never held while others are called. The
// decisions are in step machines that know nothing but the time and what has
// been answered; a tick that runs only while something is under way moves
// them on.
package query

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb"
	"allium/internal/tunnel"
)

// Errors that callbacks get.
var (
	// ErrNotFound reports that floodfills answered, and none had the entry.
	ErrNotFound = errors.New("query: not found")
	// ErrNoAnswer reports that no floodfill answered in time.
	ErrNoAnswer = errors.New("query: no floodfill answered")
	// ErrNoFloodfills reports that we know of no floodfill to ask or tell.
	ErrNoFloodfills = errors.New("query: no floodfills known")
	// ErrNoTunnels reports that there were no tunnels to ask through.
	ErrNoTunnels = errors.New("query: no tunnels")
	// ErrUnverified reports that floodfills confirmed to have stored a
	// LeaseSet, and yet it was not found where it should be.
	ErrUnverified = errors.New("query: published, but not found")
	// ErrSuperseded reports that a newer entry is being published instead.
	ErrSuperseded = errors.New("query: superseded")
	// ErrBusy reports that too much is being asked already.
	ErrBusy = errors.New("query: too many lookups")
	// ErrClosed reports that who asked has been closed.
	ErrClosed = errors.New("query: closed")
)

// Config says how to ask. A zero in a field stands for its default.
type Config struct {
	MinVersion  string        `default:"0.9.59" help:"The oldest router.version of floodfills to ask and to publish to."`
	ExploreFast time.Duration `default:"15s" min:"1s" help:"How long between explorations while few routers are known."`
	ExploreSlow time.Duration `default:"3m" min:"10s" help:"How long between explorations when many routers are known."`
	ManyRouters int           `default:"300" min:"1" unit:"routers" help:"How many known routers are many."`
}

// The defaults of Config.
const (
	defaultMinVersion  = 959
	defaultExploreFast = 15 * time.Second
	defaultExploreSlow = 3 * time.Minute
	defaultManyRouters = 300
)

func (c Config) withDefaults() Config {
	if c.ExploreFast <= 0 {
		c.ExploreFast = defaultExploreFast
	}
	if c.ExploreSlow <= 0 {
		c.ExploreSlow = defaultExploreSlow
	}
	if c.ManyRouters <= 0 {
		c.ManyRouters = defaultManyRouters
	}
	return c
}

// minVersion is MinVersion as data.ParseVersion counts. What is no version
// stands for the default as well.
func (c Config) minVersion() int {
	if v, ok := data.ParseVersion(c.MinVersion); ok {
		return v
	}
	return defaultMinVersion
}

// Profiles remembers which floodfills answer.
type Profiles interface {
	// UsableForLookups tells whether a floodfill may be asked now.
	UsableForLookups(now time.Time, peer data.Hash) bool
	// LookupScore is higher for those who lately answered more often, from 0
	// to 1, and 0.5 for one that nothing is known of.
	LookupScore(now time.Time, peer data.Hash) float64
	LookupAnswered(now time.Time, peer data.Hash)
	LookupFailed(now time.Time, peer data.Hash)
}

// Bounds of what is under way at once.
const (
	// maxSearches bounds all searches, and maxContextSearches those of one
	// context. Searches on the side begin only below maxSideSearches.
	maxSearches        = 512
	maxContextSearches = 192
	maxSideSearches    = 96
	// maxPublications bounds all entries being published.
	maxPublications = 256

	// tickEvery is how often what is under way is looked after.
	tickEvery = 250 * time.Millisecond
)

// Queries is all that one router asks. Its methods may be called from any
// goroutine.
type Queries struct {
	cfg        Config
	minVersion int
	h          host.Host
	self       data.Hash
	db         *netdb.DB
	profiles   Profiles
	send       tunnel.Sender
	inflaters  sync.Pool // *i2np.Inflater
	deflaters  sync.Pool // *i2np.Deflater
	eclipses   atomic.Uint64

	mu           sync.Mutex
	closed       bool
	own          *Context // nil before Start
	searches     []*search
	publications []*publication
	caught       caught
	heard        time.Time // when a floodfill last answered anything
	ticking      bool
	exploring    host.Timer
	refresh      refresh
	nothingNew   int // explorations in a row that named nobody new
}

// New makes the Queries of the router self. What is sent past tunnels goes
// through send.
func New(cfg Config, h host.Host, self data.Hash, db *netdb.DB, profiles Profiles, send tunnel.Sender) *Queries {
	return &Queries{
		cfg: cfg.withDefaults(), minVersion: cfg.minVersion(),
		h: h, self: self, db: db, profiles: profiles, send: send,
		inflaters: sync.Pool{New: func() any { return new(i2np.Inflater) }},
		deflaters: sync.Pool{New: func() any { return new(i2np.Deflater) }},
	}
}

// Start begins to explore, and to refresh what is old. own is the router's own context, which looks for
// RouterInfos: before Start nobody does.
func (q *Queries) Start(r *host.Round, own *Context) {
	q.mu.Lock()
	started := q.own != nil
	q.own = own
	q.mu.Unlock()
	if !started {
		q.exploreLater(r)
		q.Refresh(r)
	}
}

// Close ends everything. Callbacks get ErrClosed.
func (q *Queries) Close(r *host.Round) {
	q.mu.Lock()
	q.closed = true
	timers := []host.Timer{q.exploring, q.refresh.timer}
	q.mu.Unlock()
	for _, timer := range timers {
		if timer != nil {
			timer.Stop()
		}
	}
	q.cancel(r, func(*Context) bool { return true })
}

// cancel ends what is under way for some contexts.
func (q *Queries) cancel(r *host.Round, of func(*Context) bool) {
	q.mu.Lock()
	var searches []*search
	for _, s := range q.searches {
		if of(s.ctx) {
			searches = append(searches, s)
		}
	}
	var publications []*publication
	for _, p := range q.publications {
		if of(p.ctx) {
			publications = append(publications, p)
		}
	}
	q.mu.Unlock()
	for _, s := range searches {
		q.finish(r, s, answer{}, ErrClosed)
	}
	for _, p := range publications {
		q.conclude(r, p, ErrClosed)
	}
}

// ownContext is the router's own context, nil before Start and after Close.
func (q *Queries) ownContext() *Context {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil
	}
	return q.own
}

// wake makes the tick run while there is something under way.
func (q *Queries) wake() {
	q.mu.Lock()
	start := !q.ticking && !q.closed && len(q.searches)+len(q.publications) > 0
	q.ticking = q.ticking || start
	q.mu.Unlock()
	if start {
		q.h.AfterFunc(tickEvery, q.tick)
	}
}

// tick moves on whatever is due.
func (q *Queries) tick(r *host.Round) {
	q.mu.Lock()
	q.ticking = false
	var searches []*search
	for _, s := range q.searches {
		if s.missing || s.due(r.Now) {
			searches = append(searches, s)
		}
	}
	publications := slices.Clone(q.publications)
	q.mu.Unlock()
	for _, s := range searches {
		q.advance(r, s)
	}
	for _, p := range publications {
		q.proceed(r, p)
	}
	q.wake()
}

// Status is what is under way, and what was noticed.
type Status struct {
	Searches     int `json:"searches"`
	Publications int `json:"publications"`
	// Caught is how many floodfills have lately confirmed to keep something
	// and did not.
	Caught int `json:"caught"`
	// Eclipses is how often floodfills around a key looked as if one party
	// owned them all.
	Eclipses uint64 `json:"eclipses"`
	// NothingNew is how many explorations in a row have named nobody we did
	// not know. Where few routers are known, that means that there are no
	// others, or that we are kept from them.
	NothingNew int `json:"nothing_new"`
}

// Status tells what is under way.
func (q *Queries) Status() Status {
	q.mu.Lock()
	defer q.mu.Unlock()
	return Status{
		Searches: len(q.searches), Publications: len(q.publications),
		Caught: len(q.caught), Eclipses: q.eclipses.Load(), NothingNew: q.nothingNew,
	}
}
