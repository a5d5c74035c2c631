//go:build interop

package interop

import (
	"encoding/json"
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
	num int
	dir string
	// length is how many hops its tunnels have.
	length int
}

var alliumConf = template.Must(template.New("allium.toml").Parse(`[router]
network = {{.Network}}
private = true
listen = ["{{.Listen}}"]
min_version = ""
share = "20 MB/s"
[router.exploratory]
inbound = {length = 1}
outbound = {length = 1}
[http_proxy]
listen = "{{.Proxy}}"
[http_proxy.tunnels]
inbound = {length = {{.Length}}}
outbound = {length = {{.Length}}}
[status]
listen = "{{.Status}}"
[log]
level = "debug"
[server_tunnels.{{.Site}}]
target = "127.0.0.1:{{.SitePort}}"
[server_tunnels.{{.Site}}.tunnels]
inbound = {length = {{.Length}}}
outbound = {length = {{.Length}}}
`))

const (
	alliumProxy  = "127.0.0.1:4448"
	alliumStatus = "127.0.0.1:7650"
	// alliumSite names the server tunnel.
	alliumSite = "site"
)

func (a *alliumRouter) name() string    { return "allium" }
func (a *alliumRouter) logFile() string { return filepath.Join(a.dir, "allium.log") }

// configure writes the settings file.
func (a *alliumRouter) configure() error {
	var conf strings.Builder
	err := alliumConf.Execute(&conf, map[string]any{
		"Network": network, "Listen": address(a.num), "Length": a.length,
		"Proxy": alliumProxy, "Status": alliumStatus, "Site": alliumSite, "SitePort": alliumSitePort,
	})
	if err != nil {
		return err
	}
	return os.WriteFile(a.settings(), []byte(conf.String()), 0o600)
}

func (a *alliumRouter) settings() string { return a.dir + ".toml" }

// run starts the program.
func (a *alliumRouter) run() (err error) {
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

// routerInfo reads the RouterInfo the program wrote last.
func (a *alliumRouter) routerInfo() (*data.RouterInfo, error) {
	b, err := os.ReadFile(filepath.Join(a.dir, "router.info"))
	if err != nil {
		return nil, err
	}
	return data.ParseRouterInfo(b)
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
	} `json:"peers"`
	Builds struct {
		Built  int            `json:"built"`
		Failed int            `json:"failed"`
		Causes map[string]int `json:"causes"`
	} `json:"builds"`
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
	Sessions []struct {
		Name   string `json:"name"`
		Host   string `json:"host"`
		Ready  bool   `json:"ready"`
		Leases int    `json:"leases"`
		Lost   int    `json:"lost"`
	} `json:"sessions"`
}

// String is for logs.
func (s status) String() string {
	return fmt.Sprintf("known %+v, lookups %+v, peers %+v, builds %+v, transit %+v, messages %+v", s.Known, s.Lookups, s.Peers, s.Builds, s.Transit, s.Messages)
}

// status asks the program how it is.
func (a *alliumRouter) status() (s status, err error) {
	body, err := get("http://" + alliumStatus + "/api/status")
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(body), &s)
}
