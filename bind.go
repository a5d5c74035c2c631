package allium

import (
	"context"
	"net"
	"strings"
	"syscall"

	"allium/internal/host"
)

// Dialer connects to servers outside I2P from where the settings have us: the
// interface or address bound to, or else the first address that is listened
// on. Names are asked for from there as well. When the binding cannot be kept
// to, nothing is connected.
func (s *Settings) Dialer() *net.Dialer {
	bound, err := host.ParseBinding(s.Bind)
	switch {
	case err != nil:
		return &net.Dialer{Control: func(string, string, syscall.RawConn) error { return err }}
	case bound.Bound():
		d := bound.Dialer()
		return &d
	}
	udp := s.udpDialer()
	local, ok := udp.LocalAddr.(*net.UDPAddr)
	if !ok {
		return &net.Dialer{}
	}
	from := &net.TCPAddr{IP: local.IP, Zone: local.Zone}
	ask := func(ctx context.Context, network, address string) (net.Conn, error) {
		d := udp
		if strings.HasPrefix(network, "tcp") {
			d.LocalAddr = from
		}
		return d.DialContext(ctx, network, address)
	}
	return &net.Dialer{LocalAddr: from, Resolver: &net.Resolver{PreferGo: true, Dial: ask}}
}

// timeDialer is the same for time servers.
func (s *Settings) timeDialer() net.Dialer {
	if len(s.Bind) > 0 {
		return *s.Dialer()
	}
	return s.udpDialer()
}

// udpDialer sends from the first address that the settings name, if any.
func (s *Settings) udpDialer() net.Dialer {
	var d net.Dialer
	for _, at := range s.Listen {
		if a := at.Addr(); !a.IsUnspecified() && !a.IsLoopback() {
			d.LocalAddr = &net.UDPAddr{IP: a.AsSlice(), Zone: a.Zone()}
			break
		}
	}
	return d
}
