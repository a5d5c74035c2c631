package daemon

import (
	"fmt"
	"net"
	"net/netip"

	"allium"
	"allium/internal/httpproxy"
	"allium/internal/i2ptunnel"
	"allium/internal/setting"
)

// Config is all settings of the program, read from one TOML file.
type Config struct {
	Router        allium.Settings `help:"The router itself."`
	HTTPProxy     ProxyConfig     `help:"The proxy for browsers."`
	Status        StatusConfig    `help:"The status of the router as JSON, at /api/status."`
	AddressBook   BookConfig      `help:"Names of destinations."`
	Log           LogConfig       `help:"What is logged, to standard error."`
	ClientTunnels []ClientTunnel  `help:"Local ports that lead to a destination, a table for each: [client_tunnels.NAME]."`
	ServerTunnels []ServerTunnel  `help:"Local services that are reachable as a destination, a table for each: [server_tunnels.NAME]."`
}

// ProxyConfig is the HTTP proxy.
type ProxyConfig struct {
	Enabled bool                `default:"true" help:"Run the proxy."`
	Proxy   httpproxy.Config    `help:"Where it listens."`
	Tunnels allium.TunnelConfig `help:"Its tunnels."`
}

// StatusConfig is the status server.
type StatusConfig struct {
	Enabled bool           `default:"true" help:"Serve the status."`
	Listen  netip.AddrPort `default:"127.0.0.1:7657" help:"Address to listen on. Whoever can connect to it can read the status."`
}

// BookConfig is the address book.
type BookConfig struct {
	Hosts []string `help:"Files in the format of hosts.txt. Their names are added to the address book at the start."`
}

// LogConfig is logging.
type LogConfig struct {
	Level string `default:"info" choices:"debug,info,warn,error" help:"The least important messages to log. Only debug tells addresses of destinations."`
}

// ClientTunnel is a local port that leads to a destination.
type ClientTunnel struct {
	Name    string              `name:"true" help:"What the tunnel is called."`
	Listen  netip.AddrPort      `default:"127.0.0.1:0" help:"Local address that programs connect to. Port 0 picks one, which is logged."`
	Target  string              `help:"Destination and port, such as irc.example.i2p:6667."`
	KeyFile string              `help:"File of the tunnel's own keys, within the router's directory. Empty for new ones at each start."`
	Tunnels allium.TunnelConfig `help:"Its tunnels."`
}

// ServerTunnel is a local service that is reachable as a destination.
type ServerTunnel struct {
	Name    string              `name:"true" help:"What the tunnel is called."`
	Target  string              `help:"Local service, such as 127.0.0.1:8080."`
	Port    uint16              `default:"0" help:"Port of the destination to serve. 0 for all."`
	KeyFile string              `help:"File of the destination's keys, within the router's directory. Empty for NAME.dat."`
	Tunnels allium.TunnelConfig `help:"Its tunnels."`
}

// Defaults are the settings of a program nobody has configured.
func Defaults() Config {
	var c Config
	setting.Defaults(&c)
	c.Router = allium.DefaultSettings()
	return c
}

// Load reads settings over the defaults. Errors are sentences for the person
// who wrote the file, one for each mistake.
func Load(file []byte, env func(name string) (string, bool)) (Config, error) {
	c := Defaults()
	if err := setting.Load(&c, file, env); err != nil {
		return c, err
	}
	return c, c.check()
}

// check finds what single settings cannot tell.
func (c *Config) check() error {
	for _, t := range c.ClientTunnels {
		if _, _, err := net.SplitHostPort(t.Target); err != nil {
			return fmt.Errorf("client_tunnels.%s.target: %q is not host:port", t.Name, t.Target)
		}
	}
	for _, t := range c.ServerTunnels {
		if _, _, err := net.SplitHostPort(t.Target); err != nil {
			return fmt.Errorf("server_tunnels.%s.target: %q is not host:port", t.Name, t.Target)
		}
	}
	return nil
}

// client is the tunnel's part of the settings.
func (t *ClientTunnel) client() i2ptunnel.ClientConfig {
	c := i2ptunnel.ClientConfig{Listen: t.Listen, Target: t.Target}
	c.Timeout = clientTimeout
	return c
}

// Example is a settings file with every setting, commented.
func Example() []byte {
	c := Defaults()
	c.ClientTunnels = []ClientTunnel{{Name: "example"}}
	c.ServerTunnels = []ServerTunnel{{Name: "example"}}
	return setting.Example(&c)
}

// Reference is the page of all settings, in Markdown.
func Reference() []byte {
	c := Defaults()
	return setting.Markdown(&c)
}
