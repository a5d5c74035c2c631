//go:build interop

package interop

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

var (
	i2pdBinary   = flag.String("i2pd", "/usr/bin/i2pd", "i2pd to test against")
	i2pdLogLevel = flag.String("i2pd-log", "info", "what i2pd logs: error, warn, info or debug")
	keepDir      = flag.String("keep", "", "directory to work in and to leave everything in")
)

// binaryVariable is the environment variable that holds Allium's program. It
// is set within the namespace and not outside.
const binaryVariable = "ALLIUM_INTEROP_BINARY"

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(binaryVariable) == "" {
		os.Exit(outside())
	}
	if err := bringUp(); err != nil {
		fmt.Fprintln(os.Stderr, "interop: loopback of the namespace:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// outside builds Allium and runs this program again in a namespace.
func outside() int {
	if _, err := os.Stat(*i2pdBinary); err != nil {
		fmt.Fprintln(os.Stderr, "interop: no i2pd to test against:", err)
		return 1
	}
	dir, err := os.MkdirTemp("", "allium-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "allium")
	if out, err := exec.Command("go", "build", "-o", binary, "allium/cmd/allium").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "interop: building Allium: %v\n%s", err, out)
		return 1
	}
	return again(binary)
}

// again runs this program in a network namespace of its own and returns its
// exit code.
func again(binary string) int {
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), binaryVariable+"="+binary)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	// The kernel ends the child with the thread that started it.
	runtime.LockOSThread()
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() >= 0 {
		return exit.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop: in the namespace:", err)
		return 1
	}
	return 0
}

// bringUp makes the addresses of 198.18.0.0/16 our own. On the loopback device
// the kernel takes the whole subnet of an address for local.
func bringUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(s, unix.SIOCGIFFLAGS, lo); err != nil {
		return err
	}
	lo.SetUint16(lo.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo); err != nil {
		return err
	}
	alias, err := unix.NewIfreq("lo:0")
	if err != nil {
		return err
	}
	if err := alias.SetInet4Addr([]byte{198, 18, 0, 1}); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(s, unix.SIOCSIFADDR, alias); err != nil {
		return err
	}
	if err := alias.SetInet4Addr([]byte{255, 255, 0, 0}); err != nil {
		return err
	}
	return unix.IoctlIfreq(s, unix.SIOCSIFNETMASK, alias)
}
