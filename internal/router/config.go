package router

import (
	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/netdb"
	"allium/internal/netdb/floodfill"
	"allium/internal/setting"
	"allium/internal/transport"
	"allium/internal/tunnel/pool"
	"allium/internal/tunnel/transit"
)

// Config is how a router behaves. The transports' and the netDb's own network
// id and AllowPrivate follow from NetID and Private.
type Config struct {
	// NetID is the network: 2 is the live one, tests take 16 to 254.
	NetID uint8
	// Private is a network of one's own: private addresses are used, and
	// routers of one subnet may share a tunnel.
	Private bool
	// Floodfill is whether to keep a part of the network database for others.
	Floodfill floodfill.Role
	// Hidden publishes no address and carries no tunnels for others.
	Hidden bool
	// MinVersion is the oldest router.version used for anything, such as
	// 0.9.58. Empty for any.
	MinVersion string
	// Peers, if any, are the only routers to build tunnels through.
	Peers []data.Hash
	// Share is the bandwidth lent to others, each way, which also decides our
	// bandwidth class.
	Share setting.Bandwidth
	// Limits of all traffic, and of our own, per direction. Zero is no limit.
	LimitIn, LimitOut       setting.Bandwidth
	OwnLimitIn, OwnLimitOut setting.Bandwidth
	// MonthlyQuota is how much may pass in a month, both ways together, that
	// begins with the day QuotaDay, 1 to 28. Zero is no limit.
	MonthlyQuota setting.Size
	QuotaDay     int

	Transport   transport.Config
	Transit     transit.Config
	NetDB       netdb.Config
	Exploratory pool.Config
}

// transit is Transit, without any for a hidden router.
func (c *Config) transit() transit.Config {
	t := c.Transit
	t.Accept = t.Accept && !c.Hidden
	return t
}

// lent is the bandwidth lent to others: what is meant for them, as far as the
// limits leave it.
func (c *Config) lent() setting.Bandwidth {
	lent := c.Share
	for _, limit := range [...]setting.Bandwidth{c.LimitIn, c.LimitOut} {
		if limit > 0 {
			lent = min(lent, limit)
		}
	}
	return lent
}

// limits are those of bandwidth. Who lends nothing sends nothing on, and still
// reads what others send: answers to our own questions are among it.
func (c *Config) limits() bandwidth.Limits {
	l := bandwidth.Limits{
		In:  bandwidth.Line{Own: int64(c.OwnLimitIn), Transit: int64(c.Share), Total: int64(c.LimitIn)},
		Out: bandwidth.Line{Own: int64(c.OwnLimitOut), Transit: int64(c.Share), Total: int64(c.LimitOut)},
	}
	if c.Share == 0 {
		l.Out.Transit = -1
	}
	return l
}
