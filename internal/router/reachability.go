package router

import (
	"net/netip"
	"time"

	"allium/internal/host"
	"allium/internal/transport"
)

// Mapped tells that a gateway forwards connections from external to local, or
// with a zero external that it does so no longer.
func (rt *Router) Mapped(r *host.Round, local, external netip.AddrPort) {
	rt.transport.Mapped(r, local, external)
}

// Readdressed implements transport.Handler.
func (in incoming) Readdressed(r *host.Round) {
	if in.running.Load() {
		in.readdress(r)
	}
}

// readdress has our RouterInfo say where we are now, and stores it at once. No
// handshake shows an old one from now on: peers refuse who comes from elsewhere
// than he says.
func (rt *Router) readdress(r *host.Round) {
	addresses := rt.transport.Addresses()
	rt.own.setAddresses(addresses, rt.reached(r.Now))
	for _, f := range rt.transport.Reachability(r.Now) {
		if f.State != transport.Unused {
			rt.log.Info("how others reach us", "over", f.Family, "state", f.State, "address", f.Address, "known from", f.Source)
		}
	}
	rt.publishSoon(r)
}

// reached is whether others can connect to us.
func (rt *Router) reached(now time.Time) reach {
	yes, no := rt.transport.Reached(now)
	return reach{yes, no}
}
