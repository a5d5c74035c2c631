//go:build !linux

package portmap

import "net/netip"

// defaultGateways are not known here. UPnP finds gateways by itself, and the
// settings can name one.
func defaultGateways() []netip.Addr { return nil }
