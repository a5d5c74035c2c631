package allium

import (
	"context"
	"net"

	"allium/internal/data"
	"allium/internal/datagram"
	"allium/internal/destination"
	"allium/internal/host"
	"allium/internal/setting"
)

// packetNetworks are the kinds of datagrams by the names ListenPacket takes.
var packetNetworks = map[string]datagram.Protocol{
	"i2p":       datagram.Datagram1,
	"udp":       datagram.Datagram1,
	"datagram1": datagram.Datagram1,
	"datagram2": datagram.Datagram2,
	"datagram3": datagram.Datagram3,
	"raw":       datagram.Raw,
}

// ListenPacket receives and sends datagrams at a port of the session: ":53",
// or ":0" for those that no other port takes. network is their kind:
//
//   - "i2p" or "datagram1": signed and carrying their sender, understood by all
//     routers; "udp" is taken for it;
//   - "datagram2": signed, and bound to the one they are sent to;
//   - "datagram3": carrying their sender, unsigned;
//   - "raw": nothing but the payload.
//
// Addresses are of type Addr; see ResolveAddr. A datagram to a Destination
// that is not known yet waits, with some others, until it is found or not.
func (s *Session) ListenPacket(network, address string) (net.PacketConn, error) {
	kind, ok := packetNetworks[network]
	if !ok {
		return nil, net.UnknownNetworkError(network)
	}
	_, port, err := splitPort(address)
	if err != nil {
		return nil, err
	}
	c, err := s.packets.ListenPacket(kind, port)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ResolveAddr finds the address of host:port without asking the network. It
// fails with ErrNameUnknown.
func (r *Router) ResolveAddr(address string) (Addr, error) {
	hostname, port, err := splitPort(address)
	if err != nil {
		return Addr{}, err
	}
	h, err := r.resolve(hostname)
	return Addr{Hash: h, Port: port}, err
}

// Find makes sure that a Destination can be sent to: it waits for the session's
// tunnels and looks the Destination up. Dialling does so by itself; before the
// first datagram it saves a loss.
func (s *Session) Find(ctx context.Context, address string) (Addr, error) {
	a, err := s.r.ResolveAddr(address)
	if err != nil {
		return Addr{}, err
	}
	return a, s.find(ctx, a.Hash)
}

// newPackets makes the datagrams of a session.
func newPackets(s *Session) *datagram.Datagrams {
	var cfg datagram.Config
	setting.Defaults(&cfg)
	local := datagram.Local{Destination: s.keys.Destination, Key: s.keys.Signing}
	if s.keys.Offline != nil {
		local.Offline = s.keys.Offline.Append(nil)
	}
	return datagram.New(cfg, s.r.host, local, s.sendPacket, func(h data.Hash, port uint16) datagram.Addr {
		return Addr{Hash: h, Port: port}
	})
}

func (s *Session) sendPacket(r *host.Round, to data.Hash, protocol uint8, fromPort, toPort uint16, payload []byte) error {
	return s.d.Send(r, to, destination.Message{
		Protocol: protocol, FromPort: fromPort, ToPort: toPort, Payload: payload,
	})
}
