package host

import (
	"net"
	"net/netip"
	"slices"
)

// Addrs implements [Host]: of those the machine has, the ones that the binding
// lets be used.
func (p *Portable) Addrs() []netip.Addr {
	interfaces, err := net.Interfaces()
	if err != nil {
		p.log.Debug("host: interfaces", "err", err)
		return nil
	}
	b := &p.cfg.Binding
	var all []netip.Addr
	for i := range interfaces {
		in := &interfaces[i]
		if in.Flags&(net.FlagUp|net.FlagRunning) != net.FlagUp|net.FlagRunning || b.device != "" && in.Name != b.device {
			continue
		}
		for _, a := range addrsOf(in) {
			if !b.byAddress() || slices.Contains(b.addrs[:], a) {
				all = append(all, a)
			}
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// addrsOf are the addresses of an interface that are good beyond its link. One
// that has gone meanwhile has none.
func addrsOf(in *net.Interface) (all []netip.Addr) {
	of, _ := in.Addrs()
	for _, n := range of {
		if ip, ok := n.(*net.IPNet); ok {
			a, valid := netip.AddrFromSlice(ip.IP)
			if a = a.Unmap(); valid && !a.IsLinkLocalUnicast() && !a.IsMulticast() {
				all = append(all, a)
			}
		}
	}
	return all
}
