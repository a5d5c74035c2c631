package transport

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"allium/internal/data"
)

// Costs of our addresses: lower is dialled first.
const (
	costPublished   = 3
	costUnpublished = 14
)

// Addresses are our own, for our RouterInfo: one for each address we are
// reached at, and one that cannot be dialled for the families that have none.
// Handler.Readdressed tells when they change.
func (t *Transport) Addresses() []data.RouterAddress {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Clone(t.addresses)
}

// introduced tells whether a RouterInfo is ours with these addresses.
func (t *Transport) introduced(ri *data.RouterInfo) bool {
	return ri != nil && slices.ContainsFunc(ri.Addresses(), func(a data.RouterAddress) bool {
		static, ok := a.StaticKey()
		return ok && a.Style == data.StyleNTCP2 && static == t.self.Static.Public
	})
}

// check fails with ErrUnpublishable for addresses that the settings would have
// us publish and nobody would dial.
func (t *Transport) check(now time.Time) error {
	for _, l := range t.listeners {
		at, source := t.outer(now, l.Addr())
		if source != "" && !t.cfg.AllowPrivate && !(data.Routable(at.Addr()) && data.PublishablePort(at.Port())) {
			return fmt.Errorf("transport: %v: %w: other routers would not dial it", at, ErrUnpublishable)
		}
	}
	return nil
}

// situate makes our addresses of what is listened on and what is known of us
// outside. It reports whether they are others than before. The lock is held.
func (t *Transport) situate(now time.Time) bool {
	var first [families]netip.AddrPort
	var sources [families]Source
	var made []data.RouterAddress
	own := t.own[:0:0]
	for _, l := range t.listeners {
		bound := l.Addr()
		own = append(own, bound)
		at, source := t.outer(now, bound)
		if source == "" {
			continue
		}
		own = append(own, at)
		made = t.published(made, at)
		if f := familyOf(at.Addr()); !first[f].IsValid() {
			first[f], sources[f] = at, source
		}
	}
	caps := ""
	for f, letter := range [families]byte{data.AddressIPv4, data.AddressIPv6} {
		t.external[f].settle(now, first[f], sources[f])
		if !first[f].IsValid() && t.listens(Family(f)) && t.here.has(Family(f), t.cfg.AllowPrivate) {
			caps += string(letter)
		}
	}
	if len(made) == 0 && caps == "" {
		caps = string(data.AddressIPv4)
	}
	if caps != "" {
		// Nobody can dial us there, but whoever we dial looks for our key here.
		made = t.addAddress(made, costUnpublished, data.Pair{Key: "caps", Value: caps})
	}
	changed := !slices.EqualFunc(made, t.addresses, sameAddress)
	t.addresses, t.own = made, own
	return changed
}

// sameAddress tells that two addresses say the same.
func sameAddress(a, b data.RouterAddress) bool {
	return a.Cost == b.Cost && slices.Equal(a.Options.Append(nil), b.Options.Append(nil))
}

// published adds an address that can be dialled.
func (t *Transport) published(made []data.RouterAddress, at netip.AddrPort) []data.RouterAddress {
	return t.addAddress(made, costPublished,
		data.Pair{Key: "host", Value: at.Addr().String()},
		data.Pair{Key: "port", Value: strconv.Itoa(int(at.Port()))},
		data.Pair{Key: "i", Value: data.EncodeBase64(t.self.IV[:])})
}

// addAddress adds what all addresses have to the options of one.
func (t *Transport) addAddress(made []data.RouterAddress, cost uint8, options ...data.Pair) []data.RouterAddress {
	options = append(options,
		data.Pair{Key: "s", Value: data.EncodeBase64(t.self.Static.Public[:])},
		data.Pair{Key: "v", Value: "2"})
	// It fails only for options too long or given twice, and these are not.
	a, _ := data.NewRouterAddress(cost, data.StyleNTCP2, options...)
	return append(made, a)
}
