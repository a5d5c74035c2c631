package allium_test

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"allium"
	"allium/internal/data"
	"allium/internal/su3"
)

// TestTheStepIsToldWithItsReason has a status a row.
func TestTheStepIsToldWithItsReason(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	source := func(failure string) allium.ReseedSource {
		return allium.ReseedSource{Source: "https://a.test/", Failure: failure}
	}
	known := allium.Clock{Known: true}
	for _, c := range []struct {
		status    allium.Status
		step, why string
	}{
		{allium.Status{}, "clock", "asking whether the clock is right"},
		{allium.Status{Clock: known, Reseed: allium.Reseed{State: "off"}},
			"reseed", "no routers known: nobody to ask for some, see the settings of router.reseed"},
		{allium.Status{Clock: known, Reseed: allium.Reseed{State: "asking", Need: "no routers known", Sources: []allium.ReseedSource{source(""), source("")}}},
			"reseed", "no routers known: asking reseed servers"},
		{allium.Status{Clock: known, Known: allium.Known{Routers: 7}, Reseed: allium.Reseed{
			State: "waiting", Need: "only 7 routers known", Next: now.Add(20 * time.Second),
			Sources: []allium.ReseedSource{source("certificate"), source(""), source("timeout"), source("certificate")},
		}}, "reseed", "only 7 routers known: asking reseed servers, 3 of 4 failed (certificate, timeout), next try in 20 s"},
		{allium.Status{Clock: allium.Clock{Reason: "nobody answers"}, Reseed: allium.Reseed{State: "asking", Need: "no routers known", Sources: []allium.ReseedSource{source("certificate"), source("")}}},
			"reseed", "no routers known: asking reseed servers, 1 of 2 failed (certificate), is this computer's clock right?"},
		{allium.Status{Clock: known, Reseed: allium.Reseed{State: "waiting", Need: "no routers known", Next: now.Add(4 * time.Minute), Sources: []allium.ReseedSource{source("timeout")}}},
			"reseed", "no routers known: asking https://a.test/, 1 of 1 failed (timeout), next try in 4 min"},
		{allium.Status{Clock: known, Known: allium.Known{Routers: 37}, Reseed: allium.Reseed{State: "idle", Kept: 37}, Peers: allium.Peers{Dialling: 4, Failed: 2}},
			"connect", "37 routers known from last time, no reseed needed; connecting: none is connected, 4 being dialled, 2 could not be reached"},
		{allium.Status{Clock: known, Known: allium.Known{Routers: 154}, Reseed: allium.Reseed{State: "idle", Done: now}},
			"connect", "154 routers known; connecting: none is connected, 0 being dialled, 0 could not be reached"},
		{allium.Status{Clock: known, Known: allium.Known{Routers: 30}, Peers: allium.Peers{Sessions: 12}, Pools: []allium.Pool{
			{Name: "a site", Inbound: allium.PoolSide{Failed: 9, Causes: map[string]int{"refused": 9}}},
			{Name: "exploratory", Inbound: allium.PoolSide{Good: 1, Failed: 2, Building: 1, Causes: map[string]int{"no answer": 2}},
				Outbound: allium.PoolSide{Failed: 4, Causes: map[string]int{"refused": 3, "no answer": 1}}},
		}}, "tunnels", "12 of 30 routers connected; building exploratory tunnels: 1 in, 0 out, 1 under way, 6 failed (no answer, refused)"},
		{allium.Status{Clock: known, Known: allium.Known{Routers: 30}, Peers: allium.Peers{Sessions: 12}, Ready: true},
			"ready", "12 routers connected, tunnels both ways"},
	} {
		if step, why := allium.JoiningOf(&c.status, now); step != c.step || why != c.why {
			t.Errorf("%s: %s\nwant %s: %s", step, why, c.step, c.why)
		}
	}
}

// reseedServer serves a bundle of the routers, and counts how often.
func reseedServer(t *testing.T, all []*allium.Router) (s *httptest.Server, authority, signer string, asked *atomic.Int32) {
	t.Helper()
	text, err := os.ReadFile("internal/reseed/testdata/one.key")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := su3.NewCertificate("one@test", key.(*rsa.PrivateKey), time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var files []su3.Entry
	for _, r := range all {
		ri, err := data.ParseRouterInfo(r.RouterInfo())
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, su3.Entry{Name: su3.EntryName(ri.Hash()), Bytes: ri.Bytes()})
	}
	content, err := su3.Pack(files, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f := su3.File{ContentType: su3.Reseed, Version: fmt.Sprint(time.Now().Unix()), SignerID: "one@test", Content: content}
	bundle, err := su3.Sign(f, key.(*rsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	asked = new(atomic.Int32)
	s = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write(bundle)
	}))
	t.Cleanup(s.Close)
	dir := t.TempDir()
	authority, signer = filepath.Join(dir, "ca.crt"), filepath.Join(dir, "one.crt")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	for name, text := range map[string][]byte{authority: ca, signer: certificate} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s, authority, signer, asked
}

// TestARouterThatKnowsNobodyJoinsByItself reseeds, and after a restart needs
// no reseed.
func TestARouterThatKnowsNobodyJoinsByItself(t *testing.T) {
	routers := smallNetwork(t, 4)
	server, authority, signer, asked := reseedServer(t, routers)
	cfg := allium.Config{Dir: t.TempDir(), Settings: privateSettings()}
	cfg.Settings.Reseed = allium.ReseedConfig{
		Enabled: true, URLs: []string{server.URL}, Authorities: []string{authority}, Signers: []string{signer}, Threshold: 4,
	}
	ctx := patiently(t)
	for _, again := range []bool{false, true} {
		newcomer := start(t, cfg)
		if err := newcomer.Ready(ctx); err != nil {
			t.Fatalf("%v: %+v", err, newcomer.Status().Joining)
		}
		s := newcomer.Status()
		if s.Joining.Step != "ready" || s.Joining.Since.IsZero() {
			t.Errorf("%+v", s.Joining)
		}
		if s.Reseed.Done.IsZero() != again || (s.Reseed.Kept >= 4) != again || s.Reseed.State != "idle" || asked.Load() != 1 {
			t.Errorf("again %v: %+v, asked %d times", again, s.Reseed, asked.Load())
		}
		if !again && (s.Reseed.Sources[0].Routers != 4 || s.Reseed.Sources[0].Signer != "one@test") {
			t.Errorf("%+v", s.Reseed.Sources)
		}
		if err := newcomer.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEachStepIsLoggedOnce starts a router whose servers do not answer, and
// then makes others known to it.
func TestEachStepIsLoggedOnce(t *testing.T) {
	routers := smallNetwork(t, 4)
	log := &lines{}
	cfg := allium.Config{Settings: privateSettings(), Log: log.logger()}
	cfg.Settings.Reseed = allium.ReseedConfig{Enabled: true, URLs: []string{"https://127.0.0.1:1/"}, Threshold: 4}
	newcomer := start(t, cfg)
	defer newcomer.Close()
	ctx := patiently(t)
	log.await(t, ctx, "step=reseed")
	introduce(append(routers, newcomer))
	if err := newcomer.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	log.await(t, ctx, "step=ready")
	var told []string
	for _, line := range log.all() {
		if _, what, ok := strings.Cut(line, "msg=joining "); ok {
			told = append(told, what)
		}
	}
	if len(told) != len(slices.Compact(slices.Clone(told))) || strings.HasPrefix(told[0], "step=ready") || !strings.HasPrefix(told[len(told)-1], "step=ready") {
		t.Errorf("told:\n%s", strings.Join(told, "\n"))
	}
}

// lines collects what is logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(l.text.String(), "\n")
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// await waits for a line that has such a text.
func (l *lines) await(t *testing.T, ctx context.Context, text string) {
	t.Helper()
	for !slices.ContainsFunc(l.all(), func(line string) bool { return strings.Contains(line, text) }) {
		select {
		case <-ctx.Done():
			t.Fatalf("%q was not logged:\n%s", text, strings.Join(l.all(), "\n"))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
