package host_test

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"allium/internal/host"
)

func bindingTo(t *testing.T, words ...string) host.Binding {
	t.Helper()
	b, err := host.ParseBinding(words)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBindingIsAnInterfaceOrAnAddressOfEachFamily(t *testing.T) {
	if b := bindingTo(t); b.Bound() {
		t.Error("bound to nothing")
	}
	if b := bindingTo(t, "lo"); !b.Bound() {
		t.Error("not bound to an interface")
	}
	v4 := netip.MustParseAddr("127.0.0.1")
	if from, err := bindingTo(t, "127.0.0.1").Source(netip.MustParseAddr("127.0.0.9")); err != nil || from != v4 {
		t.Error(from, err)
	}
	for _, words := range []string{"nowhere0", "192.0.2.1", "127.0.0.1 127.0.0.1", "lo lo", "127.0.0.1 lo"} {
		if _, err := host.ParseBinding(strings.Fields(words)); !errors.Is(err, host.ErrBinding) {
			t.Errorf("%s: %v", words, err)
		}
	}
}

func TestBoundEngineHasOnlyItsAddresses(t *testing.T) {
	p := newPortable(t, host.Config{Binding: bindingTo(t, "127.0.0.1")})
	v4 := netip.MustParseAddr("127.0.0.1")
	if all := p.Addrs(); len(all) != 1 || all[0] != v4 {
		t.Errorf("has %v", all)
	}
	refuse := func(*host.Round, host.Stream) host.StreamHandler { return nil }
	l, err := p.ListenTCP(netip.MustParseAddrPort("0.0.0.0:0"), refuse)
	if err != nil {
		t.Fatal(err)
	}
	if l.Addr().Addr() != v4 {
		t.Errorf("listens on %v", l.Addr())
	}
	if _, err := p.ListenTCP(netip.MustParseAddrPort("[::]:0"), refuse); !errors.Is(err, host.ErrUnreachable) {
		t.Errorf("the other family: %v", err)
	}
	if _, err := p.ListenTCP(netip.MustParseAddrPort("127.0.0.2:0"), refuse); !errors.Is(err, host.ErrBinding) {
		t.Errorf("another address: %v", err)
	}
	for to, want := range map[string]error{"[::1]:9": host.ErrUnreachable, l.Addr().String(): host.ErrReset} {
		reason := make(chan error, 1)
		p.DialTCP(netip.Addr{}, netip.MustParseAddrPort(to), &stream{closed: func(_ *host.Round, err error) { reason <- err }})
		if err := <-reason; !errors.Is(err, want) {
			t.Errorf("dialling %s: %v, not %v", to, err, want)
		}
	}
	server, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	d := bindingTo(t, "127.0.0.1").Dialer()
	conn, err := d.Dial("tcp", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if from := conn.LocalAddr().(*net.TCPAddr).AddrPort().Addr(); from != v4 {
		t.Errorf("sends from %v", from)
	}
	if _, err := d.Dial("tcp", "[::1]:9"); !errors.Is(err, host.ErrUnreachable) {
		t.Errorf("the other family: %v", err)
	}
}

// inside tells a test that it runs in a network of its own.
const inside = "ALLIUM_TEST_NETWORK"

// An interface that is set up anew, as that of a VPN, is another one for the
// system.
func TestListenersFollowAnInterfaceThatComesBack(t *testing.T) {
	if os.Getenv(inside) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=1m")
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		if os.Getuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}
		if out, err := cmd.CombinedOutput(); errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
			t.Skipf("this system lets nobody have a network of his own: %v", err)
		} else if err != nil {
			t.Errorf("%v: %s", err, out)
		} else if bytes.Contains(out, []byte("--- SKIP")) {
			t.Skip(string(out))
		}
		return
	}
	setUp := func() {
		for _, args := range []string{"link add tun0 type veth peer name end", "address add 10.1.0.1/24 dev tun0", "link set tun0 up", "link set end up"} {
			if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
				t.Skipf("ip %s: %v: %s", args, err, out)
			}
		}
	}
	index := func() int {
		in, err := net.InterfaceByName("tun0")
		if err != nil {
			t.Fatal(err)
		}
		return in.Index
	}
	setUp()
	p := newPortable(t, host.Config{Binding: bindingTo(t, "tun0")})
	l, err := p.ListenTCP(netip.MustParseAddrPort("0.0.0.0:12345"), func(*host.Round, host.Stream) host.StreamHandler { return nil })
	if err != nil {
		t.Fatal(err)
	}
	first := index()
	if got := host.DeviceOf(l); got != first {
		t.Fatalf("bound to %d, not %d", got, first)
	}
	if out, err := exec.Command("ip", "link", "delete", "tun0").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	setUp()
	if index() == first {
		t.Fatal("the same interface as before")
	}
	if !eventually(func() bool { return host.DeviceOf(l) == index() }) {
		t.Errorf("bound to %d, not %d", host.DeviceOf(l), index())
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); !errors.Is(err, host.ErrClosed) {
		t.Error(err)
	}
}
