package router

import (
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
	// Share is the bandwidth lent to others, for our bandwidth class, in bytes
	// per second.
	Share setting.Bandwidth
	// Limits of all traffic, per direction. Zero is no limit.
	LimitIn, LimitOut setting.Bandwidth

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
