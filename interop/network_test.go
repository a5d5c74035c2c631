//go:build interop

package interop

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"allium/internal/data"
)

// network is the number of the network.
const network = 77

// The routers by their numbers, from 1 on: those of i2pd, then ours.
const (
	// i2pdFloodfills are the first, and oursFloodfills the first of ours. Those
	// of i2pd have no proxies: i2pd takes a LeaseSet for its own clients out of
	// what it keeps as a floodfill, and then misreads and drops it.
	i2pdFloodfills = 4
	oursFloodfills = 2
	// hosting are the first that have sites: their tunnels have 1, 2 and 3
	// hops.
	hosting     = 5 // and 6 and 7
	oursHosting = 9 // and 10 and 11
	// The newcomers start later. They have sites too.
	newcomer     = 8
	oursNewcomer = 12

	i2pds = 8
	ours  = 4

	// Allium's transport alone: one that asks, and others that are dialled.
	asker    = 20
	listener = 21
)

const (
	identityLimit = 30 * time.Second
	readyLimit    = 90 * time.Second
)

// lengths is how many hops the tunnels of a router have.
func lengths(num int) int {
	switch {
	case num < newcomer:
		return num - hosting + 1
	case num >= oursHosting && num < oursNewcomer:
		return num - oursHosting + 1
	}
	return 3
}

// address is where a router listens.
func address(num int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(num), 1}), uint16(20000+num))
}

// httpProxy is where the HTTP proxy of a router listens, and sitePort where
// the web server behind its site does.
func httpProxy(num int) string { return fmt.Sprintf("127.0.0.1:%d", 4400+num) }
func sitePort(num int) int     { return 8000 + num }

// router is an i2pd or an Allium.
type router interface {
	name() string
	number() int
	logFile() string
	program() *process
	// run starts it.
	run() error
	// site is the address of its site.
	site() (b32 string, err error)
	// routerInfo is what it has written of itself.
	routerInfo() (*data.RouterInfo, error)
	// ready tells that it has tunnels, and how it is.
	ready() (bool, string)
}

// testNet is the whole network.
type testNet struct {
	root  string
	i2pds []*i2pd
	ours  []*alliumRouter
}

// startNetwork starts all but the newcomers. All of it ends with the test.
func startNetwork(t *testing.T) *testNet {
	t.Helper()
	n := &testNet{root: workDir(t)}
	t.Cleanup(func() { n.stop(t) })
	for _, step := range []func() error{n.make, n.identities, n.acquaint} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range n.routers() {
		serve(t, r)
	}
	if err := n.begin(); err != nil {
		t.Fatal(err)
	}
	return n
}

// begin starts all but the newcomers, ours when the others listen: what fails
// because they do not yet would say nothing.
func (n *testNet) begin() error {
	for _, r := range n.i2pds[:newcomer-1] {
		if err := r.run(); err != nil {
			return err
		}
	}
	for _, r := range n.i2pds[:newcomer-1] {
		if err := n.within(identityLimit, func() error { _, err := get(r.console()); return err }); err != nil {
			return fmt.Errorf("%s: %w", r.name(), err)
		}
	}
	for _, a := range n.ours[:oursNewcomer-oursHosting] {
		if err := a.run(); err != nil {
			return err
		}
	}
	return nil
}

// routers are all routers in order.
func (n *testNet) routers() (all []router) {
	for _, r := range n.i2pds {
		all = append(all, r)
	}
	for _, r := range n.ours {
		all = append(all, r)
	}
	return all
}

// router finds a router by its number.
func (n *testNet) router(num int) router { return n.routers()[num-1] }

// i2pd and allium find one of a kind.
func (n *testNet) i2pd(num int) *i2pd           { return n.i2pds[num-1] }
func (n *testNet) allium(num int) *alliumRouter { return n.ours[num-1-i2pds] }

// make makes the directories.
func (n *testNet) make() error {
	for num := 1; num <= i2pds; num++ {
		r, err := newI2pd(n.root, num, num <= i2pdFloodfills)
		if err != nil {
			return err
		}
		n.i2pds = append(n.i2pds, r)
		if num >= hosting {
			r.tunnels = []i2pdTunnel{{name: siteTunnel, port: sitePort(num), inbound: lengths(num), outbound: lengths(num)}}
		}
	}
	for num := i2pds + 1; num <= i2pds+ours; num++ {
		a := &alliumRouter{num: num, dir: filepath.Join(n.root, fmt.Sprintf("allium-%d", num)), floodfill: num <= i2pds+oursFloodfills}
		if err := os.MkdirAll(a.dir, 0o700); err != nil {
			return err
		}
		n.ours = append(n.ours, a)
	}
	return nil
}

// identities starts everything once, until the identities are there.
func (n *testNet) identities() error {
	for _, r := range n.routers() {
		if err := r.run(); err != nil {
			return err
		}
	}
	for _, r := range n.routers() {
		err := n.within(identityLimit, func() error { _, err := r.routerInfo(); return err })
		if err != nil {
			return fmt.Errorf("%s: %w", r.name(), err)
		}
	}
	for _, r := range n.routers() {
		r.program().terminate()
	}
	for _, r := range n.i2pds {
		// i2pd sometimes fails on its way out.
		_ = r.wait()
		r.process = nil
	}
	var errs []error
	for _, a := range n.ours {
		errs = append(errs, a.wait())
		a.process = nil
	}
	return errors.Join(errs...)
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

// acquaint makes all but one know the i2pds, without the newcomer. Allium
// makes itself known: no router gets the RouterInfo of one of ours from here.
// Our newcomer gets two, and has to find out about the others.
func (n *testNet) acquaint() error {
	var infos []*data.RouterInfo
	var files []string
	for _, r := range n.i2pds[:newcomer-1] {
		info, err := r.routerInfo()
		if err != nil {
			return err
		}
		infos = append(infos, info)
		files = append(files, r.file("router.info"))
	}
	for _, r := range n.i2pds {
		if err := r.introduce(infos); err != nil {
			return err
		}
	}
	for _, a := range n.ours {
		few := files
		if a.num == oursNewcomer {
			few = files[:2]
		}
		said, err := a.know(few)
		if want := fmt.Sprintf("%d added, 0 known already", len(few)); err == nil && said != want {
			err = fmt.Errorf("netdb import said %q and not %q", said, want)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// restart stops a router and starts it again.
func (n *testNet) restart(t *testing.T, r router) {
	t.Helper()
	r.program().terminate()
	err := r.program().wait()
	if _, ours := r.(*alliumRouter); ours && err != nil {
		t.Fatalf("%s ended with %v", r.name(), err)
	}
	if err := r.run(); err != nil {
		t.Fatal(err)
	}
}

// processes are all that have been started.
func (n *testNet) processes() []*process {
	var all []*process
	for _, r := range n.routers() {
		if p := r.program(); p != nil {
			all = append(all, p)
		}
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
		err := p.wait()
		if err != nil && slices.ContainsFunc(n.ours, func(a *alliumRouter) bool { return a.process == p }) {
			t.Errorf("%s ended with %v", p.name, err)
		}
	}
}

// report prints what the routers tell, and the ends of their logs.
func (n *testNet) report(t *testing.T) {
	for _, r := range n.routers() {
		_, state := r.ready()
		t.Logf("%s: %s", r.name(), state)
		printTail(t, r.name(), r.logFile())
	}
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

// ready waits until every router has tunnels of its own both ways.
func (n *testNet) ready(t *testing.T) {
	t.Helper()
	for _, r := range n.routers() {
		if r.program() != nil {
			eventually(t, r.name()+" has tunnels", readyLimit, r.ready)
		}
	}
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
