//go:build interop

package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// The ports of the web servers behind the site of the i2pd, and Allium's.
	i2pdSitePort   = 8081
	alliumSitePort = 8082

	// pageLimit is how long a page is asked for again and again: what a
	// router has published a moment ago may not be everywhere yet.
	pageLimit = 90 * time.Second
	tryLimit  = 30 * time.Second
	// connections is how many ask for the page at once. A router makes several
	// sessions with the site then, and must not lose track of them.
	connections = 4
	// bodySize is the size of the body that is fetched after the page: some
	// hundreds of tunnel messages, many of them fragments.
	bodySize = 300_000
)

// body is what a site serves as its body: bytes that no other site has.
func body(site string) []byte {
	b := make([]byte, bodySize)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(site))).Read(b)
	return b
}

// greeting is the page of a site.
func greeting(site string) string { return "this is the site of " + site + "\n" }

// serve runs the web server of a site.
func serve(t *testing.T, site string, port int) {
	t.Helper()
	ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, greeting(site)) })
	mux.HandleFunc("GET /body", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body(site)) })
	s := &httptest.Server{Listener: ln, Config: &http.Server{Handler: mux}}
	s.Start()
	t.Cleanup(s.Close)
}

// browser fetches pages through a proxy, or directly with "".
func browser(proxy string) *http.Client {
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	if proxy != "" {
		transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: proxy})
	}
	return &http.Client{Transport: transport}
}

// fetch gets one page.
func fetch(c *http.Client, page string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), tryLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, words(b))
	}
	return b, err
}

var markup = regexp.MustCompile(`(?s)<style.*?</style>|<[^>]*>|\s+`)

// words is the text of an error page.
func words(page []byte) string {
	text := strings.Join(strings.Fields(markup.ReplaceAllString(string(page), " ")), " ")
	return text[max(0, len(text)-200):]
}

// visit fetches the page of a site over some connections at once, as browsers
// do, and then its body. It tries again until they come; what comes must be
// right.
func visit(t *testing.T, proxy, base, site string) {
	t.Helper()
	var visits [connections]outcome
	var visiting sync.WaitGroup
	for i := range visits {
		visiting.Go(func() { visits[i] = insist(proxy, base+"/", []byte(greeting(site))) })
	}
	visiting.Wait()
	for _, o := range visits {
		o.check(t, "page")
	}
	insist(proxy, base+"/body", body(site)).check(t, "body")
}

// outcome is what came of asking for a page.
type outcome struct {
	tries int
	took  time.Duration // all tries
	last  time.Duration // the last try
	err   error
}

func (o outcome) check(t *testing.T, what string) {
	t.Helper()
	if o.err != nil {
		t.Fatalf("%s: %d tries in %v: %v", what, o.tries, o.took.Round(time.Millisecond), o.err)
	}
	t.Logf("%s: after %v, try %d took %v", what, o.took.Round(time.Millisecond), o.tries, o.last.Round(time.Millisecond))
}

var errDamaged = errors.New("not what was sent")

// insist asks for a page until it comes.
func insist(proxy, page string, want []byte) (o outcome) {
	c := browser(proxy)
	for began := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		tried := time.Now()
		got, err := fetch(c, page)
		o.tries, o.took, o.last, o.err = o.tries+1, time.Since(began), time.Since(tried), err
		if err == nil && !bytes.Equal(got, want) {
			o.err = fmt.Errorf("%w: %d bytes and not %d: %.60q", errDamaged, len(got), len(want), got)
			return o
		}
		if err == nil || o.took > pageLimit {
			return o
		}
	}
}
