//go:build interop && linux

package portmap

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The real thing: miniupnpd between two networks, each a namespace of its own.
//
//	home 192.168.7.2 -- 192.168.7.1 gateway 45.66.77.88 -- 45.66.77.1 outside
//
// This program runs again inside: as the router at home, which does what it is
// told on standard input, and as somebody outside, who connects.
const (
	roleVariable = "PORTMAP_TEST_ROLE"
	wan          = "45.66.77.88"
	greeting     = "hello from home"
)

func TestMiniupnpdMapsAPort(t *testing.T) {
	switch os.Getenv(roleVariable) {
	case "home":
		beHome()
	case "outside":
		beOutside()
	}
	for _, c := range []struct{ name, conf, filter, method string }{
		{"PCP", "enable_natpmp=yes\nenable_upnp=no\n", "", "PCP at 192.168.7.1"},
		// What begins with a 2 is PCP.
		{"NAT-PMP", "enable_natpmp=yes\nenable_upnp=no\n", "udp dport 5351 @th,64,8 2 drop", "NAT-PMP at 192.168.7.1"},
		{"UPnP IGD 2", "enable_natpmp=no\nenable_upnp=yes\n", "", "UPnP at 192.168.7.1"},
		{"UPnP IGD 1", "enable_natpmp=no\nenable_upnp=yes\nforce_igd_desc_v1=yes\n", "", "UPnP at 192.168.7.1"},
		{"UPnP without multicast", "enable_natpmp=no\nenable_upnp=yes\n", "ip daddr 239.255.255.250 drop", "UPnP at 192.168.7.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNetwork(t, c.conf, c.filter)
			n.startDaemon(t)
			home := n.startHome(t)
			want := "mapped " + wan + ":12345 by " + c.method
			if got := home.line(t); got != want {
				t.Fatalf("%q, want %q\n%s", got, want, n.log(t))
			}
			n.dial(t, true)

			// The gateway is switched off and on, and has forgotten it.
			n.stopDaemon(t)
			n.clearRules(t)
			n.dial(t, false)
			n.startDaemon(t)
			home.tell(t, "check")
			eventually(t, func() bool { return n.reaches() })

			home.tell(t, "close")
			if got := home.line(t); got != "closed" {
				t.Fatalf("%q\n%s", got, n.log(t))
			}
			n.dial(t, false)
		})
	}
}

// beHome is the router at home.
func beHome() {
	ln, err := net.Listen("tcp4", "0.0.0.0:12345")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, greeting)
			_ = conn.Close()
		}
	}()
	var m *Mapper
	started := make(chan struct{})
	m = Start(Config{}, Wiring{
		Port: 12345, Protocols: []Protocol{TCP}, Nonce: Nonce{7},
		Mapped: func(_ Protocol, _, external netip.AddrPort) {
			<-started
			by := ""
			for _, p := range m.Status().Ports {
				by = p.Method
			}
			fmt.Printf("mapped %v by %s\n", external, by)
		},
	})
	close(started)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		switch in.Text() {
		case "check":
			m.Check()
		case "close":
			m.Close()
			fmt.Println("closed")
		}
	}
	os.Exit(0)
}

// beOutside connects to the gateway.
func beOutside() {
	conn, err := net.DialTimeout("tcp", wan+":12345", time.Second)
	if err == nil {
		_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
		var b []byte
		b, err = io.ReadAll(conn)
		if err == nil && string(b) != greeting {
			err = fmt.Errorf("read %q", b)
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// network is the three namespaces.
type network struct {
	dir, home, gateway, outside string
	daemon                      *exec.Cmd
}

func newNetwork(t *testing.T, conf, filter string) *network {
	t.Helper()
	id := fmt.Sprintf("apm%d", os.Getpid())
	n := &network{dir: t.TempDir(), home: id + "h", gateway: id + "g", outside: id + "o"}
	for _, ns := range []string{n.home, n.gateway, n.outside} {
		command(t, "ip", "netns", "add", ns)
		t.Cleanup(func() { command(t, "ip", "netns", "del", ns) })
		command(t, "ip", "-n", ns, "link", "set", "lo", "up")
	}
	n.join(t, n.home, "192.168.7.2", n.gateway, "192.168.7.1", "lan")
	n.join(t, n.outside, "45.66.77.1", n.gateway, wan, "wan")
	command(t, "ip", "-n", n.home, "route", "add", "default", "via", "192.168.7.1")
	command(t, "ip", "netns", "exec", n.gateway, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	n.file(t, "rules", rules(filter))
	n.file(t, "conf", "ext_ifname=wan\nlistening_ip=lan\nport=5000\nsecure_mode=yes\nsystem_uptime=no\nmin_lifetime=120\nmax_lifetime=86400\n"+
		"uuid=09620820-f039-47bd-8cc2-f293570b0528\nlease_file="+filepath.Join(n.dir, "leases")+"\nallow 1024-65535 0.0.0.0/0 1024-65535\n"+conf)
	n.clearRules(t)
	return n
}

// join puts a cable between two namespaces, at the second on an interface of
// that name.
func (n *network) join(t *testing.T, a, addrA, b, addrB, name string) {
	t.Helper()
	command(t, "ip", "-n", a, "link", "add", "eth0", "type", "veth", "peer", "name", name, "netns", b)
	for ns, end := range map[string][2]string{a: {"eth0", addrA}, b: {name, addrB}} {
		command(t, "ip", "-n", ns, "addr", "add", end[1]+"/24", "dev", end[0])
		command(t, "ip", "-n", ns, "link", "set", end[0], "up")
	}
}

// rules are those of a gateway that lets nothing in, with the chains that
// miniupnpd fills.
func rules(filter string) string {
	return "flush ruleset\n" +
		"table inet filter {\n" +
		" chain miniupnpd { }\n chain prerouting_miniupnpd { }\n chain postrouting_miniupnpd { }\n" +
		" chain input { type filter hook input priority 0; " + filter + "; }\n" +
		" chain forward { type filter hook forward priority 0; policy drop; iifname lan accept; ct state established,related accept; jump miniupnpd; }\n" +
		" chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }\n" +
		" chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; oifname wan masquerade; }\n" +
		"}\n"
}

func (n *network) file(t *testing.T, name, content string) {
	t.Helper()
	content = strings.ReplaceAll(content, "; ; }", "; }")
	if err := os.WriteFile(filepath.Join(n.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (n *network) clearRules(t *testing.T) {
	t.Helper()
	command(t, "ip", "netns", "exec", n.gateway, "nft", "-f", filepath.Join(n.dir, "rules"))
}

func (n *network) startDaemon(t *testing.T) {
	t.Helper()
	_ = os.Remove(filepath.Join(n.dir, "leases"))
	out, err := os.OpenFile(filepath.Join(n.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	n.daemon = exec.Command("ip", "netns", "exec", n.gateway, "miniupnpd", "-d", "-f", filepath.Join(n.dir, "conf"), "-P", filepath.Join(n.dir, "pid"))
	n.daemon.Stdout, n.daemon.Stderr = out, out
	if err := startTied(n.daemon); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.stopDaemon(t) })
	eventually(t, func() bool { return strings.Contains(n.log(t), "istening") })
}

// stopDaemon switches it off, if it is on.
func (n *network) stopDaemon(t *testing.T) {
	if n.daemon == nil {
		return
	}
	_ = n.daemon.Process.Kill()
	_ = n.daemon.Wait()
	n.daemon = nil
	_ = os.Remove(filepath.Join(n.dir, "log"))
	_ = os.Remove(filepath.Join(n.dir, "pid"))
}

func (n *network) log(t *testing.T) string {
	b, _ := os.ReadFile(filepath.Join(n.dir, "log"))
	return string(b)
}

// reaches tells whether somebody outside reaches the router at home.
func (n *network) reaches() bool { return n.again("outside", n.outside).Run() == nil }

func (n *network) dial(t *testing.T, want bool) {
	t.Helper()
	if out, err := n.again("outside", n.outside).CombinedOutput(); (err == nil) != want {
		t.Errorf("reached from outside: %v, want %v\n%s\n%s", err == nil, want, out, n.log(t))
	}
}

// again is this program in a namespace.
func (n *network) again(role, ns string) *exec.Cmd {
	cmd := exec.Command("ip", "netns", "exec", ns, os.Args[0], "-test.run=^TestMiniupnpdMapsAPort$")
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	return cmd
}

// child is the router at home.
type child struct {
	in    io.Writer
	lines chan string
}

func (n *network) startHome(t *testing.T) *child {
	t.Helper()
	cmd := n.again("home", n.home)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := startTied(cmd); err != nil {
		t.Fatal(err)
	}
	h := &child{in, make(chan string, 16)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			h.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-read
		_ = cmd.Wait()
	})
	return h
}

func (h *child) tell(t *testing.T, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(h.in, line); err != nil {
		t.Fatal(err)
	}
}

// line is the next that the router says.
func (h *child) line(t *testing.T) string {
	t.Helper()
	select {
	case line := <-h.lines:
		return line
	case <-time.After(30 * time.Second):
		return "nothing"
	}
}

// startTied starts a program that the kernel ends with this one.
func startTied(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd.Start()
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for giveUp := time.Now().Add(30 * time.Second); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(giveUp) {
			t.Fatal("waited in vain")
		}
	}
}
