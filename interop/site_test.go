//go:build interop

package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
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

// visit fetches page and body of a site, trying again until they come. What
// comes must be right.
func visit(t *testing.T, proxy, base, site string) {
	t.Helper()
	c := browser(proxy)
	for _, page := range []struct {
		path string
		want []byte
	}{{"/", []byte(greeting(site))}, {"/body", body(site)}} {
		tries := 0
		eventually(t, "page "+page.path, pageLimit, func() (bool, string) {
			tries++
			begin := time.Now()
			got, err := fetch(c, base+page.path)
			if err != nil {
				return false, fmt.Sprintf("try %d: %v", tries, err)
			}
			if !bytes.Equal(got, page.want) {
				t.Fatalf("%s: %d bytes that are not the %d expected: %.60q", page.path, len(got), len(page.want), got)
			}
			return true, fmt.Sprintf("%d bytes in %v at try %d", len(got), time.Since(begin).Round(time.Millisecond), tries)
		})
	}
}
