package portmap

import (
	"net/netip"
	"time"

	"allium/internal/random"
)

// place is where gateways are found.
type place struct {
	gateways func() []netip.Addr
	// port is that of PCP and NAT-PMP.
	port uint16
	// ssdp is where UPnP devices listen together, and its port where each does.
	ssdp netip.AddrPort
	// repeats are the pauses after which a packet to a gateway is sent again: it
	// is near, and answers at once or never. searchWait is for how long answers
	// of UPnP devices are waited for.
	repeats    []time.Duration
	searchWait time.Duration
}

// theNetwork is the one this machine is in.
var theNetwork = place{
	gateways: defaultGateways,
	port:     5351,
	ssdp:     netip.MustParseAddrPort("239.255.255.250:1900"),
	repeats:  []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second},
	// Devices may wait for searchDelay before they answer.
	searchWait: searchDelay + 1500*time.Millisecond,
}

// spread is up to so much.
func spread(most time.Duration) time.Duration { return random.Between(0, most) }
