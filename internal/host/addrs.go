package host

import (
	"net"
	"net/netip"
	"slices"
)

// Addrs implements [Host].
func (p *Portable) Addrs() []netip.Addr {
	interfaces, err := net.Interfaces()
	if err != nil {
		p.log.Debug("host: interfaces", "err", err)
		return nil
	}
	var all []netip.Addr
	for i := range interfaces {
		if interfaces[i].Flags&(net.FlagUp|net.FlagRunning) != net.FlagUp|net.FlagRunning {
			continue
		}
		// An interface that has gone meanwhile has no addresses.
		of, _ := interfaces[i].Addrs()
		for _, a := range of {
			if ip, ok := a.(*net.IPNet); ok {
				all = appendAddr(all, ip.IP)
			}
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// appendAddr adds an address that is good beyond its link.
func appendAddr(all []netip.Addr, ip net.IP) []netip.Addr {
	a, ok := netip.AddrFromSlice(ip)
	if a = a.Unmap(); !ok || a.IsLinkLocalUnicast() || a.IsMulticast() {
		return all
	}
	return append(all, a)
}
