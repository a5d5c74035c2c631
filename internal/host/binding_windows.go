package host

import (
	"net/netip"
	"syscall"
)

// bindAddr has a socket send from an address, at any port.
func bindAddr(fd uintptr, a netip.Addr) error {
	if a.Is4() {
		return syscall.Bind(syscall.Handle(fd), &syscall.SockaddrInet4{Addr: a.As4()})
	}
	return syscall.Bind(syscall.Handle(fd), &syscall.SockaddrInet6{Addr: a.As16()})
}
