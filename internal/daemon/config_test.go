package daemon_test

import (
	"bytes"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"allium/internal/daemon"
)

func TestMistakesArePlainSentences(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"[router]\nnetwork = 1", "config line 2: router.network: 1 is not between 2 and 254"},
		{"[router]\nnetwork = 7", "router.network: 7 is reserved; it is 2, or 16 to 254 for a private network"},
		{"[router]\nprivate = true", "router.private: 2 is the public network; a private one has a router.network of 16 to 254"},
		{"[router]\nmin_version = \"new\"", `router.min_version: "new" is not a version such as 0.9.58`},
		{"[router]\nlisten = [\"localhost:1\"]", `config line 2: router.listen: "localhost:1" is not an IP address and port such as 127.0.0.1:4444`},
		{"[router]\nshare = \"fast\"", "config line 2: router.share: "},
		{"[router.reseed]\nurls = [\"reseed.example.org\"]", `router.reseed.urls: "reseed.example.org" is not the address of a server, such as https://reseed.example.org/`},
		{"[router.reseed]\nproxy = \"127.0.0.1:9050\"", "router.reseed.proxy: this is not the address of a proxy, such as socks5://127.0.0.1:9050"},
		{"[reseed_server]\nenabled = true", "reseed_server.host: without tls_cert the name or address of the server is needed"},
		{"[reseed_server]\nenabled = true\ntls_cert = \"a.crt\"", "reseed_server.tls_key: tls_cert and tls_key go together"},
		{"[router.tunnels.inbound]\nlength = 8", "config line 2: router.tunnels.inbound.length: 8 is not between 0 and 7"},
		{"[http_proxi]\n", "config line 1: http_proxi: there is no such setting; did you mean http_proxy?"},
		{"[http_proxy]\nlisten = \"4444\"", `config line 2: http_proxy.listen: "4444" is not an IP address and port such as 127.0.0.1:4444`},
		{"[http_proxy]\ntimeout = 90", "config line 2: http_proxy.timeout: "},
		{"[http_proxy.tunnels.inbound]\nlength = -2", "config line 2: http_proxy.tunnels.inbound.length: -2 is not between -1 and 7"},
		{"[log]\nlevel = \"loud\"", `config line 2: log.level: "loud" is not one of debug, info, warn, error`},
		{"[client_tunnels.irc]\n", "client_tunnels.irc.target: this setting is needed"},
		{"[client_tunnels.irc]\ntarget = \"irc.i2p\"", `client_tunnels.irc.target: "irc.i2p" is not host:port`},
		{"[client_tunnels.irc]\ntarget = \":1\"", `client_tunnels.irc.target: ":1" is not host:port`},
		{"[client_tunnels.irc]\ntarget = \"irc.i2p:x\"", `client_tunnels.irc.target: the port of "irc.i2p:x" is not between 0 and 65535`},
		{"[client_tunnels.irc]\ntarget = \"irc.example.com:6667\"", `client_tunnels.irc.target: "irc.example.com" is neither a name that ends in .i2p nor a destination`},
		{"[server_tunnels.web]\n", "server_tunnels.web.target: this setting is needed"},
		{"[server_tunnels.web]\ntarget = \"127.0.0.1:0\"", `server_tunnels.web.target: the port of "127.0.0.1:0" is not between 1 and 65535`},
		{"[server_tunnels.web]\ntarget = \"a:1\"\n[server_tunnels.b]\ntarget = \"a:1\"\nkey_file = \"./web.dat\"",
			"server_tunnels.b.key_file: web.dat is the key file of server_tunnels.web already"},
		{"[server_tunnels.web]\ntarget = \"a:1\"\nport = 65536", "config line 3: server_tunnels.web.port: 65536 is not between 0 and 65535"},
	} {
		_, err := daemon.Load([]byte(c.file), nil)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q:\n got %v\nwant %s", c.file, err, c.want)
		}
	}
	_, err := daemon.Load([]byte("[client_tunnels.a]\n[server_tunnels.b]\n[router]\nnetwork = 3"), nil)
	if err == nil || len(strings.Split(err.Error(), "\n")) != 3 {
		t.Errorf("three mistakes are told as %v", err)
	}
}

func TestFileAndEnvironmentSetWhatTheySay(t *testing.T) {
	env := func(name string) (string, bool) {
		if name == "CLIENT_TUNNELS_IRC_TARGET" {
			return "irc.i2p.alt:6667", true
		}
		return "", false
	}
	c, err := daemon.Load([]byte("[http_proxy]\nlisten = \"127.0.0.1:1\"\n[client_tunnels.irc]\nlisten = \"127.0.0.1:6668\"\n"), env)
	if err != nil {
		t.Fatal(err)
	}
	want := daemon.Defaults()
	want.HTTPProxy.Listen = netip.MustParseAddrPort("127.0.0.1:1")
	if len(c.ClientTunnels) != 1 || c.ClientTunnels[0].Target != "irc.i2p.alt:6667" || c.ClientTunnels[0].Listen.Port() != 6668 {
		t.Errorf("client tunnels %+v", c.ClientTunnels)
	}
	c.ClientTunnels = nil
	diff(t, want, c)
}

// TestTheExampleIsTheDefaults reads the example as it stands, and then with
// every setting that is not of a named table set as the example says.
func TestTheExampleIsTheDefaults(t *testing.T) {
	example := daemon.Example()
	c, err := daemon.Load(example, nil)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, daemon.Defaults(), c)

	var set strings.Builder
	named := false
	for line := range strings.Lines(string(example)) {
		if strings.HasPrefix(line, "[") || strings.HasPrefix(line, "#[") {
			named = line[0] == '#'
		}
		switch {
		case named:
		case strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "# "):
			set.WriteString(line[1:])
		default:
			set.WriteString(line)
		}
	}
	if c, err = daemon.Load([]byte(set.String()), nil); err != nil {
		t.Fatal(err)
	}
	diff(t, daemon.Defaults(), c)
	for _, want := range []string{"\nmax_routers = 5000\n", "#[server_tunnels.NAME]\n", "#target = \"\"\n"} {
		if !strings.Contains(set.String()+string(example), want) {
			t.Errorf("the example lacks %q", want)
		}
	}
}

func TestTheReferenceIsCurrent(t *testing.T) {
	page, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(page, daemon.Reference()) {
		t.Error("docs/settings.md is out of date: go run ./cmd/allium config reference > docs/settings.md")
	}
}

func diff(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
}
