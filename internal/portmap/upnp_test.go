package portmap_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"allium/internal/portmap"
)

// igd is a UPnP gateway on loopback.
type igd struct {
	kind     string // of its service
	external string
	// refuse gives a fault for an action, or 0.
	refuse func(action string, fields map[string]string) int
	// location replaces where it says that it describes itself.
	location string
	// page replaces its description.
	page string

	mu      sync.Mutex
	mapped  map[string]string // external port and protocol to local address
	actions []string
}

func (g *igd) serve(h *home) *igd {
	if g.kind == "" {
		g.kind = "urn:schemas-upnp-org:service:WANIPConnection:1"
	}
	if g.external == "" {
		g.external = outside.String()
	}
	g.mapped = map[string]string{}
	web := httptest.NewServer(g)
	h.t.Cleanup(web.Close)
	location := g.location
	if location == "" {
		location = web.URL + "/desc.xml"
	}
	h.ssdp = netip.AddrPortFrom(loopback, serve(h.t, func(conn net.PacketConn, from net.Addr, b []byte) {
		if strings.HasPrefix(string(b), "M-SEARCH * HTTP/1.1\r\n") {
			fmt.Fprintf(writer{conn, from}, "HTTP/1.1 200 OK\r\nST: x\r\nlocation:%s\r\nEXT:\r\n\r\n", location)
		}
	}))
	return g
}

type writer struct {
	conn net.PacketConn
	to   net.Addr
}

func (w writer) Write(b []byte) (int, error) { return w.conn.WriteTo(b, w.to) }

func (g *igd) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if req.Method == http.MethodGet {
		page := g.page
		if page == "" {
			page = `<?xml version="1.0" encoding="iso-8859-1"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device><deviceList><device>` +
				`<deviceList><device><serviceList><service><serviceType>urn:x:other:1</serviceType><controlURL>/no</controlURL></service>` +
				`<service><serviceType> ` + g.kind + ` </serviceType><controlURL>ctl/ip</controlURL></service></serviceList></device></deviceList>` +
				`</device></deviceList></device></root>`
		}
		_, _ = io.WriteString(w, page)
		return
	}
	body, _ := io.ReadAll(req.Body)
	fields, err := portmap.ParseFields(body)
	kind, action, _ := strings.Cut(strings.Trim(req.Header.Get("Soapaction"), `"`), "#")
	if err != nil || kind != g.kind || req.URL.Path != "/ctl/ip" {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	g.actions = append(g.actions, action)
	if g.refuse != nil {
		if code := g.refuse(action, fields); code != 0 {
			g.fault(w, code)
			return
		}
	}
	g.act(w, action, fields)
}

func (g *igd) fault(w http.ResponseWriter, code int) {
	w.WriteHeader(http.StatusInternalServerError)
	fmt.Fprintf(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client</faultcode>`+
		`<detail><UPnPError><errorCode>%d</errorCode><errorDescription>because</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>`, code)
}

func (g *igd) act(w http.ResponseWriter, action string, f map[string]string) {
	key := f["NewProtocol"] + f["NewExternalPort"]
	out := map[string]string{}
	switch action {
	case "GetExternalIPAddress":
		out["NewExternalIPAddress"] = g.external
	case "AddPortMapping":
		g.mapped[key] = net.JoinHostPort(f["NewInternalClient"], f["NewInternalPort"]) + " " + f["NewLeaseDuration"]
	case "DeletePortMapping":
		delete(g.mapped, key)
	case "GetSpecificPortMappingEntry":
		to, life, mapped := strings.Cut(g.mapped[key], " ")
		if !mapped {
			g.fault(w, 714)
			return
		}
		out["NewInternalClient"], out["NewInternalPort"], _ = net.SplitHostPort(to)
		out["NewLeaseDuration"] = life
	}
	io.WriteString(w, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><u:`+action+`Response xmlns:u="`+g.kind+`">`)
	for name, value := range out {
		fmt.Fprintf(w, "<%s>", name)
		_ = xml.EscapeText(w, []byte(value))
		fmt.Fprintf(w, "</%s>", name)
	}
	io.WriteString(w, `</u:`+action+`Response></s:Body></s:Envelope>`)
}

// maps tells where a port leads.
func (g *igd) maps(port int) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mapped["TCP"+strconv.Itoa(port)]
}

func TestUPnPMapsAndTakesBack(t *testing.T) {
	for _, kind := range []string{"WANIPConnection:1", "WANIPConnection:2", "WANPPPConnection:1"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			g := (&igd{kind: "urn:schemas-upnp-org:service:" + kind}).serve(h)
			m := h.start()
			h.want("45.66.77.88:12345")
			if to := g.maps(ours); to != "127.0.0.1:12345 7200" {
				t.Errorf("mapped to %q", to)
			}
			if s := m.Status(); s.Ports[0].Method != "UPnP at 127.0.0.1" {
				t.Errorf("%+v", s)
			}
			m.Close()
			if to := g.maps(ours); to != "" {
				t.Errorf("still mapped to %q", to)
			}
		})
	}
}

func TestUPnPGatewaysWithManners(t *testing.T) {
	for name, c := range map[string]struct {
		g    *igd
		want string
		life string
	}{
		"permanent only": {&igd{refuse: func(action string, f map[string]string) int {
			if action == "AddPortMapping" && f["NewLeaseDuration"] != "0" {
				return 725
			}
			return 0
		}}, "45.66.77.88:12345", "0"},
		"a wrong code for it": {&igd{refuse: func(action string, f map[string]string) int {
			if action == "AddPortMapping" && f["NewLeaseDuration"] != "0" {
				return 402
			}
			return 0
		}}, "45.66.77.88:12345", "0"},
		"entries cannot be asked for": {&igd{refuse: func(action string, _ map[string]string) int {
			if action == "GetSpecificPortMappingEntry" {
				return 401
			}
			return 0
		}}, "45.66.77.88:12345", "7200"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			g := c.g.serve(h)
			h.start()
			h.want(c.want)
			if to := g.maps(ours); to != "127.0.0.1:12345 "+c.life {
				t.Errorf("mapped to %q", to)
			}
		})
	}
}

func TestUPnPTakesAnotherPortWhenOneIsTaken(t *testing.T) {
	for name, prepare := range map[string]func(g *igd){
		"by an entry": func(g *igd) { g.mapped["TCP12345"] = "192.168.1.7:80 0" },
		"by a fault": func(g *igd) {
			g.refuse = func(action string, f map[string]string) int {
				if action == "AddPortMapping" && f["NewExternalPort"] == "12345" {
					return 718
				}
				return 0
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			g := (&igd{}).serve(h)
			prepare(g)
			h.start()
			e := h.next()
			if p := e.external.Port(); p == ours || p < 9151 || g.maps(int(p)) != "127.0.0.1:12345 7200" {
				t.Errorf("%v", e)
			}
			if to := g.maps(ours); name == "by an entry" && to != "192.168.1.7:80 0" {
				t.Errorf("that of another leads to %q", to)
			}
		})
	}
}

func TestUPnPMappingsThatWereLostAreMadeAgain(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	g := (&igd{}).serve(h)
	m := h.start()
	h.want("45.66.77.88:12345")
	g.mu.Lock()
	clear(g.mapped)
	g.external = "45.66.77.99"
	g.mu.Unlock()
	m.Check()
	h.want("45.66.77.99:12345")
	if to := g.maps(ours); to != "127.0.0.1:12345 7200" {
		t.Errorf("mapped to %q", to)
	}
}

func TestUPnPGatewaysThatAreOfNoUse(t *testing.T) {
	for name, c := range map[string]struct {
		g    *igd
		want error
	}{
		"refuses": {&igd{refuse: func(action string, _ map[string]string) int {
			if action == "AddPortMapping" {
				return 606
			}
			return 0
		}}, portmap.ErrRefused},
		"lies":            {&igd{refuse: func(action string, _ map[string]string) int { return 714 * strings.Count(action, "GetSpecific") }}, portmap.ErrRefused},
		"behind another":  {&igd{external: "192.168.0.2"}, portmap.ErrDoubleNAT},
		"has no address":  {&igd{external: "0.0.0.0"}, portmap.ErrDoubleNAT},
		"garbage address": {&igd{external: "none"}, portmap.ErrMalformed},
		"garbage":         {&igd{page: "nothing of use"}, portmap.ErrMalformed},
		"maps nothing":    {&igd{page: "<root><device/></root>"}, portmap.ErrRefused},
		"huge":            {&igd{page: strings.Repeat("<a>", 1<<20)}, portmap.ErrMalformed},
		"sends elsewhere": {&igd{location: "http://127.0.0.2:80/"}, portmap.ErrSilent},
		"sends to a name": {&igd{location: "http://localhost:80/"}, portmap.ErrSilent},
		"sends to a file": {&igd{location: "file:///etc/passwd"}, portmap.ErrSilent},
		"control elsewhere": {&igd{page: `<root><device><serviceList><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>` +
			`<controlURL>http://127.0.0.2/ctl</controlURL></service></serviceList></device></root>`}, portmap.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			g := c.g.serve(h)
			tried := h.failed(h.start())
			if last := tried[len(tried)-1]; !errors.Is(last.Err, c.want) {
				t.Errorf("%v", last)
			}
			if to := g.maps(ours); name == "behind another" && to != "" {
				t.Errorf("mapped to %q", to)
			}
		})
	}
}

func FuzzDocuments(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nLocation: http://127.0.0.1:80/x\r\n\r\n"))
	f.Add([]byte(`<root><URLBase>http://127.0.0.1/</URLBase><device><serviceList><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1` +
		`</serviceType><controlURL>/ctl</controlURL></service></serviceList></device></root>`))
	f.Add([]byte(`<s:Envelope><s:Body><NewExternalIPAddress>45.66.77.88</NewExternalIPAddress></s:Body></s:Envelope>`))
	location := &url.URL{Scheme: "http", Host: "127.0.0.1:80", Path: "/d.xml"}
	f.Fuzz(func(t *testing.T, b []byte) {
		if u, ok := portmap.ParseSearchAnswer(b, loopback); ok && u.Hostname() != "127.0.0.1" && u.Hostname() != "::ffff:127.0.0.1" {
			t.Errorf("sent to %v", u)
		}
		if n, err := portmap.ParseDescription(b, location); n > 8 || n == 0 && err == nil {
			t.Errorf("%d services, %v", n, err)
		}
		if fields, _ := portmap.ParseFields(b); len(fields) > 64 {
			t.Errorf("%d fields", len(fields))
		}
	})
}
