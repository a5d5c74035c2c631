//go:build unix

package host

import (
	"net/netip"
	"syscall"
)

// direct tells that sockets can be tried without waiting.
const direct = true

const (
	errnoRefused  = syscall.ECONNREFUSED
	errnoReset    = syscall.ECONNRESET
	errnoPipe     = syscall.EPIPE
	errnoAborted  = syscall.ECONNABORTED
	errnoNoHost   = syscall.EHOSTUNREACH
	errnoNoNet    = syscall.ENETUNREACH
	errnoNoBufs   = syscall.ENOBUFS
	errnoNoAddr   = syscall.EADDRNOTAVAIL
	errnoNoFamily = syscall.EAFNOSUPPORT
	errnoNoDevice = syscall.ENODEV
)

// again reports whether an attempt would have had to wait.
func again(err error) bool {
	return err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
}

// tryRead reads what is there. Zero bytes without an error are the end.
func tryRead(fd uintptr, b []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// bytesWait tells whether tryRead would read any.
func bytesWait(fd uintptr) bool {
	var b [1]byte
	for {
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		if err != syscall.EINTR {
			return err == nil && n > 0
		}
	}
}

// tryWrite writes what there is room for.
func tryWrite(fd uintptr, b []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// target is where packets go, in the form of the system.
type target struct {
	v4 syscall.SockaddrInet4
	v6 syscall.SockaddrInet6
}

// trySend sends one packet if there is room for it.
func trySend(fd uintptr, b []byte, t *target, to netip.AddrPort) error {
	var sa syscall.Sockaddr
	if a := to.Addr(); a.Is4() {
		t.v4.Port, t.v4.Addr = int(to.Port()), a.As4()
		sa = &t.v4
	} else {
		t.v6.Port, t.v6.Addr = int(to.Port()), a.As16()
		sa = &t.v6
	}
	for {
		err := syscall.Sendto(int(fd), b, 0, sa)
		if err != syscall.EINTR {
			return err
		}
	}
}
