package transport

import (
	"net/netip"

	"allium/internal/transport/ntcp2"
)

// Config says where to listen, what to publish and how many sessions to have.
type Config struct {
	Listen       []netip.AddrPort `help:"Addresses and ports to accept other routers on. Connections to others are made from these addresses." restart:"true"`
	Publish      bool             `default:"true" help:"Publish the addresses, so that other routers connect to this one." restart:"true"`
	Hosts        []netip.Addr     `help:"Addresses to publish instead of those found out, at most one IPv4 and one IPv6 address, such as that of a gateway which forwards the port." restart:"true"`
	AllowPrivate bool             `default:"false" help:"Take private and loopback addresses for reachable, and any number of routers of one subnet. This is for networks of one's own." restart:"true"`
	MaxSessions  int              `default:"2000" min:"8" max:"65536" unit:"sessions" help:"How many sessions with other routers to have. Beyond that the idlest ones are closed." restart:"true"`
	NTCP2        ntcp2.Config     `help:"Sessions over TCP." restart:"true"`
}
