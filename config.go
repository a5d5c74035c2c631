package allium

import (
	"log/slog"
	"net/netip"

	"allium/internal/data"
	"allium/internal/netdb"
	"allium/internal/netdb/floodfill"
	"allium/internal/router"
	"allium/internal/setting"
	"allium/internal/transport"
	"allium/internal/transport/ntcp2"
	"allium/internal/tunnel/pool"
	"allium/internal/tunnel/transit"
)

// Config is how a router is started.
type Config struct {
	// Dir holds the router's keys, what it knows of the network, its address
	// book, and router.info, which is its RouterInfo for others. It is created
	// if needed, readable by the owner only. Empty keeps everything in memory.
	Dir string
	// Log gets what people should know; nil for nothing. No address of a
	// Destination is logged above debug.
	Log *slog.Logger
	// Settings are the rest. Zero Settings are the defaults.
	Settings Settings
}

// Settings are what an operator may want to change. [DefaultSettings] has the
// defaults; a settings file is read over them.
type Settings struct {
	Network    uint8             `default:"2" min:"2" max:"254" help:"The network to belong to. 2 is the public one, private ones take 16 to 254." restart:"true"`
	Private    bool              `default:"false" help:"Belong to a network of one's own: private addresses count as reachable, and routers of one subnet may share a tunnel." restart:"true"`
	Listen     []netip.AddrPort  `help:"Addresses and ports to accept other routers on, such as 192.0.2.1:12345. Connections to others are made from these addresses. Empty for all IPv4 and IPv6 addresses, at a port that is chosen once." restart:"true"`
	Bind       []string          `help:"What all connections keep to, those to reseed and time servers and gateways included: a network interface such as tun0, or at most one IPv4 and one IPv6 address. An interface works on Linux only. Empty for anything." restart:"true"`
	Publish    bool              `default:"true" help:"Publish the addresses, so that other routers connect to this one." restart:"true"`
	Hosts      []netip.Addr      `help:"Addresses to publish instead of those found out, at most one IPv4 and one IPv6 address, such as that of a gateway which forwards the port." restart:"true"`
	Hidden     bool              `default:"false" help:"Publish no address, carry no tunnels for others, and say so." restart:"true"`
	Floodfill  FloodfillRole     `default:"auto" choices:"auto,on,off" help:"Whether to be a floodfill, which keeps a part of the network database for others. auto is one while the router is reachable, fast, well connected and not congested, and has been so for two hours; a small private network needs some routers that are set to on." restart:"true"`
	MinVersion string            `default:"0.9.58" help:"The oldest router.version to know of and to build tunnels through. Empty for any." restart:"true"`
	Peers      []data.Hash       `help:"Routers to build tunnels through and no others, by their hashes. Who may carry a tunnel is what hides its ends: for tests in private networks. Empty for all that are fit." restart:"true"`
	Share      setting.Bandwidth `default:"512 KB/s" min:"0" help:"Bandwidth lent to others, each way. It decides the class the router announces." restart:"true"`
	LimitIn    setting.Bandwidth `default:"0" min:"0" help:"The most bandwidth of all traffic inwards. 0 for no limit." restart:"true"`
	LimitOut   setting.Bandwidth `default:"0" min:"0" help:"The most bandwidth of all traffic outwards. 0 for no limit." restart:"true"`

	OwnLimitIn  setting.Bandwidth `default:"0" min:"0" help:"The most bandwidth of one's own traffic inwards. 0 for no limit." restart:"true"`
	OwnLimitOut setting.Bandwidth `default:"0" min:"0" help:"The most bandwidth of one's own traffic outwards. 0 for no limit." restart:"true"`

	MonthlyQuota setting.Size `default:"0" min:"0" help:"The most that may pass in a month, both ways together. While it would not last to the month's end, no more tunnels are carried for others. 0 for no limit." restart:"true"`
	QuotaDay     int          `default:"1" min:"1" max:"28" help:"The day on which the month of the quota begins." restart:"true"`

	MaxSessions int               `default:"2000" min:"8" max:"65536" help:"How many sessions with other routers to have. Beyond that the idlest ones are closed." restart:"true"`
	MaxRouters  int               `default:"5000" min:"100" help:"How many routers to know of. Each takes some 3 KB of memory." restart:"true"`
	NTCP2       ntcp2.Config      `help:"Sessions over TCP." restart:"true"`
	Transit     TransitConfig     `help:"Tunnels carried for others." restart:"true"`
	Exploratory ExploratoryConfig `help:"The router's own tunnels, for looking things up." restart:"true"`
	Tunnels     TunnelConfig      `help:"Tunnels of a destination that does not say otherwise." restart:"true"`
	PortMapping PortMappingConfig `help:"The gateway of the local network." restart:"true"`
	Reseed      ReseedConfig      `help:"Finding the first other routers. A router needs it once; what it knows of others survives a restart." restart:"true"`
	Time        TimeConfig        `help:"The clock, which is kept apart from the system's." restart:"true"`
}

// FloodfillRole says whether to be a floodfill.
type FloodfillRole = floodfill.Role

// The roles.
const (
	FloodfillAuto = floodfill.Auto
	FloodfillOn   = floodfill.On
	FloodfillOff  = floodfill.Off
)

// TunnelConfig is how many tunnels of which length a Destination has.
type TunnelConfig = pool.Config

// ExploratoryConfig is the same for the router's own tunnels, which are shorter
// unless told otherwise.
type ExploratoryConfig = pool.ExploratoryConfig

// TransitConfig bounds the tunnels carried for others.
type TransitConfig = transit.Config

// DefaultSettings are those of a router nobody has configured.
func DefaultSettings() Settings {
	var s Settings
	setting.Defaults(&s)
	return s
}

// router maps the settings to those of the parts.
func (s *Settings) router() router.Config {
	return router.Config{
		NetID:      s.Network,
		Private:    s.Private,
		Hidden:     s.Hidden,
		Floodfill:  s.Floodfill,
		MinVersion: s.MinVersion,
		Peers:      s.Peers,
		Share:      s.Share,
		LimitIn:    s.LimitIn,
		LimitOut:   s.LimitOut,
		Transport: transport.Config{
			Listen:      s.Listen,
			Publish:     s.Publish,
			Hosts:       s.Hosts,
			MaxSessions: s.MaxSessions,
			NTCP2:       s.NTCP2,
		},
		MonthlyQuota: s.MonthlyQuota,
		QuotaDay:     s.QuotaDay,
		OwnLimitIn:   s.OwnLimitIn,
		OwnLimitOut:  s.OwnLimitOut,
		Transit:      s.Transit,
		NetDB:        netdb.Config{MaxRouters: s.MaxRouters},
		Exploratory:  s.Exploratory.Config(),
	}
}
