package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"allium"
	"allium/internal/daemon"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests.
const patience = 90 * time.Second

// private are the settings of a small network of one's own.
const private = `
[router]
network = 98
private = true
floodfill = "on"
min_version = ""
listen = ["127.0.0.1:0"]
[router.exploratory]
inbound = { length = 1 }
outbound = { length = 1 }
[router.tunnels]
inbound = { length = 1, quantity = 2 }
outbound = { length = 1, quantity = 2 }
[http_proxy]
listen = "127.0.0.1:0"
[status]
listen = "127.0.0.1:0"
`

func settings(t *testing.T, more string) daemon.Config {
	t.Helper()
	c, err := daemon.Load([]byte(private+more), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// start starts a daemon that is closed with the test, unless it is before.
func start(t *testing.T, dir string, c daemon.Config) *daemon.Daemon {
	t.Helper()
	d, err := daemon.Start(t.Context(), dir, c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// introduce makes routers know each other.
func introduce(routers ...*allium.Router) {
	for _, r := range routers {
		r.Import(func(yield func(string, []byte) bool) {
			for _, other := range routers {
				if other != r && !yield("router.info", other.RouterInfo()) {
					return
				}
			}
		})
	}
}

// eventually asks again until there is no error: a new LeaseSet may take a
// moment to be everywhere.
func eventually(t *testing.T, ask func() error) {
	t.Helper()
	giveUp := time.Now().Add(patience)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(giveUp) {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// b32 is the address of the only server tunnel of a daemon.
func b32(t *testing.T, d *daemon.Daemon) string {
	t.Helper()
	host, _, err := net.SplitHostPort(d.Addr("server_tunnels.web").String())
	if err != nil || !strings.HasSuffix(host, ".b32.i2p") {
		t.Fatalf("server tunnel at %q, %v", host, err)
	}
	return host
}

// destination is what hosts.txt wants to know, out of a key file: the
// Destination comes first.
func destination(t *testing.T, keys string, d *daemon.Daemon) string {
	t.Helper()
	if _, err := os.Stat(keys); err != nil {
		t.Fatal(err)
	}
	s, err := d.Router().Open(t.Context(), allium.SessionConfig{KeyFile: keys})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return s.Destination()
}

// TestAPageOfOneDaemonIsVisitedFromAnother hosts a page on a daemon, which
// restarts and is the same again, and visits it from another, by its address
// and by name, through the proxy and through a client tunnel.
func TestAPageOfOneDaemonIsVisitedFromAnother(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		fmt.Fprintf(w, "a page for %s of %s", req.UserAgent(), req.Host)
	}))
	defer site.Close()
	dir, visitorDir := t.TempDir(), t.TempDir()
	web := "[server_tunnels.web]\ntarget = \"" + site.Listener.Addr().String() + "\"\nport = 80\n"
	server := start(t, dir, settings(t, web))
	address, hash := b32(t, server), server.Router().Hash()
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	server = start(t, dir, settings(t, web))
	if server.Router().Hash() != hash || b32(t, server) != address {
		t.Error("a restart made another router, or another site")
	}

	helper := start(t, t.TempDir(), settings(t, ""))
	hosts := filepath.Join(visitorDir, "hosts.txt")
	line := "# names\npage.i2p=" + destination(t, filepath.Join(dir, "web.dat"), helper) + "\n"
	if err := os.WriteFile(hosts, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	visitor := start(t, visitorDir, settings(t, fmt.Sprintf(
		"[address_book]\nhosts = [%q]\n[client_tunnels.page]\ntarget = \"page.i2p:80\"\n", hosts)))
	introduce(server.Router(), visitor.Router(), helper.Router())

	proxy := &url.URL{Scheme: "http", Host: visitor.Addr("http_proxy").String()}
	tr := &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true}
	byProxy := &http.Client{Transport: tr, Timeout: patience}
	direct := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	const browser = "MYOB/6.66 (AN/ON)"
	for _, v := range []struct {
		client    *http.Client
		url, want string
	}{
		{byProxy, "http://" + address + "/", "a page for " + browser + " of " + address},
		{byProxy, "http://page.i2p/", "a page for " + browser + " of page.i2p"},
		{direct, "http://" + visitor.Addr("client_tunnels.page").String() + "/", "a page for Go-http-client/1.1 of 127.0.0.1"},
	} {
		eventually(t, func() error { return get(v.client, v.url, v.want) })
	}
	checkStatus(t, visitor)
	checkRouterInfo(t, dir, server)
}

func get(c *http.Client, from, want string) error {
	resp, err := c.Get(from)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && !strings.HasPrefix(string(b), want) {
		err = fmt.Errorf("%s: %s %.200q", from, resp.Status, b)
	}
	return err
}

// checkStatus compares what is served with what the router says.
func checkStatus(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	resp, err := http.Get("http://" + d.Addr("status").String() + "/api/status")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	var s allium.Status
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	if s.Router != d.Router().Hash() || s.Network != 98 || !s.Ready || s.Known.Routers < 2 || s.Builds.Built == 0 || len(s.Sessions) != 2 {
		t.Errorf("status %+v", s)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
}

// checkRouterInfo compares router.info with what the router sends.
func checkRouterInfo(t *testing.T, dir string, d *daemon.Daemon) {
	t.Helper()
	eventually(t, func() error {
		b, err := os.ReadFile(filepath.Join(dir, "router.info"))
		if err == nil && !bytes.Equal(b, d.Router().RouterInfo()) {
			err = errors.New("router.info is not current")
		}
		return err
	})
}

// TestStatusIsForLocalProgramsAlone has a Host header a row: a web page may
// have its own name lead here, but not a browser that names an address.
func TestStatusIsForLocalProgramsAlone(t *testing.T) {
	d := start(t, t.TempDir(), settings(t, ""))
	at := d.Addr("status").String()
	_, port, _ := net.SplitHostPort(at)
	for _, c := range []struct {
		method, path, host string
		want               int
	}{
		{"GET", "/api/status", at, 200},
		{"GET", "/api/status", "localhost:" + port, 200},
		{"GET", "/api/status", "LOCALHOST", 200},
		{"GET", "/api/status", "[::1]:" + port, 200},
		{"GET", "/api/status", "[::1]", 200},
		{"HEAD", "/api/status", at, 200},
		{"GET", "/api/transit", at, 200},
		{"GET", "/api/transit", "rebound.example.com:" + port, 403},
		{"GET", "/api/status", "rebound.example.com:" + port, 403},
		{"GET", "/api/status", "localhost.example.com", 403},
		{"GET", "/api/status", "site.i2p", 403},
		{"GET", "/", "rebound.example.com", 403},
		{"GET", "/", at, 404},
		{"POST", "/api/status", at, 405},
	} {
		req, err := http.NewRequest(c.method, "http://"+at+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = c.host
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s %s of %s: %s, want %d", c.method, c.path, c.host, resp.Status, c.want)
		}
		if resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Error("pages elsewhere may read it")
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestWhatIsTurnedOffDoesNotListen(t *testing.T) {
	c := settings(t, "")
	c.HTTPProxy.Enabled, c.Status.Enabled = false, false
	d := start(t, t.TempDir(), c)
	for _, table := range []string{"http_proxy", "status", "client_tunnels.none"} {
		if at := d.Addr(table); at != nil {
			t.Errorf("%s listens on %v", table, at)
		}
	}
}

// TestStartFailsWholeAndSaysWhere has a mistake a row that only shows when
// things start: what it is, and the setting it is told with. Nothing is left
// running, as the check for leaks sees.
func TestStartFailsWholeAndSaysWhere(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.dat")
	if err := os.WriteFile(broken, []byte("no keys"), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := taken.Addr().String()
	for _, c := range []struct {
		more, where string
		is          error
	}{
		{"listen = \"" + addr + "\"\n", "status.listen: ", syscall.EADDRINUSE},
		{"[client_tunnels.x]\ntarget = \"a.i2p:1\"\nlisten = \"" + addr + "\"\n", "client_tunnels.x.listen: ", syscall.EADDRINUSE},
		{"[client_tunnels.x]\ntarget = \"a.i2p:1\"\nlisten = \"192.0.2.1:1\"\n", "client_tunnels.x.listen: ", syscall.EADDRNOTAVAIL},
		{"[client_tunnels.x]\ntarget = \"a.i2p:1\"\nkey_file = " + fmt.Sprintf("%q", broken) + "\n", "client_tunnels.x: ", nil},
		{"[server_tunnels.x]\ntarget = \"a:1\"\nkey_file = " + fmt.Sprintf("%q", broken) + "\n", "server_tunnels.x: ", nil},
		{"[address_book]\nhosts = [\"nowhere.txt\"]\n", "address_book.hosts: ", fs.ErrNotExist},
	} {
		file := private + c.more
		if strings.HasPrefix(c.more, "listen") {
			file = strings.Replace(private, "[status]\nlisten = \"127.0.0.1:0\"\n", "[status]\n"+c.more, 1)
		}
		cfg, err := daemon.Load([]byte(file), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = daemon.Start(t.Context(), filepath.Join(dir, "router"), cfg, slog.New(slog.DiscardHandler))
		if err == nil || !strings.HasPrefix(err.Error(), c.where) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%q: %v", c.more, err)
		}
	}
	cfg := settings(t, "")
	cfg.Router.Listen[0] = taken.Addr().(*net.TCPAddr).AddrPort()
	if _, err := daemon.Start(t.Context(), "", cfg, slog.New(slog.DiscardHandler)); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("router's own port in use: %v", err)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := daemon.Start(done, "", settings(t, ""), slog.New(slog.DiscardHandler)); !errors.Is(err, context.Canceled) {
		t.Errorf("started for nobody: %v", err)
	}
}
