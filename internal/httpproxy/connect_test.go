package httpproxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"allium/internal/httpproxy"
)

// echo sends back what comes, and "end" at its end.
func echo(conn *net.TCPConn) {
	if _, err := io.Copy(struct{ io.Writer }{conn}, conn); err == nil {
		_, _ = io.WriteString(conn, "end")
	}
}

func TestConnectPassesEveryByteAndHalfCloses(t *testing.T) {
	n := hostRaw(t, echo)
	p := open(t, n, patience)
	// The first bytes come before the proxy has answered.
	conn, r := raw(t, p, "CONNECT Site.i2p:22 HTTP/1.1\r\nHost: Site.i2p:22\r\n\r\nearly ")
	if resp := answer(t, r, "CONNECT"); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	long := strings.Repeat("x", 1<<20)
	go func() {
		_, _ = io.WriteString(conn, long)
		_ = conn.CloseWrite()
	}()
	got, err := io.ReadAll(r)
	if err != nil || string(got) != "early "+long+"end" {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if d := n.dials(); len(d) != 1 || d[0] != "i2p site.i2p:22" {
		t.Errorf("dialled %q", d)
	}
}

func TestConnectPassesResets(t *testing.T) {
	n := hostRaw(t, func(conn *net.TCPConn) {
		_, _ = io.ReadFull(conn, make([]byte, 1))
		_ = conn.SetLinger(0) // Close resets
	})
	conn, r := raw(t, open(t, n, patience), "CONNECT site.i2p:22 HTTP/1.1\r\n\r\n")
	answer(t, r, "CONNECT")
	_, _ = conn.Write([]byte("x"))
	if _, err := r.ReadByte(); err == nil || err == io.EOF {
		t.Errorf("a reset looks like %v", err)
	}
}

const upgrade = "GET http://site.i2p/socket HTTP/1.1\r\nHost: site.i2p\r\n" +
	"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: a2V5\r\n\r\n"

// upgradeTo switches protocols when asked for websockets, then serves.
func upgradeTo(serve func(*net.TCPConn)) func(*net.TCPConn) {
	return func(conn *net.TCPConn) {
		req, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil || req.Header.Get("Upgrade") != "websocket" || req.Header.Get("Connection") != "Upgrade" ||
			req.Header.Get("Sec-Websocket-Key") != "a2V5" || req.UserAgent() != alike {
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: eA==\r\n\r\n")
		serve(conn)
	}
}

func TestWebsocketsPass(t *testing.T) {
	conn, r := raw(t, open(t, hostRaw(t, upgradeTo(echo)), patience), upgrade)
	resp := answer(t, r, "GET")
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-Websocket-Accept") != "eA==" {
		t.Fatal(resp.Status, resp.Header)
	}
	for range 3 {
		_, _ = io.WriteString(conn, "frame")
		got := make([]byte, 5)
		if _, err := io.ReadFull(r, got); err != nil || string(got) != "frame" {
			t.Fatalf("%q %v", got, err)
		}
	}
}

// TestCloseEndsEverything has one connection in every state there is.
func TestCloseEndsEverything(t *testing.T) {
	n := hostRaw(t, func(conn *net.TCPConn) {
		r := bufio.NewReader(conn)
		if first, _ := r.Peek(4); string(first) != "GET " {
			_, _ = io.Copy(conn, r)
			return
		}
		req, err := http.ReadRequest(r)
		switch {
		case err != nil:
		case req.Header.Get("Upgrade") != "":
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		default:
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
		}
		_, _ = io.Copy(io.Discard, r)
	})
	p := open(t, n, patience)
	hanging := &network{hang: true}
	stuck := open(t, hanging, patience)

	var conns []io.Reader
	connected, r := raw(t, p, "CONNECT site.i2p:22 HTTP/1.1\r\n\r\n")
	answer(t, r, "CONNECT")
	_, _ = connected.Write([]byte("tunnel"))
	if _, err := io.ReadFull(r, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	conns = append(conns, r)
	_, r = raw(t, p, upgrade)
	answer(t, r, "GET")
	conns = append(conns, r)
	_, r = raw(t, p, "GET http://site.i2p/ HTTP/1.1\r\nHost: site.i2p\r\n\r\n")
	if _, err := io.ReadFull(answer(t, r, "GET").Body, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	conns = append(conns, r)
	_, r = raw(t, p, "GET http://idle.com/ HTTP/1.1\r\nHost: idle.com\r\n\r\n")
	conns = append(conns, r)
	for _, request := range []string{"GET http://site.i2p/", "CONNECT site.i2p:80"} {
		_, r = raw(t, stuck, request+" HTTP/1.1\r\nHost: site.i2p\r\n\r\n")
		<-hanging.waiting
		conns = append(conns, r)
	}

	closed := make(chan error, 2)
	for _, p := range []*httpproxy.Proxy{p, stuck} {
		go func() { closed <- p.Close() }()
	}
	for range 2 {
		select {
		case err := <-closed:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience / 2):
			t.Fatal("Close hangs")
		}
	}
	for i, c := range conns {
		if _, err := io.Copy(io.Discard, c); err != nil && isTimeout(err) {
			t.Errorf("connection %d is still open", i)
		}
	}
	if _, err := net.Dial("tcp", p.Addr().String()); err == nil {
		t.Error("still listening")
	}
}

func isTimeout(err error) bool {
	slow, ok := err.(net.Error)
	return ok && slow.Timeout()
}
