package i2ptunnel

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// joints are the connections of one tunnel.
type joints struct {
	wait sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

// acceptPause is how long accepting rests after a failure that may pass, such
// as too many open files.
const acceptPause = 100 * time.Millisecond

// serve calls handle, each on a goroutine of its own, for what listener
// accepts, until it is closed.
func (j *joints) serve(listener net.Listener, log *slog.Logger, handle func(net.Conn)) {
	j.wait.Go(func() {
		for {
			conn, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				log.Warn("tunnel: accept failed", "err", err)
				time.Sleep(acceptPause)
				continue
			}
			if !j.keep(conn) {
				return
			}
			j.wait.Go(func() {
				defer j.end(conn)
				handle(conn)
			})
		}
	})
}

// join copies both ways between a and b until both directions have ended.
func (j *joints) join(a, b net.Conn) {
	if !j.keep(b) {
		return
	}
	defer j.end(b)
	var both sync.WaitGroup
	both.Go(func() { oneWay(a, b) })
	both.Go(func() { oneWay(b, a) })
	both.Wait()
}

// oneWay copies until from ends, then closes the writing half of to. A
// failure resets both: the other direction would wait for ever, and nobody
// should take a cut answer for a whole one.
func oneWay(to, from net.Conn) {
	_, err := io.Copy(to, from)
	half, ok := to.(interface{ CloseWrite() error })
	switch {
	case err != nil:
		reset(to)
		reset(from)
	case ok:
		_ = half.CloseWrite()
	default:
		_ = to.Close()
	}
}

// reset ends a connection so that its peer sees a failure instead of an
// orderly end, where the connection can tell the two apart.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// keep remembers a connection for close, or closes it at once and reports
// false when close has been called.
func (j *joints) keep(conn net.Conn) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		_ = conn.Close()
		return false
	}
	if j.conns == nil {
		j.conns = make(map[net.Conn]struct{})
	}
	j.conns[conn] = struct{}{}
	return true
}

// end closes a connection and forgets it.
func (j *joints) end(conn net.Conn) {
	j.mu.Lock()
	delete(j.conns, conn)
	j.mu.Unlock()
	_ = conn.Close()
}

// close ends all connections and waits for their goroutines.
func (j *joints) close() {
	j.mu.Lock()
	j.closed = true
	for conn := range j.conns {
		_ = conn.Close()
	}
	j.mu.Unlock()
	j.wait.Wait()
}
