package portmap

import (
	"context"
	"net"
	"net/netip"

	"allium/internal/data"
)

// ways are all gateways in all languages, in the order to try them. Where this
// machine has a public address itself, nothing is asked.
func (m *Mapper) ways() []method {
	gateways := []netip.Addr{m.cfg.Gateway}
	if !m.cfg.Gateway.IsValid() {
		gateways = m.at.gateways()
	}
	var all []method
	for _, g := range gateways[:min(len(gateways), maxGateways)] {
		if at := netip.AddrPortFrom(g, m.at.port); !m.public(at) {
			d := door{m.dial, at, m.at.repeats}
			all = append(all, &pcp{d, m.w.Nonce}, &natpmp{d})
		}
	}
	if m.public(m.at.ssdp) {
		return all
	}
	return append(all, &upnp{
		client: newClient(m.dial), localAddress: m.localAddress, control: m.w.Control, local: m.w.Local,
		search: m.at.ssdp, searchWait: m.at.searchWait, gateways: gateways, usable: m.usable,
	})
}

// public tells that this machine has a public address on the way to another.
func (m *Mapper) public(to netip.AddrPort) bool {
	local, err := m.localAddress(m.ctx, to.String())
	return err == nil && !m.w.AnyAddress && data.Routable(local)
}

// localAddress is what this machine sends from to another. Nothing is sent.
func (m *Mapper) localAddress(ctx context.Context, to string) (netip.Addr, error) {
	conn, err := m.dial(ctx, "udp", to)
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

// dial connects from the address and interface that the router is bound to.
func (m *Mapper) dial(ctx context.Context, network, to string) (net.Conn, error) {
	d := net.Dialer{Control: m.w.Control}
	if l := m.w.Local; l.IsValid() && network == "udp" {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(l, 0))
	} else if l.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(l, 0))
	}
	return d.DialContext(ctx, network, to)
}
