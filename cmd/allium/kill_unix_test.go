//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
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
