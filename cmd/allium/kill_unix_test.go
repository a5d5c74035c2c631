//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"allium"
	"allium/internal/data"
	"allium/internal/netdb"
	"allium/internal/profile"
	"allium/internal/store"
)

const (
	// kills in the environment is how often a router is killed.
	kills = "ALLIUM_KILLS"
	// killsInShort is how often it is without.
	killsInShort = 20
	// killNetwork is the network of these tests.
	killNetwork = 95
)

// TestARouterThatIsKilledStartsAgainIntact kills a router in the midst of its
// work, again and again, and looks each time at what is left on the disk, and
// whether it starts.
func TestARouterThatIsKilledStartsAgainIntact(t *testing.T) {
	times := killsInShort
	if s := os.Getenv(kills); s != "" {
		var err error
		if times, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	n := newKillNetwork(t)
	// Two at a time, which also carry tunnels for each other.
	victims := []*victim{n.newVictim(t), n.newVictim(t)}
	var all sync.WaitGroup
	for i, v := range victims {
		all.Go(func() { v.killed((times + i) / 2) })
	}
	all.Wait()
	for _, v := range victims {
		v.start()
	}
	for _, v := range victims {
		v.works()
	}
	for _, v := range victims {
		v.stop()
	}
}

// killed runs the router and kills it so many times.
func (v *victim) killed(times int) {
	begin := time.Now()
	for i := range times {
		life := rand.N(900 * time.Millisecond)
		if i%5 == 4 {
			life *= 4
		}
		// Now and then it has certainly had tunnels, and learned something.
		v.run(i%10 == 4, life)
		if v.check(); v.t.Failed() {
			v.t.Errorf("after %d kills, the last after %v\n%s", i+1, life, v.errs.String())
			return
		}
	}
	v.t.Logf("%d kills in %v: %d routers, %d profiles, %d pages fetched", times, time.Since(begin), v.routers, v.profiles, v.pages.Load())
}

// killSettings are those of a router of the network.
func killSettings() allium.Settings {
	s := allium.DefaultSettings()
	s.Network, s.Private, s.MinVersion = killNetwork, true, ""
	s.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	s.Exploratory.Inbound.Length, s.Exploratory.Outbound.Length = 1, 1
	s.Tunnels.Inbound.Length, s.Tunnels.Outbound.Length = 1, 1
	return s
}

// killNet is a network of routers that live, and of others that come and go.
type killNet struct {
	mu      sync.Mutex
	routers []*allium.Router
	victims [][]byte // the RouterInfos of those that are killed
	// host is a site in it.
	host string
}

func newKillNetwork(t *testing.T) *killNet {
	t.Helper()
	n := &killNet{}
	ctx, stop := context.WithCancel(context.Background())
	var coming sync.WaitGroup
	t.Cleanup(func() {
		stop()
		coming.Wait()
		for _, r := range n.routers {
			r.Close()
		}
	})
	for i := range 4 {
		s := killSettings()
		s.Floodfill = allium.FloodfillOff
		if i < 2 {
			s.Floodfill = allium.FloodfillOn
		}
		n.routers = append(n.routers, n.start(t, s))
	}
	for _, r := range n.routers {
		r.Import(n.infos)
	}
	site, err := n.routers[3].Open(t.Context(), allium.SessionConfig{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := site.Listen("i2p", ":80")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(page)}
	coming.Go(func() { _ = server.Serve(ln) })
	t.Cleanup(func() { server.Close() })
	n.host = site.Host()
	coming.Go(func() { n.change(ctx, t) })
	return n
}

func (n *killNet) start(t *testing.T, s allium.Settings) *allium.Router {
	t.Helper()
	r, err := allium.Start(t.Context(), allium.Config{Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// infos are the RouterInfos of those that live.
func (n *killNet) infos(yield func(string, []byte) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.routers {
		if !yield("router.info", r.RouterInfo()) {
			return
		}
	}
	for _, info := range n.victims {
		if !yield("router.info", info) {
			return
		}
	}
}

// meet has everybody know a RouterInfo.
func (n *killNet) meet(info []byte) {
	for _, r := range n.routers {
		r.Import(func(yield func(string, []byte) bool) { yield("router.info", info) })
	}
}

// change has new routers come and go. They publish themselves, so the victims
// hear of them as floodfills do, and carry no tunnels, so nobody misses them.
func (n *killNet) change(ctx context.Context, t *testing.T) {
	var alive sync.WaitGroup
	defer alive.Wait()
	for ctx.Err() == nil {
		s := killSettings()
		s.Floodfill, s.Transit.Accept = allium.FloodfillOff, false
		r, err := allium.Start(ctx, allium.Config{Settings: s})
		if err != nil {
			if ctx.Err() == nil {
				t.Error(err)
			}
			return
		}
		r.Import(n.infos)
		n.meet(r.RouterInfo())
		alive.Go(func() {
			pause(ctx, 5*time.Second)
			r.Close()
		})
		pause(ctx, 700*time.Millisecond)
	}
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func page(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write(bytes.Repeat([]byte("a page of some length. "), 3000))
}

// victim is the router that is killed.
type victim struct {
	t      *testing.T
	n      *killNet
	dir    string
	config string
	cmd    *exec.Cmd
	errs   *text

	pages atomic.Int64 // fetched through it

	// What was seen on the disk.
	keys, destination []byte
	routers, profiles int
	router            string // its hash
}

func (n *killNet) newVictim(t *testing.T) *victim {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(page))
	t.Cleanup(server.Close)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	v := &victim{t: t, n: n, dir: filepath.Join(t.TempDir(), "router")}
	v.config = write(t, "victim.toml", fmt.Sprintf("[router]\nnetwork = %d\nprivate = true\nfloodfill = \"on\"\nmin_version = \"\"\nlisten = [%q]\n"+
		"[router.exploratory]\ninbound = {length = 1}\noutbound = {length = 1}\n[router.tunnels]\ninbound = {length = 1}\noutbound = {length = 1}\n"+
		"[http_proxy]\nlisten = \"127.0.0.1:0\"\n[status]\nlisten = \"127.0.0.1:0\"\n[server_tunnels.site]\ntarget = %q\n",
		killNetwork, ln.Addr(), strings.TrimPrefix(server.URL, "http://")))
	s := killSettings()
	if done, err := allium.Import(v.dir, s, n.infos); err != nil || done.Added < 4 {
		t.Fatalf("%+v, %v", done, err)
	}
	return v
}

func (v *victim) start() {
	v.t.Helper()
	v.errs = new(text)
	v.cmd = exec.Command(os.Args[0], "run", "--dir", v.dir, "--config", v.config)
	v.cmd.Env = append(os.Environ(), asAllium+"=1")
	v.cmd.Stdout, v.cmd.Stderr = v.errs, v.errs
	if err := v.cmd.Start(); err != nil {
		panic(err) // not on the goroutine of the test
	}
}

// run starts it, has it work and kills it after some time, which begins when
// it has fetched a page if that is wanted.
func (v *victim) run(fetch bool, life time.Duration) {
	v.t.Helper()
	v.start()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var work sync.WaitGroup
	before := v.pages.Load()
	work.Go(func() { v.visit(ctx) })
	for giveUp := time.Now().Add(patience); fetch && v.pages.Load() == before; pause(ctx, 20*time.Millisecond) {
		if time.Now().After(giveUp) {
			v.t.Error("it fetches no page")
			break
		}
	}
	pause(ctx, life)
	cancel()
	if err := v.cmd.Process.Kill(); err != nil {
		v.t.Error(err)
	}
	work.Wait()
	var exit *exec.ExitError
	if err := v.cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		v.t.Errorf("it ended by itself: %v", err)
	}
	v.quiet()
}

// quiet looks for complaints.
func (v *victim) quiet() {
	v.t.Helper()
	for _, bad := range []string{"level=ERROR", "panic", "not written"} {
		if strings.Contains(v.errs.String(), bad) {
			v.t.Errorf("it says %q", bad)
		}
	}
}

var (
	proxyAt  = regexp.MustCompile(`HTTP proxy listens" addr=(\S+)`)
	statusAt = regexp.MustCompile(`url=(http://\S+/api/status)`)
)

// said is what the program has logged of a place, empty before that.
func (v *victim) said(what *regexp.Regexp) string {
	if m := what.FindStringSubmatch(v.errs.String()); m != nil {
		return m[1]
	}
	return ""
}

// visit fetches pages of another's site through it until ctx ends, and counts
// those that came whole.
func (v *victim) visit(ctx context.Context) {
	for ctx.Err() == nil {
		if at := v.said(proxyAt); at != "" && v.fetch(ctx, at) == nil {
			v.pages.Add(1)
			continue
		}
		pause(ctx, 20*time.Millisecond)
	}
}

func (v *victim) fetch(ctx context.Context, proxy string) error {
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: proxy}), DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+v.n.host+"/", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || len(b) != 69000) {
		err = fmt.Errorf("status %d, %d bytes", resp.StatusCode, len(b))
	}
	return err
}

// check looks at what the dead left: nothing is damaged, the identities are the
// same, and no router or profile is gone.
func (v *victim) check() {
	v.t.Helper()
	s, err := store.Open(filepath.Join(v.dir, "allium.db"))
	if err != nil {
		v.t.Error(err)
		return
	}
	defer s.Close()
	v.keys = v.same("keys", v.keys, v.bucket(s, "keys"))
	v.destination = v.same("destination", v.destination, v.file("site.dat"))
	if info := v.file("router.info"); info != nil {
		ri, err := data.ParseRouterInfo(info)
		if err != nil || v.router != "" && ri.Hash().String() != v.router {
			v.t.Errorf("router.info is of another: %v", err)
			return
		}
		if v.router == "" {
			v.n.meet(info)
			v.n.mu.Lock()
			v.n.victims = append(v.n.victims, info)
			v.n.mu.Unlock()
		}
		v.router = ri.Hash().String()
	}
	v.checkKnowledge(s)
}

// same tells that something that was there is still the same.
func (v *victim) same(what string, before, now []byte) []byte {
	v.t.Helper()
	if before != nil && !bytes.Equal(before, now) {
		v.t.Errorf("%s: %d bytes before, now %d others", what, len(before), len(now))
	}
	return now
}

// file is a file of the router, nil if there is none.
func (v *victim) file(name string) []byte {
	v.t.Helper()
	b, err := os.ReadFile(filepath.Join(v.dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		v.t.Error(err)
	}
	return b
}

// bucket is everything in a bucket, nil if that is nothing.
func (v *victim) bucket(s store.Store, name string) (all []byte) {
	v.t.Helper()
	b, err := s.Bucket(name)
	if err == nil {
		err = b.Each(func(key, value []byte) error {
			all = append(append(all, key...), value...)
			return nil
		})
	}
	if err != nil {
		v.t.Error(err)
	}
	return all
}

// checkKnowledge opens netDb and profiles as a router does.
func (v *victim) checkKnowledge(s store.Store) {
	v.t.Helper()
	routers, err := s.Bucket("netdb")
	if err != nil {
		v.t.Error(err)
		return
	}
	known := &counted{Bucket: routers}
	db, err := netdb.New(netdb.Config{NetID: killNetwork, AllowPrivate: true}, data.Hash{}, known)
	if err != nil || db.Flush() != nil || known.writes > 0 || db.Len() < v.routers {
		v.t.Errorf("netDb: %v, %d routers, %d before, damaged records: %v", err, db.Len(), v.routers, known.writes > 0)
		return
	}
	v.routers = db.Len()
	peers, err := s.Bucket("profiles")
	if err != nil {
		v.t.Error(err)
		return
	}
	kept := &counted{Bucket: peers}
	profiles, err := profile.New(kept)
	if err != nil || profiles.Flush() != nil || kept.writes > 0 {
		v.t.Errorf("profiles: %v, damaged records: %v", err, kept.writes > 0)
		return
	}
	n := 0
	_ = peers.Each(func([]byte, []byte) error { n++; return nil })
	if n < v.profiles {
		v.t.Errorf("%d profiles, %d before", n, v.profiles)
	}
	v.profiles = n
}

// counted is a bucket that counts writes: whoever finds damaged records has
// them deleted.
type counted struct {
	store.Bucket
	writes int
}

func (c *counted) Write(changes []store.Change) error {
	c.writes++
	return c.Bucket.Write(changes)
}

// works looks at it while it runs: it is the same, knows whom it knew, and
// fetches pages.
func (v *victim) works() {
	v.t.Helper()
	if v.keys == nil || v.destination == nil || v.router == "" || v.profiles == 0 {
		v.t.Errorf("it never came as far as to have keys, destination, router.info and profiles")
	}
	await(v.t, func() bool { return v.said(statusAt) != "" && v.said(proxyAt) != "" })
	s, err := statusOf(v.said(statusAt))
	if err != nil || s.Router != v.router || s.Known.Routers < v.routers {
		v.t.Errorf("%v: router %s with %d routers, before %s with %d", err, s.Router, s.Known.Routers, v.router, v.routers)
	}
	ctx, cancel := context.WithTimeout(v.t.Context(), patience)
	defer cancel()
	await(v.t, func() bool { return v.fetch(ctx, v.said(proxyAt)) == nil })
}

// stop ends it in order.
func (v *victim) stop() {
	v.t.Helper()
	if err := v.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		v.t.Error(err)
	}
	if err := v.cmd.Wait(); err != nil {
		v.t.Errorf("%v\n%s", err, v.errs.String())
	}
	v.quiet()
}
