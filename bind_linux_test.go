package allium_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"allium"
)

// inside tells a test that it runs in a network of its own.
const inside = "ALLIUM_TEST_NETWORK"

// inNetworkOfItsOwn runs the test again in a process with no network but what
// it makes, and reports whether this is that process.
func inNetworkOfItsOwn(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs the program ip")
	}
	only := "-test.run=^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	cmd := exec.Command(os.Args[0], only, "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	switch err := cmd.Start(); {
	case err != nil:
		t.Skipf("this system lets nobody have a network of his own: %v", err)
	case cmd.Wait() != nil:
		t.Errorf("%s", out.String())
	case strings.Contains(out.String(), "--- SKIP"):
		t.Skip(out.String())
	}
	return false
}

// ip configures the network of the test.
func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// twoInterfaces makes tun0 and wan, whose other ends swallow what is sent. The
// way to everywhere leads through wan.
func twoInterfaces(t *testing.T) {
	t.Helper()
	ip(t, "link set lo up")
	for i, name := range []string{"tun0", "wan"} {
		ip(t, fmt.Sprintf("link add %s type veth peer name %s-end", name, name))
		for _, end := range []string{name, name + "-end"} {
			quiet := "/proc/sys/net/ipv6/conf/" + end + "/disable_ipv6"
			if err := os.WriteFile(quiet, []byte("1"), 0o600); err != nil {
				t.Skipf("IPv6 cannot be kept from talking by itself: %v", err)
			}
			ip(t, "link set "+end+" up")
		}
		ip(t, fmt.Sprintf("address add 10.%d.0.1/24 dev %s", i+1, name))
		ip(t, fmt.Sprintf("neighbour add 10.%d.0.254 lladdr 02:00:00:00:00:01 nud permanent dev %s", i+1, name))
	}
	ip(t, "route add default via 10.2.0.254 dev wan metric 1")
	ip(t, "route add default via 10.1.0.254 dev tun0 metric 500")
}

// sent is how many packets have left through an interface.
func sent(t *testing.T, name string) int {
	t.Helper()
	table, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 10 && f[0] == name+":" {
			n, err := strconv.Atoi(f[10])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no interface %s in %s", name, table)
	return 0
}

// A router that is bound sends nothing elsewhere, whatever it is about: other
// routers, the time, reseeding, the gateway, names (pain 38). One that is not
// shows that all of this is sent.
func TestBoundRouterSendsNothingElsewhere(t *testing.T) {
	for name, bind := range map[string]string{"interface": "tun0", "address": "10.1.0.1", "nothing": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !inNetworkOfItsOwn(t) {
				return
			}
			twoInterfaces(t)
			through, not := "wan", "tun0"
			if bind != "" {
				through, not = "tun0", "wan"
			}
			before, strays := sent(t, through), sent(t, not)
			tryEverything(t, bind)
			if n := sent(t, through) - before; n < 5 {
				t.Errorf("only %d packets through %s", n, through)
			}
			if n := sent(t, not) - strays; n != 0 {
				t.Errorf("%d packets through %s", n, not)
			}
		})
	}
}

// tryEverything runs a router until it has tried to reach everybody there is.
func tryEverything(t *testing.T, bind string) {
	t.Helper()
	peer := allium.Config{Settings: privateSettings()}
	peer.Settings.Hosts = []netip.Addr{netip.MustParseAddr("10.77.0.5")}
	there := start(t, peer)
	info := there.RouterInfo()
	if err := there.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := allium.Config{Settings: privateSettings()}
	s := &cfg.Settings
	s.Listen = nil
	s.Bind = strings.Fields(bind)
	s.Time.Servers = []string{"10.77.0.9", "time.invalid"}
	s.Reseed.URLs = []string{"https://10.77.0.10/", "https://reseed.invalid/"}
	s.PortMapping.Enabled = "on"
	s.PortMapping.Gateway = netip.MustParseAddr("10.77.0.11")
	r := start(t, cfg)
	r.Import(func(yield func(string, []byte) bool) { yield("router.info", info) })
	tried := func(s allium.Status) bool {
		return s.Peers.Dialled > 0 && len(s.Ports.Tried) > 0 && len(s.Clock.Servers) > 1 && s.Clock.Servers[0].Error != "" &&
			len(s.Reseed.Sources) > 1 && !s.Reseed.Sources[1].Tried.IsZero()
	}
	for end := time.Now().Add(patience); !tried(r.Status()) && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	if s := r.Status(); !tried(s) {
		t.Errorf("has not tried everything: %+v, %+v, %+v, %+v", s.Peers, s.Ports, s.Reseed, s.Clock)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestRouterRefusesToStartWithoutWhatItIsBoundTo(t *testing.T) {
	for bind, want := range map[string]string{
		"nowhere0":            `no interface "nowhere0"`,
		"192.0.2.77":          "does not have the address 192.0.2.77",
		"127.0.0.1 127.0.0.2": "second address of its family",
		"127.0.0.1 lo":        "only one interface",
	} {
		cfg := allium.Config{Settings: privateSettings()}
		cfg.Settings.Bind = strings.Fields(bind)
		if _, err := allium.Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", bind, err)
		}
	}
}
