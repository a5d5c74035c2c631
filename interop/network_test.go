//go:build interop

package interop

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"allium/internal/data"
)

const (
	// network is the number of the network.
	network = 77
	// The routers: the first are floodfills, of which i2pd wants five.
	floodfills = 5
	hosting    = 6 // an i2pd with a site, and an HTTP proxy
	visitor    = 7 // another one with an HTTP proxy
	i2pds      = 7
	ours       = 8
	newcomer   = 9 // an i2pd that starts later and has not heard of Allium
	// Allium's transport alone: one that asks, and one that is dialled.
	asker    = 10
	listener = 11

	identityLimit = 20 * time.Second
	readyLimit    = 90 * time.Second
)

// address is where a router listens.
func address(num int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(num), 1}), uint16(20000+num))
}

// testNet is the whole network.
type testNet struct {
	root   string
	i2pds  []*i2pd
	allium *alliumRouter
	// site is the address of the page the i2pd host has.
	site string
}

// startNetwork starts everything. All of it ends with the test.
func startNetwork(t *testing.T) *testNet {
	t.Helper()
	n := &testNet{root: workDir(t)}
	t.Cleanup(func() { n.stop(t) })
	for _, step := range []func() error{n.make, n.identities, n.acquaint} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range n.i2pds {
		if err := r.run(); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.allium.run(); err != nil {
		t.Fatal(err)
	}
	return n
}

// make makes the directories.
func (n *testNet) make() error {
	for num := 1; num <= i2pds; num++ {
		r, err := newI2pd(n.root, num, num <= floodfills)
		if err != nil {
			return err
		}
		n.i2pds = append(n.i2pds, r)
	}
	n.i2pds[hosting-1].tunnels = []i2pdTunnel{{name: "site", port: i2pdSitePort, inbound: 2, outbound: 2}}
	n.i2pds[visitor-1].proxy, n.i2pds[hosting-1].proxy = true, true
	n.allium = &alliumRouter{num: ours, dir: filepath.Join(n.root, "allium"), length: 3}
	return os.MkdirAll(n.allium.dir, 0o700)
}

// identities starts everything once, until the identities are there.
func (n *testNet) identities() error {
	if err := n.allium.configure(); err != nil {
		return err
	}
	if err := n.allium.run(); err != nil {
		return err
	}
	for _, r := range n.i2pds {
		if err := r.run(); err != nil {
			return err
		}
	}
	if err := n.within(identityLimit, func() error { _, err := n.allium.routerInfo(); return err }); err != nil {
		return fmt.Errorf("%s: %w", n.allium.name(), err)
	}
	for _, r := range n.i2pds {
		if err := n.within(identityLimit, r.identity); err != nil {
			return fmt.Errorf("%s: %w", r.name(), err)
		}
	}
	dest, err := n.i2pds[hosting-1].destination("site")
	if err != nil {
		return err
	}
	n.site = dest.B32()
	for _, p := range n.processes() {
		p.terminate()
	}
	for _, r := range n.i2pds {
		// i2pd sometimes fails on its way out.
		_ = r.wait()
	}
	return n.allium.wait()
}

// within tries until there is no error, for so long, and while all programs
// run.
func (n *testNet) within(limit time.Duration, try func() error) error {
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		err := try()
		if err == nil || time.Since(begin) > limit {
			return err
		}
		if err := n.check(); err != nil {
			return err
		}
	}
}

// acquaint makes all know the i2pds. Allium makes itself known: no i2pd gets
// its RouterInfo from here.
func (n *testNet) acquaint() error {
	var infos []*data.RouterInfo
	var files []string
	for _, r := range n.i2pds {
		infos = append(infos, r.info)
		files = append(files, r.file("router.info"))
	}
	for _, r := range n.i2pds {
		if err := r.introduce(infos); err != nil {
			return err
		}
	}
	said, err := n.allium.know(files)
	if want := fmt.Sprintf("%d added, 0 known already", i2pds); err == nil && said != want {
		err = fmt.Errorf("netdb import said %q and not %q", said, want)
	}
	return err
}

// join starts one more i2pd, which knows the others and not Allium.
func (n *testNet) join(num int, tunnels ...i2pdTunnel) (*i2pd, error) {
	r, err := newI2pd(n.root, num, false)
	if err != nil {
		return nil, err
	}
	var infos []*data.RouterInfo
	for _, other := range n.i2pds {
		infos = append(infos, other.info)
	}
	n.i2pds = append(n.i2pds, r)
	r.tunnels = tunnels
	r.info = new(data.RouterInfo)
	if err := r.introduce(infos); err != nil {
		return nil, err
	}
	return r, r.run()
}

// restart stops Allium and starts it with tunnels of another length.
func (n *testNet) restart(t *testing.T, length int) {
	t.Helper()
	n.allium.terminate()
	if err := n.allium.wait(); err != nil {
		t.Fatal("allium ended with", err)
	}
	n.allium.length = length
	if err := n.allium.configure(); err != nil {
		t.Fatal(err)
	}
	if err := n.allium.run(); err != nil {
		t.Fatal(err)
	}
	n.alliumReady(t)
}

// processes are all that have been started.
func (n *testNet) processes() []*process {
	var all []*process
	for _, r := range n.i2pds {
		if r.process != nil {
			all = append(all, r.process)
		}
	}
	if n.allium != nil && n.allium.process != nil {
		all = append(all, n.allium.process)
	}
	return all
}

// stop ends everything, and on failure prints how it was.
func (n *testNet) stop(t *testing.T) {
	if t.Failed() {
		n.report(t)
	}
	for _, p := range n.processes() {
		p.terminate()
	}
	for _, p := range n.processes() {
		if err := p.wait(); err != nil && p.name == n.allium.name() {
			t.Errorf("%s ended with %v", p.name, err)
		}
	}
}

// report prints what the routers tell, and the ends of their logs.
func (n *testNet) report(t *testing.T) {
	for _, r := range n.i2pds {
		if c, err := readConsole(r.console()); err != nil {
			t.Logf("%s: no console: %v", r.name(), err)
		} else {
			t.Logf("%s: %v", r.name(), c)
		}
	}
	if body, err := get("http://" + alliumStatus + "/api/status"); err != nil {
		t.Logf("allium: no status: %v", err)
	} else {
		t.Logf("allium: %s", body)
	}
	for _, r := range n.i2pds {
		printTail(t, r.name(), r.logFile())
	}
	printTail(t, n.allium.name(), n.allium.logFile())
}

// check fails when a program has ended.
func (n *testNet) check() error {
	var errs []error
	for _, p := range n.processes() {
		if ended, err := p.ended(); ended {
			errs = append(errs, fmt.Errorf("%s has ended: %w", p.name, err))
		}
	}
	return errors.Join(errs...)
}

// ready waits until every router has exploratory tunnels both ways.
func (n *testNet) ready(t *testing.T) {
	t.Helper()
	for _, r := range n.i2pds {
		eventually(t, r.name()+" has tunnels", readyLimit, func() (bool, string) {
			c, err := readConsole(r.console())
			if err != nil {
				return false, err.Error()
			}
			return c.inbound > 0 && c.outbound > 0, c.String()
		})
	}
	n.alliumReady(t)
	if err := n.check(); err != nil {
		t.Fatal(err)
	}
}

// alliumReady waits for Allium alone.
func (n *testNet) alliumReady(t *testing.T) {
	t.Helper()
	eventually(t, "allium has tunnels", readyLimit, func() (bool, string) {
		s, err := n.allium.status()
		if err != nil {
			return false, err.Error()
		}
		return s.Ready, s.String()
	})
}

// workDir makes the directory of a network.
func workDir(t *testing.T) string {
	t.Helper()
	if *keepDir == "" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(*keepDir, "net-")
	if err != nil {
		t.Fatal(err)
	}
	t.Log("working in", dir)
	return dir
}
