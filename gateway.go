package allium

import (
	"net/netip"
	"time"

	"allium/internal/host"
	"allium/internal/portmap"
	"allium/internal/random"
	"allium/internal/store"
)

// PortMappingConfig is whether a gateway is asked to pass our port on.
type PortMappingConfig = portmap.Config

// mapPort begins to ask the gateway of the local network for our port, if that
// is wanted.
func (r *Router) mapPort() error {
	s := &r.cfg.Settings
	listens, ok := s.listensIPv4()
	if !ok || !s.mapsPort() {
		return nil
	}
	nonce, err := portNonce(r.store)
	if err != nil {
		return err
	}
	w := portmap.Wiring{
		Port:       listens.Port(),
		Protocols:  []portmap.Protocol{portmap.TCP},
		Nonce:      nonce,
		AnyAddress: s.Private,
		Mapped: func(_ portmap.Protocol, local, external netip.AddrPort) {
			r.host.Do(func(round *host.Round) { r.rt.Mapped(round, local, external) })
		},
		Log: r.log,
	}
	if !listens.Addr().IsUnspecified() {
		w.Local = listens.Addr()
	}
	if len(s.Bind) > 0 {
		bound, err := host.ParseBinding(s.Bind)
		if err != nil {
			return err
		}
		if w.Local, err = bound.Source(netip.IPv4Unspecified()); err != nil {
			return nil // IPv4 is not used
		}
		w.Control = bound.Control
	}
	r.ports = portmap.Start(s.PortMapping, w)
	return nil
}

// askGateway has the gateway asked again soon.
func (r *Router) askGateway() {
	if r.ports != nil {
		r.ports.Check()
	}
}

// listensIPv4 is the first IPv4 address with a port that the router listens on.
func (s *Settings) listensIPv4() (netip.AddrPort, bool) {
	for _, at := range s.Listen {
		if at.Addr().Is4() && at.Port() != 0 {
			return at, true
		}
	}
	return netip.AddrPort{}, false
}

// mapsPort tells whether a gateway is to be asked: if that is said, or if the
// router is to be found in the public network and nobody said where.
func (s *Settings) mapsPort() bool {
	switch s.PortMapping.Enabled {
	case "on":
		return true
	case "off":
		return false
	}
	for _, h := range s.Hosts {
		if h.Is4() {
			return false
		}
	}
	return s.Publish && !s.Hidden && !s.ownNetwork()
}

// portNonce is the router's name for gateways: drawn once and kept, so that it
// may change its mappings after a restart.
func portNonce(s store.Store) (n portmap.Nonce, err error) {
	b, err := s.Bucket("settings")
	if err != nil {
		return n, err
	}
	key := []byte("pcp-nonce")
	value, found, err := b.Get(key)
	if err != nil {
		return n, err
	}
	if found && len(value) == len(n) {
		return portmap.Nonce(value), nil
	}
	random.Fill(n[:])
	return n, b.Put(key, n[:])
}

// PortMapping is what gateways do for us.
type PortMapping struct {
	Ports []MappedPort `json:"ports"`
	// Tried is how the last search for a gateway went, in its order, and when.
	Tried []GatewayTried `json:"tried"`
	At    time.Time      `json:"at"`
}

// MappedPort is a port that a gateway passes on.
type MappedPort struct {
	Protocol string         `json:"protocol"`
	Local    netip.AddrPort `json:"local"`
	External netip.AddrPort `json:"external"`
	Method   string         `json:"method"`
}

// GatewayTried is a gateway that was asked in one of its languages. Error is
// empty for the one that passes our port on.
type GatewayTried struct {
	Method string `json:"method"`
	Error  string `json:"error"`
}

// portStatus tells how it is.
func (r *Router) portStatus() PortMapping {
	all := PortMapping{Ports: []MappedPort{}, Tried: []GatewayTried{}}
	if r.ports == nil {
		return all
	}
	s := r.ports.Status()
	all.At = s.At
	for _, p := range s.Ports {
		all.Ports = append(all.Ports, MappedPort{p.Protocol.String(), p.Local, p.External, p.Method})
	}
	for _, a := range s.Tried {
		tried := GatewayTried{Method: a.Method}
		if a.Err != nil {
			tried.Error = a.Err.Error()
		}
		all.Tried = append(all.Tried, tried)
	}
	return all
}
