package allium

import (
	"net/netip"
	"slices"
	"time"

	"allium/internal/host"
)

// watchEvery is how often it is looked whether this is another network.
const watchEvery = 5 * time.Second

// watch asks time servers, gateway and reseed servers again when the machine's
// addresses are others than before.
func (r *Router) watch(before []netip.Addr) {
	r.host.AfterFunc(watchEvery, func(*host.Round) {
		now := r.host.Addrs()
		if !slices.Equal(now, before) {
			r.clock.Check()
			r.askGateway()
			r.reseeder.Poke()
		}
		r.watch(now)
	})
}
