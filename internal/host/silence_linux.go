package host

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// silenceLimit is how long what was sent may stay unacknowledged before the
// connection is given up. Left alone, Linux tries for a quarter of an hour,
// while the way to the peer may have changed long ago. A peer whose system
// answers but that reads nothing at all for so long is given up as well.
const silenceLimit = 20 * time.Second

// limitSilence bounds how long a connection whose peer is gone seems to
// stand. Where that fails the connection is as good as without it.
func (p *Portable) limitSilence(conn *net.TCPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silenceLimit.Milliseconds()))
	})
}
