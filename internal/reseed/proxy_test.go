package reseed_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"allium/internal/reseed"
)

// These tests run over sockets of loopback.

// site is a reseed server on loopback that calls itself good.test.
func site(t *testing.T, b []byte) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(serve(b))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{authority()}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// proxy accepts connections and has talk agree with each on a target, which
// it then joins it with: the site, whatever the name.
type proxy struct {
	net.Listener
	to      string
	mu      sync.Mutex
	targets []string
	first   chan struct{}
}

func startProxy(t *testing.T, to string, talk func(c net.Conn, r *bufio.Reader) (target string, ok bool)) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: ln, to: to, first: make(chan struct{})}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(c, talk) })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); serving.Wait() })
	return p
}

// seen waits for the first connection, and tells the targets so far, and what
// was wrong with the others.
func (p *proxy) seen() string {
	<-p.first
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.targets, ", ")
}

func (p *proxy) serve(c net.Conn, talk func(c net.Conn, r *bufio.Reader) (string, bool)) {
	defer c.Close()
	r := bufio.NewReader(c)
	target, ok := talk(c, r)
	p.mu.Lock()
	if p.targets = append(p.targets, target); len(p.targets) == 1 {
		close(p.first)
	}
	p.mu.Unlock()
	if !ok {
		return
	}
	out, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer out.Close()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(out, r); _ = out.(*net.TCPConn).CloseWrite() })
	_, _ = io.Copy(c, out)
	_ = c.Close()
	both.Wait()
}

// socks speaks SOCKS5 (RFC 1928) with a name and a password (RFC 1929).
func socks(c net.Conn, r *bufio.Reader) (target string, ok bool) {
	read := func(n int) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(r, b)
		return b
	}
	methods := read(int(read(2)[1]))
	if !strings.Contains(string(methods), "\x02") {
		_, _ = c.Write([]byte{5, 0xff})
		return "without password", false
	}
	_, _ = c.Write([]byte{5, 2})
	user := string(read(int(read(2)[1])))
	password := string(read(int(read(1)[0])))
	if user != "me" || password != "secret" {
		_, _ = c.Write([]byte{1, 1})
		return "wrong password", false
	}
	_, _ = c.Write([]byte{1, 0})
	if head := read(4); head[3] != 3 {
		return "no name", false // the name was resolved here
	}
	target = string(read(int(read(1)[0])))
	read(2)
	_, _ = c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	return target, true
}

// connect speaks HTTP CONNECT with a name and a password.
func connect(c net.Conn, r *bufio.Reader) (target string, ok bool) {
	req, err := http.ReadRequest(r)
	if err != nil {
		return "", false
	}
	if want := "Basic " + base64.StdEncoding.EncodeToString([]byte("me:secret")); req.Header.Get("Proxy-Authorization") != want {
		_, _ = c.Write([]byte("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"))
		return "wrong password", false
	}
	_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	host, _, _ := net.SplitHostPort(req.Host)
	return host, req.Method == http.MethodConnect
}

func TestProxiesCarryTheBundleAndResolveTheName(t *testing.T) {
	w := newWorld(t)
	to := site(t, bundle(t, "one", time.Hour, routers(0, 77, "good"))).Listener.Addr().String()
	for scheme, talk := range map[string]func(net.Conn, *bufio.Reader) (string, bool){"socks5": socks, "http": connect} {
		for _, c := range []struct {
			user, target string
			why          reseed.Reason
		}{
			{"me:secret@", "good.test", ""},
			{"me:guess@", "wrong password", reseed.BadProxy},
		} {
			p := startProxy(t, to, talk)
			w.files.URLs, w.files.Proxy = []string{"https://good.test"}, scheme+"://"+c.user+p.Addr().String()
			w.router = &fakeRouter{took: map[string]string{}}
			dialer := net.Dialer{}
			r, err := reseed.New(w.files, w.wiring(func(ctx context.Context, network, address string) (net.Conn, error) {
				if address != p.Addr().String() {
					t.Errorf("%s was dialled past the proxy", address)
				}
				return dialer.DialContext(ctx, network, address)
			}))
			if err != nil {
				t.Fatal(err)
			}
			done := r.Once(t.Context(), nil)
			s := r.Status().Sources[0]
			if done != (c.why == "") || s.Why != c.why || p.seen() != c.target {
				t.Errorf("%s: done %v, %+v, targets %q", w.files.Proxy, done, s, p.seen())
			}
		}
	}
}

func TestAProxyThatIsNotThereIsToBlame(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	w := newWorld(t)
	for _, scheme := range []string{"socks5", "http"} {
		w.files.URLs, w.files.Proxy = []string{"https://good.test/"}, scheme+"://"+ln.Addr().String()
		r, err := reseed.New(w.files, w.wiring(new(net.Dialer).DialContext))
		if err != nil {
			t.Fatal(err)
		}
		if r.Once(t.Context(), nil) || r.Status().Sources[0].Why != reseed.BadProxy {
			t.Errorf("%s: %+v", scheme, r.Status().Sources[0])
		}
	}
}
