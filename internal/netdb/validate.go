package netdb

import (
	"fmt"
	"net/netip"
	"time"

	"allium/internal/data"
	"allium/internal/signature"
)

// check refuses what no time can make right, except the signature.
func (d *DB) check(ri *data.RouterInfo) error {
	if ri.Hash() == d.self {
		return ErrSelf
	}
	if id, ok := ri.NetID(); !ok || id != int(d.cfg.NetID) {
		return ErrNetID
	}
	if version, _ := ri.Version(); version < d.floor {
		return ErrVersion
	}
	if _, ok := ri.Identity().X25519(); !ok || ri.Identity().SigningType() == signature.DSASHA1 {
		return ErrKeys
	}
	if !ri.Hidden() && !d.plausible(ri.Addresses()) {
		return ErrNoAddress
	}
	return nil
}

// checkAge refuses what is too old, or dated too far ahead.
func (d *DB) checkAge(now time.Time, ri *data.RouterInfo) error {
	d.mu.RLock()
	limit := d.limit
	d.mu.RUnlock()
	switch age := now.Sub(ri.Published()); {
	case age > limit:
		return ErrExpired
	case age < -data.RouterInfoMaxFuture:
		return ErrFuture
	}
	return nil
}

// plausible reports whether any of the addresses is one of a transport that
// is in use and either tells no host or a host that can be there. Which of
// them can be dialled is for the transports to say.
func (d *DB) plausible(addresses []data.RouterAddress) bool {
	for _, a := range addresses {
		if a.Style != data.StyleNTCP2 && a.Style != data.StyleSSU2 {
			continue
		}
		if _, ok := a.StaticKey(); !ok || !a.SpeaksV2() {
			continue
		}
		if _, tells := a.Options.Get("host"); !tells {
			return true // behind a firewall
		}
		if at, ok := a.AddrPort(); ok && d.dialable(at) {
			return true
		}
	}
	return false
}

// dialable reports whether a router can be at an address. Overlay networks do
// not count, nor in public the ports of other services.
func (d *DB) dialable(at netip.AddrPort) bool {
	if d.cfg.AllowPrivate {
		return !at.Addr().IsMulticast() && !at.Addr().IsUnspecified()
	}
	return data.Routable(at.Addr()) && data.PublishablePort(at.Port())
}

// refused adds whom it is about to an error.
func refused(err error, h data.Hash) error { return fmt.Errorf("%w: %s", err, h.Short()) }
