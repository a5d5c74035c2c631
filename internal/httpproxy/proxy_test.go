package httpproxy_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"allium"
	"allium/internal/httpproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait that should not last.
const patience = 20 * time.Second

// network is all of I2P: every dial leads to one site, fails or hangs.
type network struct {
	site net.Addr
	fail error
	hang bool

	mu      sync.Mutex
	dialled []string
	waiting chan struct{} // gets a value when a dial hangs, and when it ends
}

func (n *network) DialContext(ctx context.Context, kind, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dialled = append(n.dialled, kind+" "+address)
	n.mu.Unlock()
	if n.hang {
		n.waiting <- struct{}{}
		<-ctx.Done()
		n.waiting <- struct{}{}
		return nil, ctx.Err()
	}
	if n.fail != nil {
		return nil, &net.OpError{Op: "dial", Net: "i2p", Err: n.fail}
	}
	return net.Dial("tcp", n.site.String())
}

func (n *network) dials() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dialled
}

// open starts a proxy.
func open(t *testing.T, n *network, timeout time.Duration) *httpproxy.Proxy {
	t.Helper()
	if n.waiting == nil {
		n.waiting = make(chan struct{}, 16)
	}
	cfg := httpproxy.Config{Listen: netip.MustParseAddrPort("127.0.0.1:0"), Timeout: timeout}
	p, err := httpproxy.Listen(cfg, n, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// host is a network of one HTTP site.
func host(t *testing.T, handler http.HandlerFunc) *network {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return &network{site: s.Listener.Addr()}
}

// hostRaw is a network of one site that speaks for itself.
func hostRaw(t *testing.T, serve func(conn *net.TCPConn)) *network {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				serve(conn.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		serving.Wait()
	})
	return &network{site: ln.Addr()}
}

// client is a program that uses the proxy.
func client(t *testing.T, p *httpproxy.Proxy) *http.Client {
	t.Helper()
	tr := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: p.Addr().String()})}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// raw is a connection to the proxy to which text is written.
func raw(t *testing.T, p *httpproxy.Proxy, text string) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn), bufio.NewReader(conn)
}

// answer reads the response header.
func answer(t *testing.T, r *bufio.Reader, method string) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func status(t *testing.T, p *httpproxy.Proxy, request string) int {
	t.Helper()
	_, r := raw(t, p, request)
	resp := answer(t, r, "GET")
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(b), "<h1>") || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%q: not a page of the proxy: %v %q", request, err, b)
	}
	return resp.StatusCode
}

func TestHostsThatAreNotI2PAreNeverDialled(t *testing.T) {
	n := &network{fail: errors.New("dialled")}
	p := open(t, n, patience)
	b32 := strings.Repeat("a", 52)
	for _, c := range []struct {
		host string
		want int
	}{
		{"example.com", 503},
		{"example.i2p.com", 503},
		{"i2p", 503},
		{"site.i2p.example.com:80", 503},
		{"localhost", 403},
		{"a.localhost:7657", 403},
		{"127.0.0.1", 403},
		{"127.0.0.1:7657", 403},
		{"127.1", 403},
		{"2130706433", 403},
		{"0x7f.0.0.0x1", 403},
		{"[::1]:80", 403},
		{"LOCALHOST.:80", 403},
		{b32[1:] + ".b32.i2p", 400},
		{b32 + "a.b32.i2p", 400},
		{"1" + b32[1:] + ".b32.i2p", 400},
		{"www." + b32 + ".b32.i2p", 400},
		{"site.i2p:65536", 400},
		{":80", 400},
	} {
		if got := status(t, p, "GET http://"+c.host+"/ HTTP/1.1\r\nHost: x\r\n\r\n"); got != c.want {
			t.Errorf("GET %s: %d, want %d", c.host, got, c.want)
		}
		at := c.host
		if !strings.HasSuffix(at, "]") && strings.LastIndexByte(at, ':') <= strings.LastIndexByte(at, ']') {
			at += ":443"
		}
		if got := status(t, p, "CONNECT "+at+" HTTP/1.1\r\nHost: x\r\n\r\n"); got != c.want {
			t.Errorf("CONNECT %s: %d, want %d", at, got, c.want)
		}
	}
	if d := n.dials(); len(d) > 0 {
		t.Errorf("dialled %q", d)
	}
}

func TestRequestsOfOtherKindsAreRefused(t *testing.T) {
	n := &network{fail: errors.New("dialled")}
	p := open(t, n, patience)
	for request, want := range map[string]int{
		"GET / HTTP/1.1\r\nHost: site.i2p\r\n\r\n":                    400,
		"GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n":                  400,
		"OPTIONS * HTTP/1.1\r\nHost: site.i2p\r\n\r\n":                400,
		"GET https://site.i2p/ HTTP/1.1\r\nHost: site.i2p\r\n\r\n":    403,
		"GET ftp://site.i2p/ HTTP/1.1\r\nHost: site.i2p\r\n\r\n":      403,
		"CONNECT site.i2p HTTP/1.1\r\nHost: site.i2p\r\n\r\n":         400,
		"CONNECT site.i2p:0x50 HTTP/1.1\r\nHost: site.i2p\r\n\r\n":    400,
		"CONNECT site.i2p:http HTTP/1.1\r\nHost: site.i2p:80\r\n\r\n": 400,
	} {
		// The server's own parser may refuse some before us.
		_, r := raw(t, p, request)
		if resp := answer(t, r, "GET"); resp.StatusCode != want {
			t.Errorf("%q: %s, want %d", request, resp.Status, want)
		}
	}
	_, r := raw(t, p, "GET http://site.i2p/ HTTP/1.1\r\nHost: site.i2p\r\nX: "+strings.Repeat("x", 40<<10)+"\r\n\r\n")
	if resp := answer(t, r, "GET"); resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a long header: %s", resp.Status)
	}
	if d := n.dials(); len(d) > 0 {
		t.Errorf("dialled %q", d)
	}
}

func TestErrorsHaveTheirStatus(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{fmt.Errorf("%w: %q", allium.ErrNameUnknown, "x.i2p"), 502},
		{allium.ErrNoLeaseSet, 504},
		{fmt.Errorf("%w: %w", allium.ErrNotReady, context.DeadlineExceeded), 504},
		{allium.ErrRefused, 403},
		{context.DeadlineExceeded, 504},
		{&net.DNSError{IsTimeout: true}, 504},
		{errors.New("something"), 502},
		{net.ErrClosed, 502},
	} {
		p := open(t, &network{fail: c.err}, patience)
		if got := status(t, p, "GET http://site.i2p/ HTTP/1.1\r\nHost: site.i2p\r\n\r\n"); got != c.want {
			t.Errorf("GET, %v: %d, want %d", c.err, got, c.want)
		}
		if got := status(t, p, "CONNECT site.i2p:443 HTTP/1.1\r\nHost: site.i2p:443\r\n\r\n"); got != c.want {
			t.Errorf("CONNECT, %v: %d, want %d", c.err, got, c.want)
		}
	}
}

func TestSilentSitesTimeOut(t *testing.T) {
	const soon = 50 * time.Millisecond
	p := open(t, &network{hang: true}, soon)
	for _, request := range []string{"GET http://site.i2p/", "CONNECT site.i2p:80"} {
		if got := status(t, p, request+" HTTP/1.1\r\nHost: site.i2p\r\n\r\n"); got != http.StatusGatewayTimeout {
			t.Errorf("%s, not reached: %d", request, got)
		}
	}
	silent := hostRaw(t, func(conn *net.TCPConn) { _, _ = io.Copy(io.Discard, conn) })
	if got := status(t, open(t, silent, soon), "GET http://site.i2p/ HTTP/1.1\r\nHost: site.i2p\r\n\r\n"); got != http.StatusGatewayTimeout {
		t.Errorf("no answer: %d", got)
	}
}

func TestBodiesPassBothWays(t *testing.T) {
	n := host(t, func(w http.ResponseWriter, req *http.Request) {
		sum := sha256.New()
		size, err := io.Copy(sum, req.Body)
		fmt.Fprintf(w, "%s %s %s %d %x %v", req.Method, req.Host, req.RequestURI, size, sum.Sum(nil), err)
	})
	c := client(t, open(t, n, patience))
	body := strings.Repeat("seed bulb ", 300_000)
	for method, sent := range map[string]string{"POST": body, "PUT": body, "OPTIONS": "", "DELETE": ""} {
		req, err := http.NewRequest(method, "http://Site.I2P.:8080/a%2Fb//c?x;y&%zz=1", strings.NewReader(sent))
		if err != nil {
			t.Fatal(err)
		}
		if len(sent) > 1 {
			req.Header.Set("Expect", "100-continue")
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		want := fmt.Sprintf("%s site.i2p:8080 /a%%2Fb//c?x;y&%%zz=1 %d %x <nil>", method, len(sent), sha256.Sum256([]byte(sent)))
		if err != nil || string(got) != want {
			t.Errorf("got  %s %v\nwant %s", got, err, want)
		}
	}
	for _, d := range n.dials() {
		if d != "i2p site.i2p:8080" {
			t.Errorf("dialled %s", d)
		}
	}
}

func TestAnswersPassPieceByPiece(t *testing.T) {
	step := make(chan struct{})
	n := host(t, func(w http.ResponseWriter, req *http.Request) {
		for i := range 3 {
			fmt.Fprint(w, i)
			_ = http.NewResponseController(w).Flush()
			<-step
		}
	})
	resp, err := client(t, open(t, n, patience)).Get("http://site.i2p/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for i := range 3 {
		b := make([]byte, 1)
		if _, err := io.ReadFull(resp.Body, b); err != nil || b[0] != byte('0'+i) {
			t.Fatalf("piece %d: %q %v", i, b, err)
		}
		step <- struct{}{}
	}
}

func TestCutAnswersAreSeenAsCut(t *testing.T) {
	for name, text := range map[string]string{
		"sized":   "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes.",
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nten bytes.\r\n",
	} {
		n := hostRaw(t, func(conn *net.TCPConn) {
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, text)
		})
		resp, err := client(t, open(t, n, patience)).Get("http://site.i2p/")
		if err != nil {
			continue // cut before the client had the header
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil {
			t.Errorf("%s: taken for a whole answer: %q", name, b)
		}
	}
	gone := hostRaw(t, func(*net.TCPConn) {})
	if got := status(t, open(t, gone, patience), "GET http://site.i2p/ HTTP/1.1\r\nHost: site.i2p\r\n\r\n"); got != http.StatusBadGateway {
		t.Errorf("no answer at all: %d", got)
	}
}

func TestClientThatLeavesEndsTheDial(t *testing.T) {
	for _, request := range []string{"GET http://site.i2p/", "CONNECT site.i2p:80"} {
		n := &network{hang: true}
		p := open(t, n, patience)
		conn, _ := raw(t, p, request+" HTTP/1.1\r\nHost: site.i2p\r\n\r\n")
		<-n.waiting
		conn.Close()
		select {
		case <-n.waiting:
		case <-time.After(patience / 2):
			t.Errorf("%s: still dialling", request)
		}
	}
}
