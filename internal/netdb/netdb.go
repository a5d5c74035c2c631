// Package netdb is what we know of the network: the RouterInfos of other
// routers in a [DB], and LeaseSets in as many [LeaseSets] as there are parties
// that must not see each other's.
//
// It only knows. It sends nothing, asks nobody, has no timers and reads no
// clock: asking is for package query, answering for package floodfill, and
// both ask this package who is closest to a key. Everything that enters is
// checked first, so what comes out can be used: it is signed, of our network,
// fresh when it came, and bounded in number. Floods of RouterInfos, true or
// false, cost the sender more than us.
//
// Where things belong is a matter of [RoutingKey], which changes at midnight
// UTC: an entry is kept by the floodfills whose hashes are closest, by XOR, to
// the routing key of its hash on that day.
//
// RouterInfos are written to a bucket by [DB.Flush] and read back when the
// next DB is made. LeaseSets live for minutes and are not.
package netdb

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"allium/internal/data"
	"allium/internal/store"
)

// Why a RouterInfo or a LeaseSet is refused. Wrong signatures wrap
// data.ErrSignature.
var (
	// ErrSelf reports a RouterInfo of our own from somebody else.
	ErrSelf = errors.New("netdb: our own hash")
	// ErrNetID reports a router of another network, or of none.
	ErrNetID = errors.New("netdb: not of our network")
	// ErrVersion reports a router below the version floor, or without one.
	ErrVersion = errors.New("netdb: version too old")
	// ErrKeys reports a router with keys that nobody can use any more.
	ErrKeys = errors.New("netdb: keys out of use")
	// ErrFuture reports an entry published more than two minutes ahead.
	ErrFuture = errors.New("netdb: from the future")
	// ErrExpired reports an entry that is too old.
	ErrExpired = errors.New("netdb: expired")
	// ErrLifetime reports a LeaseSet that claims to last too long.
	ErrLifetime = errors.New("netdb: lifetime too long")
	// ErrNoAddress reports a router that is not hidden and yet has no address
	// it could be reached at, or could reach others from.
	ErrNoAddress = errors.New("netdb: no plausible address")
	// ErrDuplicate reports a router that claims the static key of another, or
	// an address that several claim already.
	ErrDuplicate = errors.New("netdb: keys or address of another router")
	// ErrFull reports an entry that is right but less needed than those that
	// fill the database.
	ErrFull = errors.New("netdb: full")
)

// Added tells what an entry changed.
type Added uint8

const (
	// Known: the same or a newer one was there. Nothing changed.
	Known Added = iota
	// Newer: it replaced an older one.
	Newer
	// First: there was none of its key.
	First
)

// Config says what a DB takes. A zero in a field stands for its default.
type Config struct {
	NetID        uint8         `default:"2" min:"2" help:"The network to belong to. 2 is the live one, tests take 16 to 254." restart:"true"`
	AllowPrivate bool          `default:"false" help:"Take routers with addresses of private networks and of this machine, for networks of one's own." restart:"true"`
	MaxRouters   int           `default:"5000" min:"100" help:"How many routers to know of. Each takes some 3 KB of memory." unit:"routers" restart:"true"`
	MinVersion   string        `default:"" help:"The oldest router.version to know of, such as 0.9.59. Empty for any." restart:"true"`
	MaxAge       time.Duration `default:"27h" min:"1h" max:"27h" help:"How old what a router says of itself may be, at most. It is less when many routers are known, and towards an hour when there are thousands." restart:"true"`
}

// defaultMaxRouters is MaxRouters unless set.
const defaultMaxRouters = 5000

// withDefaults fills in what is zero, and reads MinVersion.
func (c Config) withDefaults() (Config, int, error) {
	if c.NetID == 0 {
		c.NetID = data.MainNet
	}
	if c.MaxRouters <= 0 {
		c.MaxRouters = defaultMaxRouters
	}
	if c.MaxAge <= 0 {
		c.MaxAge = data.RouterInfoMaxAge
	}
	if c.MinVersion == "" {
		return c, 0, nil
	}
	floor, ok := data.ParseVersion(c.MinVersion)
	if !ok {
		return c, 0, fmt.Errorf("netdb: minimum version %q is not of the form 0.9.59", c.MinVersion)
	}
	return c, floor, nil
}

// DB is the routers we know of. It is safe for concurrent use; RouterInfo and
// Closest are fast enough for every message.
type DB struct {
	cfg    Config
	floor  int // the least version
	self   data.Hash
	bucket store.Bucket
	// writing lets one Flush follow another. Nothing else waits for it.
	writing sync.Mutex

	mu      sync.RWMutex
	routers map[data.Hash]*router
	// sorted are the routers in the order of their hashes.
	sorted     []*router
	floodfills int
	// claims are who claims what.
	claims map[claim][]*router
	// limit is the age from which on RouterInfos are not taken any more.
	limit time.Duration
	// dirty are the routers whose record in the bucket is not right, and
	// flushed is how many we knew of when it last was.
	dirty   map[data.Hash]struct{}
	flushed int

	// snapshot is a copy of sorted that readers walk through without the
	// lock, nil when there is none that is right.
	snapshot atomic.Pointer[[]*router]
}

// router is a router we know of.
type router struct {
	hash data.Hash
	// info is written under the lock and read without.
	info atomic.Pointer[data.RouterInfo]
	// met is when we last had a session with it, within an hour or so.
	met time.Time
	// proven is the static key it has shown to be its own, if any.
	proven claim
	// written is whether the bucket may have a record of it, and saved when
	// what that says was published.
	written bool
	saved   time.Time
	claims  []claim
}

// New makes the DB of the router self and loads what the bucket holds. What
// does not stand the checks that need no clock is dropped from it; what is too
// old goes with the first Expire. Errors are those of the bucket, and a
// MinVersion that is none.
func New(cfg Config, self data.Hash, bucket store.Bucket) (*DB, error) {
	cfg, floor, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	d := &DB{
		cfg: cfg, floor: floor, self: self, bucket: bucket,
		limit:   cfg.MaxAge,
		routers: make(map[data.Hash]*router),
		claims:  make(map[claim][]*router),
		dirty:   make(map[data.Hash]struct{}),
	}
	if err := d.load(); err != nil {
		return nil, err
	}
	return d, nil
}

// RouterInfo is what we know of a router, nil if nothing.
func (d *DB) RouterInfo(h data.Hash) *data.RouterInfo {
	d.mu.RLock()
	r := d.routers[h]
	d.mu.RUnlock()
	if r == nil {
		return nil
	}
	return r.info.Load()
}

// Len is how many routers we know of.
func (d *DB) Len() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.sorted)
}

// Floodfills is how many of them are floodfills.
func (d *DB) Floodfills() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.floodfills
}
