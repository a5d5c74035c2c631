//go:build interop

package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
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

// stream is what a site serves as its body: bytes that no other site has.
func stream(site string) io.Reader { return rand.NewChaCha8(sha256.Sum256([]byte(site))) }

// body is the first of it.
func body(site string) []byte {
	b := make([]byte, bodySize)
	_, _ = io.ReadFull(stream(site), b)
	return b
}

// digest is the hash of the first size bytes of it, in hexadecimal.
func digest(site string, size int64) string {
	h := sha256.New()
	_, _ = io.CopyN(h, stream(site), size)
	return hex.EncodeToString(h.Sum(nil))
}

// greeting is the page of a site.
func greeting(site string) string { return "this is the site of " + site + "\n" }

// serve runs the web server behind the site of a router, until the test ends.
func serve(t *testing.T, r router) {
	t.Helper()
	ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", sitePort(r.number())))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, greeting(r.name())) })
	mux.HandleFunc("GET /body", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body(r.name())) })
	mux.HandleFunc("GET /bulk/{size}", func(w http.ResponseWriter, req *http.Request) {
		size, err := strconv.ParseInt(req.PathValue("size"), 10, 64)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", req.PathValue("size"))
		_, _ = io.CopyN(w, stream(r.name()), size)
	})
	// What is sent here is answered with its hash.
	mux.HandleFunc("POST /bulk", func(w http.ResponseWriter, req *http.Request) {
		h := sha256.New()
		if _, err := io.Copy(h, req.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, hex.EncodeToString(h.Sum(nil)))
	})
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
func fetch(c *http.Client, page string, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
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
// right. base is the address of the site as seen through the proxy.
func visit(t *testing.T, proxy, base, site string) {
	t.Helper()
	var visits [connections]outcome
	var visiting sync.WaitGroup
	for i := range visits {
		visiting.Go(func() { visits[i] = insist(proxy, base+"/", []byte(greeting(site)), tryLimit, pageLimit) })
	}
	visiting.Wait()
	for _, o := range visits {
		o.check(t, "page")
	}
	insist(proxy, base+"/body", body(site), tryLimit, pageLimit).check(t, "body")
}

// outcome is what came of asking for a page.
type outcome struct {
	tries int
	took  time.Duration // all tries
	last  time.Duration // the last try
	err   error
}

// String is for logs.
func (o outcome) String() string {
	return fmt.Sprintf("after %v, try %d took %v", o.took.Round(time.Millisecond), o.tries, o.last.Round(time.Millisecond))
}

func (o outcome) check(t *testing.T, what string) {
	t.Helper()
	if o.err != nil {
		t.Errorf("%s: %d tries in %v: %v", what, o.tries, o.took.Round(time.Millisecond), o.err)
		return
	}
	t.Logf("%s: %v", what, o)
}

var errDamaged = errors.New("not what was sent")

// insist asks for a page until it comes. Each try may take so long, and the
// last one begins before limit.
func insist(proxy, page string, want []byte, try, limit time.Duration) (o outcome) {
	c := browser(proxy)
	for began := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		tried := time.Now()
		got, err := fetch(c, page, try)
		o.tries, o.took, o.last, o.err = o.tries+1, time.Since(began), time.Since(tried), err
		if err == nil && !bytes.Equal(got, want) {
			o.err = fmt.Errorf("%w: %d bytes and not %d: %.60q", errDamaged, len(got), len(want), got)
			return o
		}
		if err == nil || o.took > limit {
			return o
		}
	}
}
