//go:build interop

package interop

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"allium/internal/data"
)

// i2pd is one i2pd and what it runs for programs.
type i2pd struct {
	*process
	num       int
	dir       string
	floodfill bool
	tunnels   []i2pdTunnel
}

// siteTunnel is the name of the server tunnel of those that have a site, as
// all of ours have.
const siteTunnel = "site"

// i2pdTunnel is a tunnel of tunnels.conf.
type i2pdTunnel struct {
	name string
	// port is where a client tunnel listens, or what a server tunnel leads to,
	// on 127.0.0.1.
	port int
	// destination of a client tunnel, "" for a server tunnel.
	destination       string
	inbound, outbound int // hops
	// peers, if any, are the hops of both ways, the first next to the router.
	peers []data.Hash
}

var i2pdConf = template.Must(template.New("i2pd.conf").Parse(`log = file
logfile = {{.Log}}
loglevel = {{.LogLevel}}
host = {{.Host}}
address4 = {{.Host}}
port = {{.Port}}
nat = false
ipv4 = true
ipv6 = false
netid = {{.Network}}
floodfill = {{.Floodfill}}
bandwidth = X
share = 100
[ntcp2]
enabled = true
published = true
port = {{.Port}}
[ssu2]
enabled = false
published = false
[reseed]
threshold = 0
urls =
verify = false
[addressbook]
enabled = false
[http]
enabled = true
address = 127.0.0.1
port = {{.ConsolePort}}
strictheaders = false
[httpproxy]
enabled = {{.Proxy}}
address = 127.0.0.1
port = {{.ProxyPort}}
inbound.length = {{.Length}}
outbound.length = {{.Length}}
inbound.quantity = 3
outbound.quantity = 3
[socksproxy]
enabled = false
[sam]
enabled = false
[i2cp]
enabled = false
[upnp]
enabled = false
[nettime]
enabled = false
[precomputation]
elgamal = false
[exploratory]
inbound.length = 1
outbound.length = 1
[persist]
profiles = false
addressbook = false
`))

// newI2pd makes the directory of an i2pd.
func newI2pd(root string, num int, floodfill bool) (*i2pd, error) {
	r := &i2pd{num: num, dir: filepath.Join(root, fmt.Sprintf("i2pd-%d", num)), floodfill: floodfill}
	for _, sub := range []string{"netDb", "tunnels.d", "certificates"} {
		if err := os.MkdirAll(filepath.Join(r.dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *i2pd) name() string      { return fmt.Sprintf("i2pd %d", r.num) }
func (r *i2pd) number() int       { return r.num }
func (r *i2pd) logFile() string   { return filepath.Join(r.dir, "router.log") }
func (r *i2pd) program() *process { return r.process }
func (r *i2pd) console() string   { return fmt.Sprintf("http://127.0.0.1:%d/", 7000+r.num) }

// run writes the configuration and starts the program.
func (r *i2pd) run() error {
	var conf strings.Builder
	err := i2pdConf.Execute(&conf, map[string]any{
		"Log": r.logFile(), "LogLevel": *i2pdLogLevel,
		"Host": address(r.num).Addr(), "Port": address(r.num).Port(),
		"Network": network, "Floodfill": r.floodfill,
		"ConsolePort": 7000 + r.num, "Proxy": !r.floodfill, "ProxyPort": 4400 + r.num, "Length": lengths(r.num),
	})
	if err != nil {
		return err
	}
	var tunnels strings.Builder
	for _, t := range r.tunnels {
		t.write(&tunnels)
	}
	if err := os.WriteFile(r.file("i2pd.conf"), []byte(conf.String()), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(r.file("tunnels.conf"), []byte(tunnels.String()), 0o600); err != nil {
		return err
	}
	r.process, err = start(r.name(), r.file("output.txt"), *i2pdBinary,
		"--datadir="+r.dir, "--conf="+r.file("i2pd.conf"), "--tunconf="+r.file("tunnels.conf"),
		"--tunnelsdir="+r.file("tunnels.d"), "--certsdir="+r.file("certificates"), "--pidfile="+r.file("i2pd.pid"))
	return err
}

func (r *i2pd) file(name string) string { return filepath.Join(r.dir, name) }

// write writes a section of tunnels.conf.
func (t *i2pdTunnel) write(b *strings.Builder) {
	fmt.Fprintf(b, "[%s]\nkeys = %s.dat\n", t.name, t.name)
	if t.destination == "" {
		fmt.Fprintf(b, "type = http\nhost = 127.0.0.1\nport = %d\ninport = 80\ngzip = false\n", t.port)
	} else {
		fmt.Fprintf(b, "type = client\naddress = 127.0.0.1\nport = %d\ndestination = %s\ndestinationport = 80\n", t.port, t.destination)
	}
	fmt.Fprintf(b, "inbound.length = %d\noutbound.length = %d\n", t.inbound, t.outbound)
	if len(t.peers) > 0 {
		var peers []string
		for _, h := range t.peers {
			peers = append(peers, h.String())
		}
		fmt.Fprintf(b, "explicitPeers = %s\n", strings.Join(peers, ","))
	}
}

// errIdentity reports an i2pd that has not written all of its identity yet.
var errIdentity = errors.New("identity not complete yet")

// routerInfo reads what the first start has written. It fails as long as that
// is not all of the identity.
func (r *i2pd) routerInfo() (*data.RouterInfo, error) {
	b, err := os.ReadFile(r.file("router.info"))
	if err != nil {
		return nil, err
	}
	info, err := data.ParseRouterInfo(b)
	if err != nil {
		return nil, err
	}
	if info.BandwidthClass() != 'X' || info.Floodfill() != r.floodfill || len(info.Addresses()) == 0 {
		return nil, fmt.Errorf("%w: caps %s, %d addresses", errIdentity, info.Caps(), len(info.Addresses()))
	}
	for _, t := range r.tunnels {
		if _, err := r.destination(t.name); err != nil {
			return nil, err
		}
	}
	return info, nil
}

// ready tells whether it has exploratory tunnels both ways.
func (r *i2pd) ready() (bool, string) {
	c, err := readConsole(r.console())
	if err != nil {
		return false, err.Error()
	}
	return c.inbound > 0 && c.outbound > 0, c.String()
}

// site is the address of its site.
func (r *i2pd) site() (string, error) {
	d, err := r.destination(siteTunnel)
	if err != nil {
		return "", err
	}
	return d.B32(), nil
}

// destination reads the Destination of a tunnel from its keys.
func (r *i2pd) destination(tunnel string) (*data.Destination, error) {
	b, err := os.ReadFile(r.file(tunnel + ".dat"))
	if err != nil {
		return nil, err
	}
	keys, err := data.ParsePrivateKeys(b)
	if err != nil {
		return nil, err
	}
	return keys.Destination, nil
}

// introduce puts RouterInfos into the netDb of an i2pd that is not running.
func (r *i2pd) introduce(infos []*data.RouterInfo) error {
	own, err := r.routerInfo()
	if err != nil {
		return err
	}
	for _, info := range infos {
		file := r.netDbFile(info.Hash())
		if info.Hash() == own.Hash() {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, info.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// netDbFile is where i2pd keeps the RouterInfo of a router.
func (r *i2pd) netDbFile(h data.Hash) string {
	name := h.String()
	return filepath.Join(r.dir, "netDb", "r"+name[:1], "routerInfo-"+name+".dat")
}
