package reseedserver

import (
	"net/netip"
	"time"
)

// maxNetworks is how many networks of clients are counted in an hour. Beyond
// that new ones are limited all together.
const maxNetworks = 1 << 16

// clients counts what the networks of clients got within the hour.
type clients struct {
	until time.Time
	got   map[netip.Prefix]int
}

// allow takes one of the bundles that a network may have in an hour.
func (c *clients) allow(from netip.Prefix, now time.Time, perHour int) bool {
	if now.After(c.until) {
		c.until, c.got = now.Add(time.Hour), map[netip.Prefix]int{}
	}
	n, known := c.got[from]
	if n >= perHour || !known && len(c.got) >= maxNetworks {
		return false
	}
	c.got[from] = n + 1
	return true
}

// network is what a client's address belongs to: its neighbours are likely to
// be himself.
func network(remote string) (netip.Prefix, bool) {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}, false
	}
	a, bits := at.Addr().Unmap().WithZone(""), 24
	if a.Is6() {
		bits = 48
	}
	p, err := a.Prefix(bits)
	return p, err == nil
}
