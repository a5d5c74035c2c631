package daemon

import (
	"bytes"
	"net/netip"
	"time"

	"allium"
	"allium/internal/setting"
)

// Config is all settings of the program, read from one TOML file.
type Config struct {
	Router        allium.Settings `help:"The router itself."`
	HTTPProxy     ProxyConfig     `help:"The proxy for browsers." restart:"true"`
	Status        StatusConfig    `help:"The status of the router as JSON, at /api/status, and the tunnels it carries for others, at /api/transit." restart:"true"`
	AddressBook   BookConfig      `help:"Names of destinations." restart:"true"`
	ReseedServer  ReseedServer    `help:"A server where others find their first routers. It needs an address that they can reach." restart:"true"`
	Log           LogConfig       `help:"What is logged, to standard error." restart:"true"`
	ClientTunnels []ClientTunnel  `help:"Local ports that lead to a destination, a table for each: [client_tunnels.NAME]." restart:"true"`
	ServerTunnels []ServerTunnel  `help:"Local services that are reachable as a destination, a table for each: [server_tunnels.NAME]." restart:"true"`
}

// ProxyConfig is the HTTP proxy.
type ProxyConfig struct {
	Enabled bool           `default:"true" help:"Run the proxy."`
	Listen  netip.AddrPort `default:"127.0.0.1:4444" help:"Address that browsers are told to use. Port 0 picks one, which is logged."`
	Timeout time.Duration  `default:"90s" min:"1s" max:"10m" help:"Longest wait for a site to be reached, and then to begin its answer."`
	Tunnels Tunnels        `help:"Its tunnels."`
}

// StatusConfig is the status server.
type StatusConfig struct {
	Enabled bool           `default:"true" help:"Serve the status."`
	Listen  netip.AddrPort `default:"127.0.0.1:7657" help:"Address to listen on. Whoever can connect to it can read the status. Port 0 picks one, which is logged."`
}

// BookConfig is the address book.
type BookConfig struct {
	Hosts []string `help:"Files in the format of hosts.txt, named as seen from where the program is started. Their names are added to the address book at the start."`
}

// ReseedServer is the reseed server.
type ReseedServer struct {
	Enabled bool           `default:"false" help:"Serve bundles of routers over HTTPS."`
	Listen  netip.AddrPort `default:"0.0.0.0:8443" help:"Address to listen on. Clients are told apart by their addresses, so no proxy may stand before it. Port 0 picks one, which is logged."`
	TLSCert string         `help:"File with the certificate for HTTPS and those that vouch for it, in PEM. It is read again every hour."`
	TLSKey  string         `help:"File with the key of that certificate."`
	Host    string         `help:"Without tls_cert: the name or address of the server, for a certificate of its own that its clients have to be given. It is put into reseed-tls.crt in the router's directory."`
	KeyFile string         `default:"reseed-key.pem" help:"File with the key that bundles are signed with, within the router's directory. Made if needed. Clients need its certificate, which is put into reseed-signer.crt."`
	Signer  string         `help:"Who signs, for a new key: a name like a mail address of at most 40 letters. Empty for a random one."`
	Routers int            `default:"77" min:"1" max:"200" unit:"routers" help:"How many are in a bundle."`
	Renew   time.Duration  `default:"6h" min:"10m" max:"7d" help:"For how long bundles are handed out before others are made."`
	PerHour int            `default:"8" min:"1" max:"10000" help:"How many bundles a network of clients (/24 of IPv4, /48 of IPv6) gets in an hour."`
}

// LogConfig is logging.
type LogConfig struct {
	Level string `default:"info" choices:"debug,info,warn,error" help:"The least important messages to log. Only debug tells addresses of destinations."`
}

// ClientTunnel is a local port that leads to a destination.
type ClientTunnel struct {
	Name    string         `name:"true" help:"What the tunnel is called."`
	Listen  netip.AddrPort `default:"127.0.0.1:0" help:"Local address that programs connect to. Port 0 picks one, which is logged."`
	Target  string         `help:"Destination and port, such as irc.example.i2p:6667."`
	KeyFile string         `help:"File of the tunnel's own keys, within the router's directory. Empty for new ones at each start."`
	Timeout time.Duration  `default:"90s" min:"1s" max:"10m" help:"Longest wait for the destination to be reached."`
	Tunnels Tunnels        `help:"Its tunnels."`
}

// ServerTunnel is a local service that is reachable as a destination.
type ServerTunnel struct {
	Name    string        `name:"true" help:"What the tunnel is called."`
	Target  string        `help:"Local service, such as 127.0.0.1:8080."`
	Port    uint16        `default:"0" help:"Port of the destination to serve. 0 for all."`
	KeyFile string        `help:"File of the destination's keys, within the router's directory. Empty for NAME.dat."`
	Timeout time.Duration `default:"10s" min:"100ms" max:"5m" help:"Longest wait for the local service to be reached."`
	Tunnels Tunnels       `help:"Its tunnels."`
}

// Tunnels is what one destination wants otherwise than [router.tunnels] says.
type Tunnels struct {
	Inbound  Direction `help:"Tunnels towards us."`
	Outbound Direction `help:"Tunnels away from us."`
}

// Direction is the half of it for one direction.
type Direction struct {
	Length   int `default:"-1" min:"-1" max:"7" unit:"hops" help:"How many routers each tunnel passes. -1 for as many as [router.tunnels] says."`
	Quantity int `default:"0" min:"0" max:"16" help:"How many tunnels at a time. 0 for as many as [router.tunnels] says."`
}

// over gives the settings of a destination: its own, and the router's where
// it has none.
func (t Tunnels) over(router allium.TunnelConfig) allium.TunnelConfig {
	for _, d := range []struct {
		own           Direction
		length, count *int
	}{
		{t.Inbound, &router.Inbound.Length, &router.Inbound.Quantity},
		{t.Outbound, &router.Outbound.Length, &router.Outbound.Quantity},
	} {
		if d.own.Length >= 0 {
			*d.length = d.own.Length
		}
		if d.own.Quantity > 0 {
			*d.count = d.own.Quantity
		}
	}
	return router
}

// keyFile is where the keys of the destination are.
func (t *ServerTunnel) keyFile() string {
	if t.KeyFile != "" {
		return t.KeyFile
	}
	return t.Name + ".dat"
}

// Defaults are the settings of a program nobody has configured.
func Defaults() Config {
	var c Config
	setting.Defaults(&c)
	return c
}

// Load reads settings over the defaults: those of file, a TOML document, and
// then those of the environment, if env is not nil. Errors are sentences for
// the person who wrote them, a line for each mistake.
func Load(file []byte, env func(name string) (string, bool)) (Config, error) {
	c := Defaults()
	if err := setting.Load(&c, file, env); err != nil {
		return c, err
	}
	return c, c.Check()
}

// Example is a settings file with every setting, commented out.
func Example() []byte { return setting.Example(Config{}) }

// preface is what a reader should know before the tables.
const preface = "# Settings\n\n" +
	"`allium run --config FILE` reads its settings from a TOML file. This page lists them all; " +
	"`allium config example` prints them as a file to start from, and `allium config check FILE` finds mistakes in one.\n\n" +
	"A setting can also come from the environment, which goes before the file: `ALLIUM_`, the table and the setting, " +
	"in capitals and joined by `_`, such as `ALLIUM_HTTP_PROXY_LISTEN`. Lists are separated by commas.\n\n" +
	"This page is made by `allium config reference`.\n\n"

// Reference is the page of all settings, in Markdown.
func Reference() []byte {
	var b bytes.Buffer
	b.WriteString(preface)
	b.Write(bytes.TrimLeft(setting.Markdown(Config{}), "\n"))
	return b.Bytes()
}
