package netdb

import (
	"bytes"
	"maps"
	"slices"
	"sync"
	"time"

	"allium/internal/data"
)

// Source tells how a LeaseSet came to us.
type Source uint8

const (
	// Reply: it answers a lookup of ours, or came along with a message.
	Reply Source = iota
	// Published: its owner, or a floodfill, stored it with us.
	Published
)

// Limits of time for LeaseSets.
const (
	// leaseGrace is how long an entry stays when it has ended: clocks differ.
	leaseGrace = time.Minute
	// maxLeaseSetAhead is how far away the end may be (Java).
	maxLeaseSetAhead = 16 * time.Minute
	// maxMetaAhead is as far as two bytes of seconds reach, and clocks differ.
	maxMetaAhead = 65535*time.Second + data.RouterInfoMaxFuture
)

// LeaseSetsConfig bounds one set. A zero in a field stands for its default.
type LeaseSetsConfig struct {
	MaxCount int `default:"1250" min:"10" help:"How many LeaseSets to keep." unit:"LeaseSets" restart:"true"`
	MaxBytes int `default:"4000000" min:"100000" help:"How much memory their bytes may take." unit:"bytes" restart:"true"`
}

// The defaults of LeaseSetsConfig.
const (
	defaultMaxCount = 1250
	defaultMaxBytes = 4_000_000
)

// LeaseSets is one sub-database: that of the router itself, which floodfills
// answer others from, or that of one local Destination. What one of them
// holds, no other shows, so nobody can find out by asking the router what its
// Destinations have asked for, and which they are. It is safe for concurrent
// use.
type LeaseSets struct {
	cfg LeaseSetsConfig
	// self is whose distance decides what makes room, zero if none does.
	self data.Hash

	mu      sync.Mutex
	entries map[data.Hash]leaseSets
	bytes   int
}

// leaseSets is what is known under a key. Both may be the same, and one may
// be nil. They are kept apart so that what is given to others is only what
// others gave us: a newer one that we looked up would tell that we did.
type leaseSets struct {
	newest    data.LeaseSetEntry
	published data.LeaseSetEntry
}

// NewLeaseSets makes an empty set. Too many make room: in a floodfill's, which
// is given its hash as self, those farthest from it, which nobody asks it for;
// in a Destination's, with a zero self, those that end first.
func NewLeaseSets(cfg LeaseSetsConfig, self data.Hash) *LeaseSets {
	if cfg.MaxCount <= 0 {
		cfg.MaxCount = defaultMaxCount
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	return &LeaseSets{cfg: cfg, self: self, entries: make(map[data.Hash]leaseSets)}
}

// Add checks an entry and keeps it under its key if it is newer than what is
// there. Known is also the answer when nothing changed but the source. Whether
// the key is the one it was sent or asked for under is for the caller to
// compare. Errors wrap ErrExpired, ErrFuture, ErrLifetime, ErrFull,
// data.ErrSignature or data.ErrLifetime.
func (l *LeaseSets) Add(now time.Time, ls data.LeaseSetEntry, source Source) (Added, error) {
	key := ls.Key()
	if err := checkLeaseSet(now, ls); err != nil {
		return Known, refused(err, key)
	}
	l.mu.Lock()
	known := !l.entries[key].improvedBy(ls, source)
	l.mu.Unlock()
	if known {
		return Known, nil
	}
	if err := ls.Verify(); err != nil {
		return Known, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	added := l.put(key, ls, source)
	if l.trim(now, key) {
		return Known, refused(ErrFull, key)
	}
	return added, nil
}

func checkLeaseSet(now time.Time, ls data.LeaseSetEntry) error {
	ahead := maxLeaseSetAhead
	if ls.Type() == data.TypeMetaLeaseSet {
		ahead = maxMetaAhead
	}
	switch {
	case ended(now, ls):
		return ErrExpired
	case ls.Expires().Sub(now) > ahead:
		return ErrLifetime
	case ls.Type() != data.TypeLeaseSet && ls.Published().Sub(now) > data.RouterInfoMaxFuture:
		return ErrFuture
	}
	return nil
}

func ended(now time.Time, ls data.LeaseSetEntry) bool { return now.Sub(ls.Expires()) >= leaseGrace }

// newer reports whether a replaces b, which may be nil. The dates of the
// oldest type mean something else, and it is replaced by all others.
func newer(a, b data.LeaseSetEntry) bool {
	if b == nil {
		return true
	}
	oldA, oldB := a.Type() == data.TypeLeaseSet, b.Type() == data.TypeLeaseSet
	if oldA != oldB {
		return oldB
	}
	return a.Published().After(b.Published())
}

func (e leaseSets) improvedBy(ls data.LeaseSetEntry, source Source) bool {
	return newer(ls, e.newest) || source == Published && newer(ls, e.published)
}

// put keeps what has been checked.
func (l *LeaseSets) put(key data.Hash, ls data.LeaseSetEntry, source Source) Added {
	before := l.entries[key]
	after, added := before, Known
	if newer(ls, before.newest) {
		after.newest, added = ls, Newer
	}
	if before.newest == nil {
		added = First
	}
	if source == Published && newer(ls, before.published) {
		after.published = ls
		if bytes.Equal(ls.Bytes(), after.newest.Bytes()) {
			after.published = after.newest
		}
	}
	l.set(key, after)
	return added
}

// set changes what is under a key, to nothing when both are nil.
func (l *LeaseSets) set(key data.Hash, e leaseSets) {
	l.bytes += e.size() - l.entries[key].size()
	if e.newest == nil && e.published == nil {
		delete(l.entries, key)
		return
	}
	l.entries[key] = e
}

// size is how many bytes of entries it keeps.
func (e leaseSets) size() int {
	n := 0
	if e.newest != nil {
		n += len(e.newest.Bytes())
	}
	if e.published != nil && e.published != e.newest {
		n += len(e.published.Bytes())
	}
	return n
}

// expires is when the last of its entries ends.
func (e leaseSets) expires() time.Time {
	var last time.Time
	for _, ls := range []data.LeaseSetEntry{e.newest, e.published} {
		if ls != nil && ls.Expires().After(last) {
			last = ls.Expires()
		}
	}
	return last
}

// Get is the newest entry under a key that has not ended, nil if there is
// none. It is for ourselves only.
func (l *LeaseSets) Get(now time.Time, key data.Hash) data.LeaseSetEntry {
	l.mu.Lock()
	e := l.entries[key]
	l.mu.Unlock()
	return alive(now, e.newest)
}

// GetPublished is what may be told to whoever asks: the newest entry that was
// stored with us, has not ended, and whose owner wants it known. It is nil if
// there is none.
func (l *LeaseSets) GetPublished(now time.Time, key data.Hash) data.LeaseSetEntry {
	l.mu.Lock()
	e := l.entries[key]
	l.mu.Unlock()
	ls := alive(now, e.published)
	if ls == nil || ls.Unpublished() {
		return nil
	}
	return ls
}

func alive(now time.Time, ls data.LeaseSetEntry) data.LeaseSetEntry {
	if ls == nil || ended(now, ls) {
		return nil
	}
	return ls
}

// Expire forgets entries that have ended.
func (l *LeaseSets) Expire(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, e := range l.entries {
		l.set(key, leaseSets{alive(now, e.newest), alive(now, e.published)})
	}
}

// Remove forgets what is under a key.
func (l *LeaseSets) Remove(key data.Hash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set(key, leaseSets{})
}

// Len is how many keys there are.
func (l *LeaseSets) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// trim makes room when there are too many entries or bytes: an eighth of both,
// so that it is seldom needed. It reports whether the newcomer had to go.
func (l *LeaseSets) trim(now time.Time, newcomer data.Hash) bool {
	if len(l.entries) <= l.cfg.MaxCount && l.bytes <= l.cfg.MaxBytes {
		return false
	}
	for _, key := range l.leastNeeded(now) {
		if len(l.entries) <= l.cfg.MaxCount-l.cfg.MaxCount/8 && l.bytes <= l.cfg.MaxBytes-l.cfg.MaxBytes/8 {
			break
		}
		l.set(key, leaseSets{})
	}
	_, stayed := l.entries[newcomer]
	return !stayed
}

// leastNeeded are all keys, those first that make room first.
func (l *LeaseSets) leastNeeded(now time.Time) []data.Hash {
	keys := slices.SortedFunc(maps.Keys(l.entries), data.Hash.Compare)
	if l.self.IsZero() {
		slices.SortStableFunc(keys, func(a, b data.Hash) int {
			return l.entries[a].expires().Compare(l.entries[b].expires())
		})
		return keys
	}
	places := make(map[data.Hash]data.Hash, len(keys))
	for _, key := range keys {
		places[key] = RoutingKey(key, now)
	}
	slices.SortFunc(keys, func(a, b data.Hash) int { return l.self.Closer(places[b], places[a]) })
	return keys
}
