package ntcp2

import (
	"fmt"
	"net/netip"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/x25519"
)

// Dial connects to a router at the address to, which its RouterInfo must
// publish, from the local address, or any when that is the zero Addr. Peers
// refuse a connection that does not come from where our RouterInfo says.
// c is whom it serves: our own handshakes go before those for others.
// What is sent meanwhile waits. The handler hears of it with Established or
// with Closed. It fails with ErrNoAddress.
func (e *Endpoint) Dial(_ *host.Round, local netip.Addr, to netip.AddrPort, ri *data.RouterInfo, c bandwidth.Class) (*Session, error) {
	static, iv, ok := published(ri, to)
	if !ok {
		return nil, fmt.Errorf("ntcp2: dial: %w: %v", ErrNoAddress, to)
	}
	s := &Session{
		e:       e,
		remote:  to,
		class:   c,
		peer:    ri.Hash(),
		ri:      ri,
		machine: newInitiator(&e.local, e.replays, ri, static, iv),
	}
	s.place.Enter(link{s})
	// The connection may stand before DialTCP returns: Opened waits for the
	// lock.
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stream = e.host.DialTCP(local, to, link{s})
	return s, nil
}

// isNTCP2 reports whether an address is one of NTCP2 in the version we speak,
// published or not.
func isNTCP2(a data.RouterAddress) bool { return a.Style == data.StyleNTCP2 && a.SpeaksV2() }

// published finds what a handshake with the router at an address needs.
func published(ri *data.RouterInfo, to netip.AddrPort) (static x25519.PublicKey, iv [16]byte, ok bool) {
	for _, a := range ri.Addresses() {
		if at, ok := a.AddrPort(); !ok || at != to || !isNTCP2(a) {
			continue
		}
		static, hasStatic := a.StaticKey()
		iv, hasIV := a.IV()
		if hasStatic && hasIV {
			return static, iv, true
		}
	}
	return static, iv, false
}
