package pool

import (
	"crypto/sha256"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"allium/internal/data"
	"allium/internal/store"
	"allium/internal/tunnel/build"
)

// ErrNoPeers reports that there are not enough routers for a tunnel.
var ErrNoPeers = errors.New("pool: not enough peers")

// PathConfig says which routers may be hops, and which may be together in one
// tunnel.
type PathConfig struct {
	// MinVersion is the least router version, as data.ParseVersion counts.
	MinVersion int
	// AnySubnet lets hops share a subnet: for private networks.
	AnySubnet bool
	// Peers, if any, are the only routers to choose from, for tests.
	Peers []data.Hash
}

// RouterInfos is where a Selector finds peers.
type RouterInfos interface {
	// Select gives the RouterInfos that keep lets through, in an order that
	// is always the same.
	Select(keep func(*data.RouterInfo) bool) []*data.RouterInfo
}

// Neighbours is what a Selector has to know of our sessions with others.
type Neighbours interface {
	// Dialable tells whether a router has an address that we can dial.
	Dialable(ri *data.RouterInfo) bool
	// Remote is where a peer is that there is a session with.
	Remote(peer data.Hash) (at netip.Addr, ok bool)
	// Heard is when anything last came from any peer.
	Heard() time.Time
}

// Selector chooses the hops of tunnels. Safe for concurrent use.
type Selector struct {
	cfg        PathConfig
	self       data.Hash
	known      RouterInfos
	profiles   Profiles
	neighbours Neighbours
	bucket     store.Bucket // of the first hops
	// writing lets one Flush follow another. Nothing else waits for it.
	writing sync.Mutex

	mu                   sync.Mutex
	field                *field
	scannedAt, classedAt time.Time
	firsts               map[data.Hash]*firstHops
	dirty                map[data.Hash]struct{} // of the firsts
}

// NewSelector makes a Selector for the router self. The bucket keeps who
// stands next to us. Errors are those of the bucket.
func NewSelector(cfg PathConfig, self data.Hash, known RouterInfos, profiles Profiles, neighbours Neighbours, bucket store.Bucket) (*Selector, error) {
	s := &Selector{
		cfg: cfg, self: self, known: known, profiles: profiles, neighbours: neighbours, bucket: bucket,
		firsts: make(map[data.Hash]*firstHops), dirty: make(map[data.Hash]struct{}),
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	return s, nil
}

// wish is the tunnel that hops are to be chosen for.
type wish struct {
	Direction build.Direction
	// Length is how many hops it has, or fewer but Least if there are no more.
	Least, Length int
	// Key orders the hops; nil for a random order.
	Key *[32]byte
	// First names the context, for the routers that stand next to us.
	First data.Hash
	// Explore is for a tunnel of the router itself, in which a newcomer may
	// show what it is good for.
	Explore bool
	// Storm takes only routers that have carried tunnels, and Caution is how
	// many exploratory tunnels come on one with a newcomer, at least.
	Storm   bool
	Caution int
	// Load is what our other tunnels go through; nil for nothing.
	Load *load
}

// draws is how often a path is drawn whose ends may not suit. The last time
// only routers are drawn that may stand everywhere.
const draws = 5

// hops chooses the hops of a tunnel, in the order messages travel, and tells
// whether one of them has not carried a tunnel yet. It fails with ErrNoPeers.
func (s *Selector) hops(now time.Time, w wish) (hops []build.Hop, newcomer bool, err error) {
	f := s.look(now)
	for i := range draws {
		d := drawing{s: s, now: now, wish: w, field: f, anywhere: i == draws-1}
		path := d.draw()
		if len(path) < w.Least || !f.suit(path) {
			continue
		}
		if w.Direction == build.Inbound {
			slices.Reverse(path) // the same router is next to us both ways
		}
		for _, c := range path {
			hops = append(hops, c.hop)
			newcomer = newcomer || !c.profile.Proven
		}
		return hops, newcomer, nil
	}
	return nil, false, ErrNoPeers
}

// suit tells whether the ends of a path are fit for their places: the first
// next to us, and the last where it has to do with routers nobody has chosen,
// almost all of which have an IPv4 address.
func (f *field) suit(path []*candidate) bool {
	return path[0].near && (path[len(path)-1].v4 || !f.v4)
}

// order sorts routers by the hash of a secret key and their own: a router
// always stands on the same side of another in all tunnels of a context, so
// that none can learn from changing neighbours how near it is to the creator.
func order(chosen []*candidate, key *[32]byte) {
	rank := func(c *candidate) data.Hash {
		return sha256.Sum256(append(key[:len(key):len(key)], c.hop.Hash[:]...))
	}
	slices.SortFunc(chosen, func(a, b *candidate) int { return rank(a).Compare(rank(b)) })
}
