//go:build interop

package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"allium/internal/data"
)

// alliumRouter is the program under test.
type alliumRouter struct {
	*process
	num       int
	dir       string
	floodfill bool
	// peers, if any, are the routers its tunnels pass.
	peers []data.Hash
}

var alliumConf = template.Must(template.New("allium.toml").Parse(`[router]
network = {{.Network}}
private = true
listen = ["{{.Listen}}"]
floodfill = "{{if .Floodfill}}on{{else}}off{{end}}"
min_version = ""
share = "20 MB/s"
peers = [{{range .Peers}}"{{.}}", {{end}}]
[router.exploratory]
inbound = {length = 1}
outbound = {length = 1}
[router.tunnels]
inbound = {length = {{.Length}}, quantity = {{.Quantity}}}
outbound = {length = {{.Length}}, quantity = {{.Quantity}}}
[http_proxy]
listen = "{{.Proxy}}"
[status]
listen = "{{.Status}}"
[log]
level = "debug"
[server_tunnels.{{.Site}}]
target = "127.0.0.1:{{.SitePort}}"
`))

func (a *alliumRouter) name() string      { return fmt.Sprintf("allium %d", a.num) }
func (a *alliumRouter) number() int       { return a.num }
func (a *alliumRouter) logFile() string   { return filepath.Join(a.dir, "allium.log") }
func (a *alliumRouter) program() *process { return a.process }
func (a *alliumRouter) api() string       { return fmt.Sprintf("127.0.0.1:%d", 7600+a.num) }

// configure writes the settings file.
func (a *alliumRouter) configure() error {
	// Where the path is fixed, one tunnel each way has all the traffic.
	quantity := 3
	if len(a.peers) > 0 {
		quantity = 1
	}
	var conf strings.Builder
	err := alliumConf.Execute(&conf, map[string]any{
		"Network": network, "Listen": address(a.num), "Floodfill": a.floodfill, "Peers": a.peers,
		"Length": lengths(a.num), "Quantity": quantity, "Proxy": httpProxy(a.num), "Status": a.api(),
		"Site": siteTunnel, "SitePort": sitePort(a.num),
	})
	if err != nil {
		return err
	}
	return os.WriteFile(a.settings(), []byte(conf.String()), 0o600)
}

func (a *alliumRouter) settings() string { return a.dir + ".toml" }

// run starts the program.
func (a *alliumRouter) run() (err error) {
	if err := a.configure(); err != nil {
		return err
	}
	a.process, err = start(a.name(), a.logFile(), os.Getenv(binaryVariable),
		"run", "--dir", a.dir, "--config", a.settings())
	return err
}

// know imports RouterInfos from files. The program must not be running.
func (a *alliumRouter) know(files []string) (string, error) {
	args := append([]string{"netdb", "import", "--dir", a.dir, "--config", a.settings()}, files...)
	out, err := exec.Command(os.Getenv(binaryVariable), args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("allium netdb import: %w: %s", err, out)
	}
	return strings.TrimSpace(string(out)), err
}

// ready tells whether it has exploratory tunnels both ways.
func (a *alliumRouter) ready() (bool, string) {
	s, err := a.status()
	if err != nil {
		return false, err.Error()
	}
	return s.Ready, s.String()
}

// errNotReady reports a site without tunnels.
var errNotReady = errors.New("not ready yet")

// site is the address of its site.
func (a *alliumRouter) site() (string, error) {
	s, err := a.status()
	if err != nil {
		return "", err
	}
	for _, session := range s.Sessions {
		if session.Name == siteTunnel {
			return session.Host, nil
		}
	}
	return "", errNotReady
}

// status is what these tests need of the JSON at /api/status.
type status struct {
	Ready bool `json:"ready"`
	Known struct {
		Routers    int `json:"routers"`
		Floodfills int `json:"floodfills"`
	} `json:"known"`
	Lookups struct {
		Caught     int `json:"caught"`
		NothingNew int `json:"nothing_new"`
	} `json:"lookups"`
	Peers struct {
		Sessions int `json:"sessions"`
		Inbound  int `json:"inbound"`
		Dialled  int `json:"dialled"`
		Accepted int `json:"accepted"`
		Failed   int `json:"failed"`
		// Ended is why sessions ended.
		Ended map[string]int `json:"ended"`
	} `json:"peers"`
	Builds struct {
		Built  int            `json:"built"`
		Failed int            `json:"failed"`
		Causes map[string]int `json:"causes"`
	} `json:"builds"`
	Pools []struct {
		Name   string `json:"name"`
		Passed int    `json:"tests_passed"`
		Failed int    `json:"tests_failed"`
	} `json:"pools"`
	Transit struct {
		Participants      int            `json:"participants"`
		InboundGateways   int            `json:"inbound_gateways"`
		OutboundEndpoints int            `json:"outbound_endpoints"`
		Accepted          int            `json:"accepted"`
		Refused           map[string]int `json:"refused"`
		Ignored           map[string]int `json:"ignored"`
		Messages          int            `json:"messages"`
		Bytes             int            `json:"bytes"`
		Dropped           map[string]int `json:"dropped"`
	} `json:"transit"`
	Messages struct {
		Received  int `json:"received"`
		Malformed int `json:"malformed"`
		Unknown   int `json:"unknown"`
	} `json:"messages"`
	Served struct {
		Answered int `json:"answered"`
		Stored   int `json:"stored"`
		Flooded  int `json:"flooded"`
	} `json:"served"`
	Sessions []struct {
		Name     string `json:"name"`
		Host     string `json:"host"`
		Ready    bool   `json:"ready"`
		Leases   int    `json:"leases"`
		Sent     int    `json:"sent"`
		Received int    `json:"received"`
		Lost     int    `json:"lost"`
	} `json:"sessions"`
}

// String is for logs.
func (s status) String() string {
	return fmt.Sprintf("known %+v, lookups %+v, peers %+v, builds %+v, pools %+v, transit %+v, messages %+v, served %+v, sessions %+v",
		s.Known, s.Lookups, s.Peers, s.Builds, s.Pools, s.Transit, s.Messages, s.Served, s.Sessions)
}

// status asks the program how it is.
func (a *alliumRouter) status() (s status, err error) { return s, a.ask("status", &s) }

// ask asks the program for something.
func (a *alliumRouter) ask(what string, v any) error {
	body, err := get("http://" + a.api() + "/api/" + what)
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(body), v)
}

// carried lists the tunnels of others.
func (a *alliumRouter) carried() (all []carried, err error) {
	var tunnels []struct {
		Role     string `json:"role"`
		Messages int    `json:"messages"`
	}
	err = a.ask("transit", &tunnels)
	for _, t := range tunnels {
		all = append(all, carried{t.Role, t.Messages})
	}
	return all, err
}

// routerInfo reads the RouterInfo the program wrote last.
func (a *alliumRouter) routerInfo() (*data.RouterInfo, error) {
	b, err := os.ReadFile(filepath.Join(a.dir, "router.info"))
	if err != nil {
		return nil, err
	}
	return data.ParseRouterInfo(b)
}
