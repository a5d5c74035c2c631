package httpproxy

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// connect joins the client to the Destination byte for byte.
func (p *Proxy) connect(w http.ResponseWriter, req *http.Request) {
	host, port, err := net.SplitHostPort(req.Host)
	if err != nil || port == "" {
		p.refuse(w, &refusal{http.StatusBadRequest, "Bad CONNECT", "CONNECT needs host:port."})
		return
	}
	host = normalHost(host)
	if r := check(host, port); r != nil {
		p.refuse(w, r)
		return
	}
	remote, err := p.reach(req.Context(), net.JoinHostPort(host, port))
	if err != nil {
		p.fail(w, err)
		return
	}
	defer remote.Close()
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		p.refuse(w, &refusal{http.StatusHTTPVersionNotSupported, "CONNECT impossible", "This connection cannot carry a tunnel."})
		return
	}
	defer client.Close()
	// The server forgets what is hijacked: Close ends it through the context.
	stop := context.AfterFunc(req.Context(), func() {
		_ = client.Close()
		_ = remote.Close()
	})
	defer stop()
	// Hijacking leaves the server's read deadline behind.
	_ = client.SetDeadline(time.Time{})
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	// What came early is in the server's reader. Reading on through that
	// would end the context with the client's half of the connection.
	early, _ := buffered.Peek(buffered.Reader.Buffered())
	pipe(io.MultiReader(bytes.NewReader(early), client), client, remote)
}

// pipe copies both ways between client and remote until both directions have
// ended. What the client sends comes from reader.
func pipe(reader io.Reader, client, remote net.Conn) {
	var both sync.WaitGroup
	both.Go(func() { oneWay(remote, reader, client) })
	both.Go(func() { oneWay(client, remote, remote) })
	both.Wait()
}

// oneWay copies until the source ends, then closes the writing half of to. A
// failure ends both connections, or the other direction would wait for ever;
// a TCP connection is reset, so that nobody takes a cut answer for a whole
// one.
func oneWay(to net.Conn, from io.Reader, source net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		_ = half.CloseWrite()
		return
	}
	for _, c := range []net.Conn{to, source} {
		if tcp, ok := c.(*net.TCPConn); ok && err != nil {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}
