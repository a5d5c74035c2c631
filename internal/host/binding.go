package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// ErrBinding reports a binding that cannot be kept to.
var ErrBinding = errors.New("host: bind")

// Binding is the part of the machine's network that all sockets keep to: one
// interface, or the interface that has an address, and then nothing is sent
// from another address. The zero Binding is all of it.
type Binding struct {
	device string
	addrs  [2]netip.Addr // IPv4 and IPv6; the family of a zero Addr is not used
}

// ParseBinding reads the name of an interface, or at most one address of each
// family. It fails with ErrBinding for what this machine or system does not
// have.
func ParseBinding(words []string) (b Binding, err error) {
	for _, word := range words {
		a, err := netip.ParseAddr(word)
		switch {
		case err != nil && len(words) == 1:
			return deviceBinding(word)
		case err != nil:
			return b, fmt.Errorf("%w: %q is no address, and there can be only one interface", ErrBinding, word)
		}
		a = a.Unmap()
		if b.addrs[index(a)].IsValid() {
			return b, fmt.Errorf("%w: %v is a second address of its family", ErrBinding, a)
		}
		b.addrs[index(a)] = a
	}
	for _, a := range b.addrs {
		if _, ok := interfaceOf(a); a.IsValid() && !ok {
			return b, fmt.Errorf("%w: this machine does not have the address %v", ErrBinding, a)
		}
	}
	return b, nil
}

func deviceBinding(name string) (Binding, error) {
	if !bindsDevices {
		return Binding{}, fmt.Errorf("%w: interface %s: only addresses can be bound to on this system", ErrBinding, name)
	}
	if _, err := net.InterfaceByName(name); err != nil {
		return Binding{}, fmt.Errorf("%w: this machine has no interface %q", ErrBinding, name)
	}
	return Binding{device: name}, nil
}

// index is the place of a family.
func index(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// Bound tells whether there is anything to keep to.
func (b Binding) Bound() bool { return b != Binding{} }

// byAddress tells a binding to addresses.
func (b Binding) byAddress() bool { return b.Bound() && b.device == "" }

// Source is the address to send from to an address, the zero Addr if any will
// do. It fails with ErrUnreachable when there is none of its family.
func (b Binding) Source(to netip.Addr) (netip.Addr, error) {
	from := b.addrs[index(to.Unmap())]
	if b.byAddress() && !from.IsValid() {
		return from, fmt.Errorf("%w: bound to no address of the family of %v", ErrUnreachable, to)
	}
	return from, nil
}

// Control keeps a socket to the binding; see [net.Dialer] and
// [net.ListenConfig]. The address to send from is for the caller to choose, by
// Source.
func (b Binding) Control(network, _ string, c syscall.RawConn) error {
	device := b.device
	if b.byAddress() {
		from := b.addrs[0]
		if strings.HasSuffix(network, "6") {
			from = b.addrs[1]
		}
		in, ok := interfaceOf(from)
		if !ok {
			return fmt.Errorf("%w: not bound to any address for %s now", ErrUnreachable, network)
		}
		device = in.Name
	}
	if device == "" || !bindsDevices {
		return nil
	}
	return control(c, func(fd uintptr) error { return bindDevice(fd, device) })
}

// Dialer makes connections that keep to the binding, and finds the addresses
// of names so. Servers for names on this machine itself are asked all the
// same: what they do is for them.
func (b Binding) Dialer() net.Dialer {
	d := b.dialer()
	if b.Bound() {
		d.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, server string) (net.Conn, error) {
			if at, err := netip.ParseAddrPort(server); err == nil && at.Addr().IsLoopback() {
				return new(net.Dialer).DialContext(ctx, network, server)
			}
			d := b.dialer()
			return d.DialContext(ctx, network, server)
		}}
	}
	return d
}

// dialer is Dialer but for names.
func (b Binding) dialer() (d net.Dialer) {
	if !b.Bound() {
		return d
	}
	d.Control = func(network, address string, c syscall.RawConn) error {
		if err := b.Control(network, address, c); err != nil || !b.byAddress() {
			return err
		}
		from := b.addrs[0]
		if strings.HasSuffix(network, "6") {
			from = b.addrs[1]
		}
		return control(c, func(fd uintptr) error { return bindAddr(fd, from) })
	}
	return d
}

// control calls f with the socket.
func control(c syscall.RawConn, f func(fd uintptr) error) (err error) {
	if failed := c.Control(func(fd uintptr) { err = f(fd) }); failed != nil {
		return failed
	}
	return err
}

// interfaceOf is the interface that has an address.
func interfaceOf(a netip.Addr) (net.Interface, bool) {
	interfaces, _ := net.Interfaces()
	for _, in := range interfaces {
		if slices.Contains(addrsOf(&in), a) {
			return in, true
		}
	}
	return net.Interface{}, false
}

// devices are the numbers of the interfaces that the binding means now. One
// that has gone and come back has another number, and sockets bound to the old
// one are dead.
func (b Binding) devices() (numbers [3]int) {
	if in, err := net.InterfaceByName(b.device); err == nil && b.device != "" {
		numbers[0] = in.Index
	}
	for i, a := range b.addrs {
		if in, ok := interfaceOf(a); ok {
			numbers[i+1] = in.Index
		}
	}
	return numbers
}
