package host

import (
	"errors"
	"net/netip"
	"syscall"
)

// direct tells that sockets can be tried without waiting. Here they belong to
// a completion port, so everything takes the plain way.
const direct = false

const (
	errnoRefused  = syscall.Errno(10061)
	errnoReset    = syscall.WSAECONNRESET
	errnoPipe     = syscall.EPIPE
	errnoAborted  = syscall.WSAECONNABORTED
	errnoNoHost   = syscall.Errno(10065)
	errnoNoNet    = syscall.Errno(10051)
	errnoNoBufs   = syscall.Errno(10055)
	errnoNoAddr   = syscall.Errno(10049)
	errnoNoFamily = syscall.Errno(10047)
	errnoNoDevice = syscall.Errno(433)
)

func again(error) bool { return false }

func tryRead(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

func bytesWait(uintptr) bool { return true }

func tryWrite(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

type target struct{}

func trySend(uintptr, []byte, *target, netip.AddrPort) error { return errors.ErrUnsupported }
