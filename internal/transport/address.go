package transport

import (
	"fmt"
	"net/netip"
	"strconv"

	"allium/internal/data"
)

// Costs of our addresses: lower is dialled first.
const (
	costPublished   = 3
	costUnpublished = 14
)

// choose picks the address of a router to dial, and the local one to dial
// from.
func (t *Transport) choose(ri *data.RouterInfo) (local netip.Addr, to netip.AddrPort, ok bool) {
	for _, a := range ri.Addresses() {
		addr, published := a.AddrPort()
		if !published || a.Style != data.StyleNTCP2 || !a.SpeaksV2() || !t.dialable(addr.Addr()) {
			continue
		}
		return t.source(addr.Addr()), addr, true
	}
	return netip.Addr{}, netip.AddrPort{}, false
}

// dialable tells addresses that can be reached from here.
func (t *Transport) dialable(a netip.Addr) bool {
	if !t.cfg.AllowPrivate && !data.Routable(a) {
		return false
	}
	if len(t.cfg.Listen) == 0 {
		return a.Is4()
	}
	for _, l := range t.cfg.Listen {
		if l.Addr().Is4() == a.Is4() {
			return true
		}
	}
	return false
}

// source is the local address to dial from: the one we listen on, because
// peers refuse connections that come from elsewhere than our RouterInfo says.
func (t *Transport) source(to netip.Addr) netip.Addr {
	for _, l := range t.cfg.Listen {
		if l.Addr().Is4() == to.Is4() && !l.Addr().IsUnspecified() {
			return l.Addr()
		}
	}
	return netip.Addr{}
}

// Addresses are our own, for our RouterInfo.
func (t *Transport) Addresses() []data.RouterAddress { return t.addresses }

// ownAddresses makes them from what is listened on.
func (t *Transport) ownAddresses() ([]data.RouterAddress, error) {
	static := data.Pair{Key: "s", Value: data.EncodeBase64(t.self.Static.Public[:])}
	version := data.Pair{Key: "v", Value: "2"}
	var all []data.RouterAddress
	v4, v6 := false, false
	for _, l := range t.listeners {
		host, ok := t.published(l.Addr().Addr())
		if !ok {
			v4, v6 = v4 || l.Addr().Addr().Is4(), v6 || l.Addr().Addr().Is6()
			continue
		}
		a, err := data.NewRouterAddress(costPublished, data.StyleNTCP2,
			data.Pair{Key: "host", Value: host.String()},
			data.Pair{Key: "port", Value: strconv.Itoa(int(l.Addr().Port()))},
			data.Pair{Key: "i", Value: data.EncodeBase64(t.self.IV[:])},
			static, version)
		if err != nil {
			return nil, fmt.Errorf("transport: own address: %w", err)
		}
		all = append(all, a)
	}
	if len(all) > 0 {
		return all, nil
	}
	// Nobody can dial us, but whoever we dial looks for our key here.
	caps := "4"
	if v6 {
		caps = "6"
		if v4 {
			caps = "46"
		}
	}
	a, err := data.NewRouterAddress(costUnpublished, data.StyleNTCP2,
		data.Pair{Key: "caps", Value: caps}, static, version)
	if err != nil {
		return nil, fmt.Errorf("transport: own address: %w", err)
	}
	return []data.RouterAddress{a}, nil
}

// published is the address others reach a listener at, if it is published.
func (t *Transport) published(bound netip.Addr) (netip.Addr, bool) {
	if !t.cfg.Publish {
		return netip.Addr{}, false
	}
	for _, host := range t.cfg.Hosts {
		if host.Is4() == bound.Is4() {
			return host, true
		}
	}
	return bound, !bound.IsUnspecified() && (t.cfg.AllowPrivate || data.Routable(bound))
}
