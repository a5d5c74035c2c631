package portmap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"allium/internal/random"
)

// Codes of faults (WANIPConnection, section 2.4).
const (
	invalidAction   = 401
	notImplemented  = 501
	notOffered      = 602
	conflict        = 718
	samePortsNeeded = 724
	permanentOnly   = 725
)

const (
	// otherPorts is how many external ports are tried when the one wanted is
	// another's.
	otherPorts = 8
	// firstPort is the lowest of those.
	firstPort = 9151
	// label is what the owner of the gateway reads in its list.
	label = "Allium"
)

// upnp speaks to UPnP gateways. The first call of add finds one that is of use,
// later calls stay with it.
type upnp struct {
	client       *client
	localAddress func(ctx context.Context, to string) (netip.Addr, error)
	control      func(network, address string, c syscall.RawConn) error
	local        netip.Addr
	search       netip.AddrPort
	searchWait   time.Duration
	gateways     []netip.Addr
	usable       func(external netip.Addr) error

	chosen *service
}

// String implements method.
func (u *upnp) String() string {
	if u.chosen == nil {
		return "UPnP"
	}
	return "UPnP at " + u.chosen.control.Hostname()
}

func (u *upnp) add(ctx context.Context, want mapping) (mapping, error) {
	if u.chosen != nil {
		return u.addAt(ctx, *u.chosen, want)
	}
	devices, err := u.searchDevices(ctx)
	if err != nil {
		return want, err
	}
	var why error
	for _, d := range devices {
		services, err := u.services(ctx, d)
		why = errors.Join(why, err)
		for _, s := range services {
			got, err := u.addAt(ctx, s, want)
			if err == nil {
				u.chosen = &s
				return got, nil
			}
			why = errors.Join(why, err)
		}
	}
	return want, why
}

func (u *upnp) services(ctx context.Context, d device) ([]service, error) {
	b, err := u.client.get(ctx, d.location)
	if err != nil {
		return nil, err
	}
	return parseDescription(b, d.location)
}

// addAt maps a port by one service, under another number if need be, and looks
// whether that is true.
func (u *upnp) addAt(ctx context.Context, s service, want mapping) (mapping, error) {
	external, err := u.externalAddress(ctx, s)
	if err != nil {
		return want, err
	}
	if err := u.usable(external); err != nil {
		return want, err
	}
	local, err := u.localAddress(ctx, net.JoinHostPort(s.control.Hostname(), "9"))
	if err != nil {
		return want, err
	}
	want.local = netip.AddrPortFrom(local, want.local.Port())
	port := want.external.Port()
	for range otherPorts {
		got := want
		got.external = netip.AddrPortFrom(external, port)
		got.lifetime, err = u.addPort(ctx, s, got)
		switch faultCode(err) {
		case conflict:
			port = uint16(firstPort + random.IntN(1<<16-firstPort))
			continue
		case samePortsNeeded:
			if port != want.local.Port() {
				port = want.local.Port()
				continue
			}
		}
		return got, err
	}
	return want, err
}

// addPort maps one port under one number and tells for how long.
func (u *upnp) addPort(ctx context.Context, s service, m mapping) (time.Duration, error) {
	switch to, _, err := u.entry(ctx, s, m); {
	case err == nil && to != m.local:
		return 0, &fault{conflict, "mapped to " + to.String()}
	case err != nil && faultCode(err) == 0:
		return 0, err
	}
	life := lifetime
	err := u.addEntry(ctx, s, m, life)
	// Some know no mappings that end, and not all say it by the right code.
	if code := faultCode(err); code != 0 && code != conflict && code != samePortsNeeded {
		life = 0
		err = u.addEntry(ctx, s, m, life)
	}
	if err != nil {
		return 0, err
	}
	to, left, err := u.entry(ctx, s, m)
	switch code := faultCode(err); {
	case code == invalidAction || code == notImplemented || code == notOffered:
		return life, nil // it cannot be asked
	case err != nil:
		return 0, err
	case to != m.local:
		return 0, &fault{conflict, "mapped to " + to.String()}
	}
	return left, nil
}

// remoteEnd are the arguments that name a mapping.
func remoteEnd(m mapping) []argument {
	return []argument{
		{"NewRemoteHost", ""},
		{"NewExternalPort", strconv.Itoa(int(m.external.Port()))},
		{"NewProtocol", m.protocol.String()},
	}
}

func (u *upnp) addEntry(ctx context.Context, s service, m mapping, life time.Duration) error {
	_, err := u.client.call(ctx, s, "AddPortMapping", append(remoteEnd(m),
		argument{"NewInternalPort", strconv.Itoa(int(m.local.Port()))},
		argument{"NewInternalClient", m.local.Addr().String()},
		argument{"NewEnabled", "1"},
		argument{"NewPortMappingDescription", label},
		argument{"NewLeaseDuration", strconv.Itoa(int(life / time.Second))},
	)...)
	return err
}

// entry tells where a mapping leads, and for how long.
func (u *upnp) entry(ctx context.Context, s service, m mapping) (netip.AddrPort, time.Duration, error) {
	fields, err := u.client.call(ctx, s, "GetSpecificPortMappingEntry", remoteEnd(m)...)
	if err != nil {
		return netip.AddrPort{}, 0, err
	}
	addr, err := netip.ParseAddr(fields["NewInternalClient"])
	port, err2 := strconv.ParseUint(fields["NewInternalPort"], 10, 16)
	if err := errors.Join(err, err2); err != nil {
		return netip.AddrPort{}, 0, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	left, _ := strconv.ParseUint(fields["NewLeaseDuration"], 10, 31) // absent in some, as 0
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), time.Duration(left) * time.Second, nil
}

// externalAddress is the address a service has outside.
func (u *upnp) externalAddress(ctx context.Context, s service) (netip.Addr, error) {
	fields, err := u.client.call(ctx, s, "GetExternalIPAddress")
	if err != nil {
		return netip.Addr{}, err
	}
	a, err := netip.ParseAddr(fields["NewExternalIPAddress"])
	if err != nil {
		return a, fmt.Errorf("%w: no external address: %w", ErrMalformed, err)
	}
	return a.Unmap(), nil
}

func (u *upnp) remove(ctx context.Context, m mapping) error {
	if u.chosen == nil {
		return nil
	}
	if to, _, err := u.entry(ctx, *u.chosen, m); err == nil && to != m.local {
		return nil // it is another's by now
	}
	_, err := u.client.call(ctx, *u.chosen, "DeletePortMapping", remoteEnd(m)...)
	return err
}
