package httpproxy

import (
	"io"
	"net"
	"sync"
)

// pipe copies both ways between client and remote until both directions have
// ended. What the server had read ahead of the client comes from reader.
func pipe(reader io.Reader, client, remote net.Conn) {
	var both sync.WaitGroup
	both.Go(func() { oneWay(remote, reader, client) })
	both.Go(func() { oneWay(client, remote, remote) })
	both.Wait()
}

// oneWay copies until the source ends, then closes the writing half of to. A
// failure ends both connections, or the other direction would wait for ever.
func oneWay(to net.Conn, from io.Reader, source net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		_ = half.CloseWrite()
		return
	}
	_ = to.Close()
	_ = source.Close()
}
