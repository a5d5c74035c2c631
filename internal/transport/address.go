package transport

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"allium/internal/data"
)

// Costs of our addresses: lower is dialled first.
const (
	costPublished   = 3
	costUnpublished = 14
)

// Addresses are our own, for our RouterInfo: one for each address we are
// reached at, or one that cannot be dialled.
func (t *Transport) Addresses() []data.RouterAddress { return slices.Clone(t.addresses) }

// introduced tells whether a RouterInfo is ours with these addresses.
func (t *Transport) introduced(ri *data.RouterInfo) bool {
	return ri != nil && slices.ContainsFunc(ri.Addresses(), func(a data.RouterAddress) bool {
		static, ok := a.StaticKey()
		return ok && a.Style == data.StyleNTCP2 && static == t.self.Static.Public
	})
}

// makeAddresses makes our addresses of what is listened on.
func (t *Transport) makeAddresses() error {
	v4, v6, published := false, false, false
	for _, l := range t.listeners {
		bound := l.Addr()
		t.own = append(t.own, bound)
		host, ok := t.published(bound.Addr())
		if !ok {
			v4, v6 = v4 || bound.Addr().Is4(), v6 || bound.Addr().Is6()
			continue
		}
		at := netip.AddrPortFrom(host, bound.Port())
		if !t.cfg.AllowPrivate && !(data.Routable(host) && data.PublishablePort(at.Port())) {
			return fmt.Errorf("transport: %v: %w: other routers would not dial it", at, ErrUnpublishable)
		}
		t.own = append(t.own, at)
		published = true
		err := t.addAddress(costPublished,
			data.Pair{Key: "host", Value: host.String()},
			data.Pair{Key: "port", Value: strconv.Itoa(int(at.Port()))},
			data.Pair{Key: "i", Value: data.EncodeBase64(t.self.IV[:])})
		if err != nil {
			return err
		}
	}
	if published {
		return nil
	}
	// Nobody can dial us, but whoever we dial looks for our key here.
	caps := ""
	if v4 || !v6 {
		caps += string(data.AddressIPv4)
	}
	if v6 {
		caps += string(data.AddressIPv6)
	}
	return t.addAddress(costUnpublished, data.Pair{Key: "caps", Value: caps})
}

// addAddress adds what all addresses have to the options of one.
func (t *Transport) addAddress(cost uint8, options ...data.Pair) error {
	options = append(options,
		data.Pair{Key: "s", Value: data.EncodeBase64(t.self.Static.Public[:])},
		data.Pair{Key: "v", Value: "2"})
	a, err := data.NewRouterAddress(cost, data.StyleNTCP2, options...)
	if err != nil {
		return fmt.Errorf("transport: own address: %w", err)
	}
	t.addresses = append(t.addresses, a)
	return nil
}

// published is the address others reach a listener at, if it is published. An
// outer address is what the user says; one we listen on is left out when
// nobody could reach it.
func (t *Transport) published(bound netip.Addr) (netip.Addr, bool) {
	if !t.cfg.Publish {
		return netip.Addr{}, false
	}
	for _, host := range t.cfg.Hosts {
		if host = host.Unmap(); host.Is4() == bound.Is4() {
			return host, true
		}
	}
	return bound, !bound.IsUnspecified() && (t.cfg.AllowPrivate || data.Routable(bound))
}
