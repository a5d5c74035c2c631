package daemon

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"allium/internal/data"
	"allium/internal/setting"
)

// publicNetwork is the network id of the I2P that everybody is on, and
// firstPrivate the first of those free for others.
const (
	publicNetwork = 2
	firstPrivate  = 16
)

// Check finds the mistakes that no setting shows by itself.
func (c *Config) Check() error {
	var errs []error
	wrong := func(key, reason string, args ...any) {
		errs = append(errs, &setting.Error{Key: key, Reason: fmt.Sprintf(reason, args...)})
	}
	switch id := c.Router.Network; {
	case id == publicNetwork && c.Router.Private:
		wrong("router.private", "%d is the public network; a private one has a router.network of %d to 254", id, firstPrivate)
	case id > publicNetwork && id < firstPrivate:
		wrong("router.network", "%d is reserved; it is %d, or %d to 254 for a private network", id, publicNetwork, firstPrivate)
	}
	if v := c.Router.MinVersion; v != "" {
		if _, ok := data.ParseVersion(v); !ok {
			wrong("router.min_version", "%q is not a version such as 0.9.58", v)
		}
	}
	errs = append(errs, c.checkReseed()...)
	files := map[string]string{}
	keys := func(table, file string) {
		file = filepath.Clean(file)
		if other, taken := files[file]; taken {
			wrong(table+".key_file", "%s is the key file of %s already", file, other)
			return
		}
		files[file] = table
	}
	for i := range c.ClientTunnels {
		t := &c.ClientTunnels[i]
		table := "client_tunnels." + t.Name
		if reason := checkTarget(t.Target, 0); reason != "" {
			wrong(table+".target", "%s", reason)
		} else if host, _, _ := net.SplitHostPort(t.Target); !isI2P(host) {
			wrong(table+".target", "%q is neither a name that ends in .i2p nor a destination", host)
		}
		if t.KeyFile != "" {
			keys(table, t.KeyFile)
		}
	}
	for i := range c.ServerTunnels {
		t := &c.ServerTunnels[i]
		table := "server_tunnels." + t.Name
		if reason := checkTarget(t.Target, 1); reason != "" {
			wrong(table+".target", "%s", reason)
		}
		keys(table, t.keyFile())
	}
	return errors.Join(errs...)
}

// checkReseed looks at both ends of reseeding.
func (c *Config) checkReseed() (errs []error) {
	if err := c.Router.Reseed.Check(); err != nil {
		errs = append(errs, &setting.Error{Reason: "router." + err.Error()})
	}
	switch rs := &c.ReseedServer; {
	case !rs.Enabled:
	case (rs.TLSCert == "") != (rs.TLSKey == ""):
		errs = append(errs, &setting.Error{Key: "reseed_server.tls_key", Reason: "tls_cert and tls_key go together"})
	case rs.TLSCert == "" && rs.Host == "":
		errs = append(errs, &setting.Error{Key: "reseed_server.host", Reason: "without tls_cert the name or address of the server is needed"})
	}
	return errs
}

// checkTarget tells why a text is not host:port with a port from first on.
func checkTarget(target string, first uint64) string {
	if target == "" {
		return "this setting is needed"
	}
	host, port, err := net.SplitHostPort(target)
	if err != nil || host == "" {
		return fmt.Sprintf("%q is not host:port", target)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n < first {
		return fmt.Sprintf("the port of %q is not between %d and 65535", target, first)
	}
	return ""
}

// isI2P tells names, .b32.i2p addresses and what is long enough for a
// Destination in base64.
func isI2P(host string) bool {
	const shortest = 516
	return strings.HasSuffix(host, ".i2p") || strings.HasSuffix(host, ".i2p.alt") || len(host) >= shortest
}
