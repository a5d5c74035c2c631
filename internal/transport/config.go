package transport

import (
	"net/netip"

	"allium/internal/transport/ntcp2"
)

// Config says where to listen and what to publish.
type Config struct {
	Listen       []netip.AddrPort `help:"addresses and ports to listen on; connections to other routers are made from them" restart:"true"`
	Publish      bool             `default:"true" help:"publish the addresses, so that others connect to us"`
	Hosts        []netip.Addr     `help:"addresses to publish instead of those listened on, such as the outer one of a gateway that forwards the port"`
	AllowPrivate bool             `default:"false" help:"take private and loopback addresses for reachable: only for private networks"`
	MaxSessions  int              `default:"2000" min:"8" max:"65536" help:"most sessions with other routers; beyond, the idlest are closed"`
	NTCP2        ntcp2.Config     `help:"sessions over TCP"`
}
