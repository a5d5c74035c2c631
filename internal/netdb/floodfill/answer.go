package floodfill

import (
	"time"

	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
)

const (
	// closest is how many floodfills a search reply names.
	closest = 3
	// explored is how many routers the reply to an exploration names.
	explored = 16
)

// answer sends the answer to a lookup, if there is one for us to give.
func (f *Floodfill) answer(r *host.Round, l i2np.DatabaseLookup, active bool) {
	m, ok := f.entry(r.Now, l, active)
	if !ok {
		if !active {
			f.counts.denied.Add(1)
			return
		}
		m = f.searchReply(r.Now, l)
	}
	if l.ReplyKey != nil {
		sealed := garlic.SealOnce(l.ReplyKey, *l.ReplyTag, garlic.Clove{Message: m})
		m = message(r.Now, i2np.TypeGarlic, i2np.Garlic{Data: sealed}.Append(nil))
	}
	f.counts.answered.Add(1)
	f.reply(r, l.From, l.ReplyTunnel, m)
}

// entry is a DatabaseStore of what was looked up.
func (f *Floodfill) entry(now time.Time, l i2np.DatabaseLookup, active bool) (i2np.Message, bool) {
	s := i2np.DatabaseStore{Key: l.Key}
	if l.Kind == i2np.LookupRouterInfo || l.Kind == i2np.LookupAny {
		if ri := f.router(now, l.Key); ri != nil {
			compressed, err := f.deflate(ri)
			if err != nil {
				return i2np.Message{}, false
			}
			s.Data = compressed
			return message(now, i2np.TypeDatabaseStore, s.Append(nil)), true
		}
	}
	if active && (l.Kind == i2np.LookupLeaseSet || l.Kind == i2np.LookupAny) {
		if ls := f.leaseSets.GetPublished(now, l.Key); ls != nil {
			s.Type, s.Data = i2np.StoreType(ls.Type()), ls.Bytes()
			return message(now, i2np.TypeDatabaseStore, s.Append(nil)), true
		}
	}
	return i2np.Message{}, false
}

// router is the RouterInfo to tell of a router: nil when it is outdated, or
// wants not to be known.
func (f *Floodfill) router(now time.Time, h data.Hash) *data.RouterInfo {
	if h == f.self {
		return f.own(now)
	}
	ri := f.db.RouterInfo(h)
	if ri == nil || ri.Hidden() || now.Sub(ri.Published()) > data.RouterInfoMaxAge {
		return nil
	}
	return ri
}

func (f *Floodfill) deflate(ri *data.RouterInfo) ([]byte, error) {
	d := f.deflaters.Get().(*i2np.Deflater)
	defer f.deflaters.Put(d)
	return d.DeflateRouterInfo(nil, ri.Bytes())
}

// searchReply names routers that are closer: floodfills that may have the
// entry, or for an exploration those that are none.
func (f *Floodfill) searchReply(now time.Time, l i2np.DatabaseLookup) i2np.Message {
	n, keep := closest, f.eligible
	if l.Kind == i2np.LookupExploration {
		n, keep = explored, func(ri *data.RouterInfo) bool { return !ri.Floodfill() && !ri.Hidden() }
	}
	excluded := make(map[data.Hash]bool, len(l.Excluded))
	for _, h := range l.Excluded {
		excluded[h] = true
	}
	reply := i2np.DatabaseSearchReply{Key: l.Key, From: f.self}
	for _, ri := range f.db.Closest(now, l.Key, n, func(ri *data.RouterInfo) bool {
		return !excluded[ri.Hash()] && ri.Hash() != l.Key && keep(ri)
	}) {
		reply.Peers = append(reply.Peers, ri.Hash())
	}
	return message(now, i2np.TypeDatabaseSearchReply, reply.Append(nil))
}

// eligible tells floodfills that others should store with.
func (f *Floodfill) eligible(ri *data.RouterInfo) bool {
	c := ri.Capabilities()
	version, ok := ri.Version()
	return c.Floodfill && !c.Hidden && !c.Unreachable && ok && version >= f.minVersion
}
