package reseedserver_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"allium/internal/reseed"
	"allium/internal/reseedserver"
	"allium/internal/su3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests.
const patience = 30 * time.Second

// key is one that has been made before, as making one takes seconds, and the
// file of its certificate.
func key(t *testing.T) (k *reseed.Key, certificate string) {
	t.Helper()
	text, err := os.ReadFile("../reseed/testdata/one.key")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := su3.NewCertificate("one@test", private.(*rsa.PrivateKey), time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if k, err = reseed.LoadKey(write(t, dir, "key.pem", append(text, cert...)), "", time.Now()); err != nil {
		t.Fatal(err)
	}
	return k, write(t, dir, "one.crt", cert)
}

func write(t *testing.T, dir, name string, b []byte) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// known gives n routers.
func known(n int) reseedserver.Routers {
	return func(most int) iter.Seq2[string, []byte] {
		return func(yield func(string, []byte) bool) {
			for i := range min(n, most) {
				if !yield(su3.EntryName([32]byte{byte(i), byte(i >> 8)}), fmt.Append(nil, "router ", i)) {
					return
				}
			}
		}
	}
}

// server is a running server, and what its clients need.
type server struct {
	*reseedserver.Server
	signer, authority string
}

func start(t *testing.T, cfg reseedserver.Config, routers reseedserver.Routers) *server {
	t.Helper()
	dir := t.TempDir()
	get, public, err := reseedserver.SelfSigned(filepath.Join(dir, "tls.pem"), "127.0.0.1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	k, signer := key(t)
	cfg.Listen, cfg.Certificate, cfg.NetID = netip.MustParseAddrPort("127.0.0.1:0"), get, 99
	s, err := reseedserver.Listen(cfg, k, routers, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &server{s, signer, write(t, dir, "tls.crt", public)}
}

// usual are settings with which a test can go on as it likes.
func usual() reseedserver.Config {
	return reseedserver.Config{Routers: 77, Least: 77, Renew: time.Hour, PerHour: 1000}
}

// await waits until the server is as wanted.
func (s *server) await(t *testing.T, holds func(reseedserver.Status) bool) {
	t.Helper()
	for giveUp := time.Now().Add(patience); !holds(s.Status()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(giveUp) {
			t.Fatalf("%+v", s.Status())
		}
	}
}

func ready(st reseedserver.Status) bool { return st.Bundles > 0 }

// router counts what it is given.
type router struct{ got map[string]string }

func (r *router) Known() reseed.Knowledge { return reseed.Knowledge{} }

func (r *router) Take(files []su3.Entry) reseed.Taken {
	for _, f := range files {
		r.got[f.Name] = string(f.Bytes)
	}
	return reseed.Taken{Usable: len(files)}
}

func TestOurClientTakesABundleFromOurServer(t *testing.T) {
	s := start(t, usual(), known(154))
	s.await(t, ready)
	us := &router{map[string]string{}}
	url := "https://" + s.Addr().String()
	cfg := reseed.Config{URLs: []string{url}, Signers: []string{s.signer}, Authorities: []string{s.authority}, Threshold: 50}
	w := reseed.Wiring{NetID: 99, Router: us, Dial: new(net.Dialer).DialContext, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	r, err := reseed.New(cfg, w)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Once(t.Context(), nil) || len(us.got) != 77 {
		t.Errorf("%d routers, %+v", len(us.got), r.Status())
	}
	s.await(t, func(st reseedserver.Status) bool { return st.Served == 1 })
	// And not of another network, or without trust.
	w.NetID = 98
	if r, err = reseed.New(cfg, w); err != nil || r.Once(t.Context(), nil) || r.Status().Sources[0].Why != reseed.WrongStatus {
		t.Errorf("another network: %+v, %v", r.Status(), err)
	}
	cfg.Authorities = nil
	if r, err = reseed.New(cfg, w); err != nil || r.Once(t.Context(), nil) || r.Status().Sources[0].Why != reseed.Certificate {
		t.Errorf("without the certificate: %+v, %v", r.Status(), err)
	}
}

// ask asks as a router does, but for what change does, from an address.
func (s *server) ask(from string, change func(*http.Request)) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodGet, "/i2pseeds.su3?netid=99", nil)
	req.Header.Set("User-Agent", "Wget/1.11.4")
	req.RemoteAddr = from
	if change != nil {
		change(req)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, req)
	return w
}

func TestOnlyWhatRoutersAskIsAnswered(t *testing.T) {
	s := start(t, usual(), known(154))
	s.await(t, ready)
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		want   int
	}{
		{"a router", nil, 200},
		{"an old router, which names no network", func(r *http.Request) { r.URL.RawQuery = "" }, 200},
		{"HEAD", func(r *http.Request) { r.Method = http.MethodHead }, 200},
		{"another network", func(r *http.Request) { r.URL.RawQuery = "netid=2" }, 403},
		{"a browser", func(r *http.Request) { r.Header.Set("User-Agent", "Mozilla/5.0") }, 403},
		{"nobody", func(r *http.Request) { r.Header.Del("User-Agent") }, 403},
		{"another file", func(r *http.Request) { r.URL.Path = "/netDb/" }, 404},
		{"the root", func(r *http.Request) { r.URL.Path = "/" }, 404},
		{"POST", func(r *http.Request) { r.Method = http.MethodPost }, 405},
	} {
		if got := s.ask("192.0.2.1:1", c.change); got.Code != c.want || got.Code == 200 && got.Header().Get("Content-Length") == "" {
			t.Errorf("%s: %d, want %d", c.name, got.Code, c.want)
		}
	}
	if st := s.Status(); st.Served != 2 || st.Refused != 6 {
		t.Errorf("%+v", st)
	}
}

func TestOneNetworkSeesOneBundleAndAllTogetherAHalf(t *testing.T) {
	s := start(t, usual(), known(400))
	s.await(t, ready)
	_, certificate := key(t)
	text, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := su3.ParseSigner(text)
	if err != nil {
		t.Fatal(err)
	}
	one := s.ask("192.0.2.1:1", nil).Body.Bytes()
	for _, neighbour := range []string{"192.0.2.1:2", "192.0.2.250:1", "[::ffff:192.0.2.7]:1"} {
		if !bytes.Equal(one, s.ask(neighbour, nil).Body.Bytes()) {
			t.Errorf("%s sees another bundle", neighbour)
		}
	}
	six := s.ask("[2001:db8:1:2::3]:1", nil).Body.Bytes()
	if !bytes.Equal(six, s.ask("[2001:db8:1:ffff::9]:1", nil).Body.Bytes()) {
		t.Error("neighbours of IPv6 see different bundles")
	}
	bundles, routers := map[string]bool{}, map[string]bool{}
	for i := range 250 {
		answer := s.ask(fmt.Sprintf("10.1.%d.1:1", i), nil)
		if answer.Code != 200 {
			break // all together have had enough for now
		}
		b := answer.Body.Bytes()
		if bundles[string(b)] {
			continue
		}
		bundles[string(b)] = true
		file := write(t, t.TempDir(), "x.su3", b)
		if err := reseed.Files(file, time.Now(), []su3.Signer{signer}, func(_, name string, _ []byte) { routers[name] = true }); err != nil {
			t.Fatal(err)
		}
	}
	if len(bundles) < 2 || len(bundles) > s.Status().Bundles || len(routers) > 200 || len(routers) < 100 {
		t.Errorf("%d bundles with %d of 400 routers", len(bundles), len(routers))
	}
}

func TestWhoAsksTooOftenWaits(t *testing.T) {
	cfg := usual()
	cfg.PerHour = 3
	s := start(t, cfg, known(154))
	s.await(t, ready)
	for i := range 5 {
		w := s.ask(fmt.Sprintf("192.0.2.%d:1", i), nil)
		if limited := w.Code == 429 && w.Header().Get("Retry-After") != ""; limited != (i >= 3) {
			t.Errorf("request %d: %d", i, w.Code)
		}
	}
	if w := s.ask("198.51.100.1:1", nil); w.Code != 200 {
		t.Errorf("somebody else: %d", w.Code)
	}
	if st := s.Status(); st.Limited != 2 {
		t.Errorf("%+v", st)
	}
}

func TestTooFewRoutersAreNotServedAndBundlesAreRenewed(t *testing.T) {
	s := start(t, usual(), known(76))
	if w := s.ask("192.0.2.1:1", nil); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d with too few routers", w.Code)
	}
	cfg := usual()
	cfg.Renew = 10 * time.Millisecond
	s = start(t, cfg, known(154))
	s.await(t, ready)
	first := s.Status().Made
	s.await(t, func(st reseedserver.Status) bool { return st.Made.After(first) })
}

func TestCertificatesAreKeptUntilTheyAreOfNoUse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tls.pem")
	now := time.Now()
	make := func(host string, at time.Time) string {
		_, public, err := reseedserver.SelfSigned(file, host, at)
		if err != nil {
			t.Fatal(err)
		}
		return string(public)
	}
	first := make("reseed.example.org", now)
	if make("reseed.example.org", now) != first || strings.Contains(first, "PRIVATE") {
		t.Error("another one for the same host, or with its key")
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: not for its owner alone", st, err)
	}
	other := make("other.example.org", now)
	if other == first || make("other.example.org", now.AddDate(6, 0, 0)) == other {
		t.Error("one for another host or time was kept")
	}
	if _, err := reseedserver.Certificates(file, file); err != nil {
		t.Error(err)
	}
	if _, err := reseedserver.Certificates(file, "nowhere.key"); err == nil {
		t.Error("there is a certificate without a key")
	}
}
