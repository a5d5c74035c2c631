package floodfill

import (
	"slices"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb"
)

const (
	// floodTo is how many floodfills an entry is flooded to, and floodToNext
	// how many of the next day.
	floodTo     = 3
	floodToNext = 2
	// floodAmong is how many of the closest floodfills may be flooded to.
	floodAmong = 20
	// floodAge is the age up to which RouterInfos are flooded.
	floodAge = time.Hour
	// noReply is the token with which i2pd asks for flooding and for no
	// confirmation.
	noReply = 0xffffffff
)

// take keeps an entry that is right, confirms it when asked to, and floods it
// when it was new to us and its owner stored it.
func (f *Floodfill) take(r *host.Round, from data.Hash, s i2np.DatabaseStore, active bool) {
	var added netdb.Added
	var fresh bool // young and public enough to be flooded
	var err error
	if s.Type.LeaseSet() {
		added, fresh, err = f.takeLeaseSet(r.Now, s)
	} else {
		added, fresh, err = f.takeRouter(r.Now, s)
	}
	if err != nil {
		f.counts.refused.Add(1)
		return
	}
	if added != netdb.Known {
		f.counts.stored.Add(1)
	}
	if s.ReplyToken == 0 {
		return
	}
	if s.ReplyToken != noReply && !s.ReplyGateway.IsZero() {
		status := i2np.DeliveryStatus{ID: s.ReplyToken, Time: r.Now}
		f.reply(r, s.ReplyGateway, s.ReplyTunnel, message(r.Now, i2np.TypeDeliveryStatus, status.Append(nil)))
	}
	if !active || added == netdb.Known || !fresh {
		return
	}
	if !f.mayFlood(r.Now, s.Key) {
		f.counts.throttled.Add(1)
		return
	}
	f.flood(r, from, s)
}

func (f *Floodfill) takeLeaseSet(now time.Time, s i2np.DatabaseStore) (added netdb.Added, fresh bool, err error) {
	ls, err := data.ParseLeaseSetEntry(data.EntryType(s.Type), s.Data)
	if err != nil {
		return netdb.Known, false, err
	}
	if ls.Key() != s.Key || ls.Unpublished() {
		return netdb.Known, false, errNotTheirs
	}
	added, err = f.leaseSets.Add(now, ls, netdb.Published)
	return added, now.Before(ls.Expires()), err
}

func (f *Floodfill) takeRouter(now time.Time, s i2np.DatabaseStore) (added netdb.Added, fresh bool, err error) {
	inflater := f.inflaters.Get().(*i2np.Inflater)
	plain, err := inflater.InflateRouterInfo(nil, s.Data)
	f.inflaters.Put(inflater)
	if err != nil {
		return netdb.Known, false, err
	}
	ri, err := data.ParseRouterInfo(plain)
	if err != nil {
		return netdb.Known, false, err
	}
	if ri.Hash() != s.Key {
		return netdb.Known, false, errNotTheirs
	}
	added, err = f.db.AddRouter(now, ri)
	return added, now.Sub(ri.Published()) < floodAge && !ri.Hidden(), err
}

// flood passes an entry on, without a token, so that it goes no further.
func (f *Floodfill) flood(r *host.Round, from data.Hash, s i2np.DatabaseStore) {
	f.counts.flooded.Add(1)
	s.ReplyToken = 0
	body := s.Append(nil)
	var to []data.Hash
	for i, key := range netdb.PublishKeys(r.Now, s.Key, data.EntryType(s.Type)) {
		n := floodTo
		if i > 0 {
			n = floodToNext
		}
		for _, h := range f.nearby(r.Now, key, n, f.self, from, s.Key) {
			if !slices.Contains(to, h) {
				to = append(to, h)
			}
		}
	}
	for _, h := range to {
		// One that cannot be reached is not replaced: the others have it.
		_ = f.send(r, h, message(r.Now, i2np.TypeDatabaseStore, body), bandwidth.Control)
	}
}

// nearby are the floodfills that an entry is flooded to: the n closest, and
// for each of them that nobody may be behind, as far as we have seen, one that
// we had a session with.
func (f *Floodfill) nearby(now time.Time, routingKey data.Hash, n int, except ...data.Hash) (to []data.Hash) {
	seen, proven := 0, 0
	f.db.ClosestTo(routingKey, 1, func(ri *data.RouterInfo) bool {
		h := ri.Hash()
		if !f.eligible(ri) || slices.Contains(except, h) {
			return false
		}
		met := f.db.HasMet(now, h)
		if met {
			proven++
		}
		if met || seen < n {
			to = append(to, h)
		}
		seen++
		return proven >= n || seen >= floodAmong
	})
	return to
}
