package host

import "golang.org/x/sys/unix"

// bindsDevices tells that sockets can be bound to interfaces.
const bindsDevices = true

// bindDevice has a socket send and receive through one interface only.
func bindDevice(fd uintptr, device string) error {
	return unix.BindToDevice(int(fd), device)
}
