package host

import "golang.org/x/sys/unix"

// DeviceOf is the number of the interface that a listener is bound to, 0 while
// it has no socket.
func DeviceOf(l Listener) (index int) {
	socket, _ := l.(*acceptor).listener()
	if socket == nil {
		return 0
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		index, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX)
	})
	return index
}
