//go:build !linux

package host

import "errors"

// bindsDevices tells that sockets cannot be bound to interfaces.
const bindsDevices = false

func bindDevice(uintptr, string) error { return errors.ErrUnsupported }
