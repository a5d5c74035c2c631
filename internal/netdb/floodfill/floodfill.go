// Package floodfill answers the network: lookups with what we know, and
// stores by keeping them, confirming them and passing them on.
//
// A floodfill keeps the RouterInfos and LeaseSets that are stored with it and
// tells them to whoever asks. When an entry is new to it, and came with a
// reply token, it sends the entry without a token to the three floodfills
// closest to it, who keep it and send it no further. Shortly before midnight
// UTC those of the next day get it too.
//
// Any other router takes the RouterInfos of those that send it their own, but
// floods nothing, keeps no LeaseSets, and answers no more than lookups of
// RouterInfos it has.
//
// LeaseSets come out of here only if they were stored with us: what local
// Destinations look up is in sub-databases that this package never sees.
//
// Bytes from strangers are looked into by workers, after limits that cost
// nothing: so many lookups for one reply tunnel or router, so many stores from
// one router, so many floods of one key. All of them count in tables of fixed
// size.
package floodfill

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb"
	"allium/internal/random"
	"allium/internal/tunnel"
)

// errNotTheirs reports an entry under a key that is not its own, or that its
// owner wants not to be stored.
var errNotTheirs = errors.New("floodfill: not to be stored under this key")

// messageLife is how long what we send lives. It goes to the next router, or
// from there through one tunnel.
const messageLife = 30 * time.Second

// maxWorking is how many requests are with workers, which others need too.
const maxWorking = 64

// Floodfill serves the network database of one router. Its methods may be
// called from any goroutine.
type Floodfill struct {
	h          host.Host
	self       data.Hash
	minVersion int
	db         *netdb.DB
	leaseSets  *netdb.LeaseSets
	send       tunnel.Sender
	own        func(now time.Time) *data.RouterInfo
	active     func() bool
	inflaters  sync.Pool // *i2np.Inflater
	deflaters  sync.Pool // *i2np.Deflater
	counts     counts
	working    atomic.Int64 // requests that workers have

	mu       sync.Mutex
	byTunnel *limit // lookups, by where the answer goes
	byRouter *limit // lookups, by the router it goes to
	bySender *limit // stores, by the router they come from
	floods   *limit // by key
}

type counts struct {
	answered, denied, stored, refused, flooded, throttled, busy, malformed atomic.Uint64
}

// New makes the Floodfill of the router self, which serves out of db and
// leaseSets: those that are stored with it, and nothing else. own gives our
// RouterInfo, and active tells whether we are a floodfill now.
func New(cfg Config, h host.Host, self data.Hash, db *netdb.DB, leaseSets *netdb.LeaseSets, send tunnel.Sender, own func(now time.Time) *data.RouterInfo, active func() bool) *Floodfill {
	return &Floodfill{
		h: h, self: self, minVersion: cfg.minVersion(),
		db: db, leaseSets: leaseSets, send: send, own: own, active: active,
		inflaters: sync.Pool{New: func() any { return new(i2np.Inflater) }},
		deflaters: sync.Pool{New: func() any { return new(i2np.Deflater) }},
		byTunnel:  newLimit(lookupWindow),
		byRouter:  newLimit(lookupWindow),
		bySender:  newLimit(storeWindow),
		floods:    newLimit(floodWindow),
	}
}

// Lookup answers a DatabaseLookup that came directly from a router, or in
// garlic for this one, and then from is zero. The body is lent.
func (f *Floodfill) Lookup(r *host.Round, _ data.Hash, m i2np.Message) {
	l, err := i2np.ParseDatabaseLookup(m.Body)
	if err != nil || l.Key.IsZero() || l.From.IsZero() || l.ObsoleteReply || l.ReplyTunnel == 0 && l.From == f.self {
		f.counts.malformed.Add(1)
		return
	}
	active := f.active()
	if !active && l.Kind != i2np.LookupRouterInfo {
		f.counts.denied.Add(1)
		return
	}
	if !f.mayLookUp(r.Now, l.From, l.ReplyTunnel, active) {
		f.counts.throttled.Add(1)
		return
	}
	if l.ReplyKey != nil {
		key, tag := *l.ReplyKey, *l.ReplyTag
		l.ReplyKey, l.ReplyTag = &key, &tag
	}
	f.work(func(r *host.Round) { f.answer(r, l, active) })
}

// Store takes a DatabaseStore that came directly from a router, or in garlic
// for this one, and then from is zero. The body is lent.
func (f *Floodfill) Store(r *host.Round, from data.Hash, m i2np.Message) {
	s, err := i2np.ParseDatabaseStore(m.Body)
	if err != nil || s.Key.IsZero() || len(s.Data) > data.MaxLeaseSet {
		f.counts.malformed.Add(1)
		return
	}
	active := f.active()
	if s.Key == f.self || !active && (s.Type.LeaseSet() || s.Key != from) {
		f.counts.refused.Add(1)
		return
	}
	if !f.mayStore(r.Now, from) {
		f.counts.throttled.Add(1)
		return
	}
	s.Data = bytes.Clone(s.Data)
	f.work(func(r *host.Round) { f.take(r, from, s, active) })
}

// work has a worker run f. What is too much is dropped.
func (f *Floodfill) work(do func(r *host.Round)) {
	if f.working.Add(1) <= maxWorking && f.h.Serve(func(r *host.Round) {
		defer f.working.Add(-1)
		do(r)
	}) {
		return
	}
	f.working.Add(-1)
	f.counts.busy.Add(1)
}

// reply sends a message to a router, or into a tunnel of which it is the
// gateway.
func (f *Floodfill) reply(r *host.Round, to data.Hash, id uint32, m i2np.Message) {
	if id != 0 {
		g := i2np.TunnelGateway{TunnelID: id, Message: m.AppendStandard(nil)}
		m = message(r.Now, i2np.TypeTunnelGateway, g.Append(nil))
	}
	// Who cannot be reached gets no answer.
	_ = f.send(r, to, m, bandwidth.Control)
}

func message(now time.Time, t i2np.Type, body []byte) i2np.Message {
	return i2np.Message{Type: t, ID: random.Nonzero32(), Expiration: now.Add(messageLife), Body: body}
}

// Status counts what has been asked and stored.
type Status struct {
	Active    bool   `json:"active"`
	Answered  uint64 `json:"answered"`  // lookups, with or without the entry
	Denied    uint64 `json:"denied"`    // lookups that are not for us to answer
	Stored    uint64 `json:"stored"`    // entries that were new
	Refused   uint64 `json:"refused"`   // entries that were wrong, or are not for us to keep
	Flooded   uint64 `json:"flooded"`   // entries passed on
	Throttled uint64 `json:"throttled"` // beyond a limit
	Busy      uint64 `json:"busy"`      // dropped for want of a worker
	Malformed uint64 `json:"malformed"`
}

// Status tells what has been asked and stored since the start.
func (f *Floodfill) Status() Status {
	return Status{
		Active:    f.active(),
		Answered:  f.counts.answered.Load(),
		Denied:    f.counts.denied.Load(),
		Stored:    f.counts.stored.Load(),
		Refused:   f.counts.refused.Load(),
		Flooded:   f.counts.flooded.Load(),
		Throttled: f.counts.throttled.Load(),
		Busy:      f.counts.busy.Load(),
		Malformed: f.counts.malformed.Load(),
	}
}
