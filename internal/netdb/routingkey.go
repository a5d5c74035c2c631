package netdb

import (
	"crypto/sha256"
	"time"

	"allium/internal/data"
)

// How long before midnight entries go to the floodfills of the next day too.
const (
	routerInfoAhead = 45 * time.Minute
	leaseSetAhead   = 10 * time.Minute
)

// RoutingKey is where an entry belongs on the UTC day of now: the SHA-256 of
// its key and the date as eight digits (network database). It is compared to
// the hashes of routers and never sent.
func RoutingKey(key data.Hash, now time.Time) data.Hash {
	var b [len(data.Hash{}) + len("yyyymmdd")]byte
	copy(b[:], key[:])
	year, month, day := now.UTC().Date()
	date := year*10000 + int(month)*100 + day
	for i := len(b) - 1; i >= len(key); i-- {
		b[i] = byte('0' + date%10)
		date /= 10
	}
	return sha256.Sum256(b[:])
}

// PublishKeys are the routing keys to store or flood an entry at: that of
// today, and shortly before midnight UTC that of tomorrow as well, from 45
// minutes before for a RouterInfo and from 10 minutes before for the others.
func PublishKeys(now time.Time, key data.Hash, t data.EntryType) []data.Hash {
	ahead := leaseSetAhead
	if t == data.TypeRouterInfo {
		ahead = routerInfoAhead
	}
	keys := []data.Hash{RoutingKey(key, now)}
	if next := RoutingKey(key, now.Add(ahead)); next != keys[0] {
		keys = append(keys, next)
	}
	return keys
}
