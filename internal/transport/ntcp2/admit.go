package ntcp2

import (
	"fmt"
	"net/netip"
	"time"

	"allium/internal/data"
	"allium/internal/transport/block"
	"allium/internal/x25519"
)

// maxAge is how old the RouterInfo in message 3 may be. Who dials has a fresh
// one, so it takes much less than elsewhere.
const maxAge = 90 * time.Minute

// admit checks the RouterInfo of message 3 against the rules of the network,
// and that it belongs to who sent it: static is the key he has proved, remote
// where he connects from. Its errors wrap a *Termination with the reason.
func admit(now time.Time, raw []byte, static x25519.PublicKey, remote netip.AddrPort, self *Local) (*data.RouterInfo, error) {
	ri, err := data.ParseRouterInfo(raw)
	if err != nil {
		return nil, refusal(block.SessionConfirmedError, "RouterInfo", err)
	}
	if id, ok := ri.NetID(); !ok || id != int(self.NetID) {
		return nil, refusal(block.SessionConfirmedError, "RouterInfo", ErrNetwork)
	}
	if !hasStatic(ri, static) {
		return nil, refusal(block.BadStaticKey, "RouterInfo", fmt.Errorf("%w: another static key", ErrHandshake))
	}
	if err := ri.Verify(); err != nil {
		return nil, refusal(block.BadRouterInfoSignature, "RouterInfo", err)
	}
	if ri.Hash() == self.Hash {
		return nil, refusal(block.SessionConfirmedError, "RouterInfo", fmt.Errorf("%w: our own", ErrHandshake))
	}
	age := now.Sub(ri.Published())
	if age > maxAge || -age > data.RouterInfoMaxFuture {
		return nil, refusal(block.SessionConfirmedError, "RouterInfo", fmt.Errorf("%w: %v old", ErrHandshake, age))
	}
	if !comesFrom(ri, remote.Addr()) {
		return nil, refusal(block.Banned, "RouterInfo", fmt.Errorf("%w: not published at %v", ErrHandshake, remote.Addr()))
	}
	return ri, nil
}

// hasStatic reports whether one of the NTCP2 addresses has the key.
func hasStatic(ri *data.RouterInfo, static x25519.PublicKey) bool {
	for _, a := range ri.Addresses() {
		if key, ok := a.StaticKey(); ok && key == static && isNTCP2(a) {
			return true
		}
	}
	return false
}

// comesFrom reports whether a router that connects from an address publishes
// it, or publishes none of that family. Of IPv6 the network is enough, because
// hosts change the rest at will.
func comesFrom(ri *data.RouterInfo, from netip.Addr) bool {
	free := true
	for _, a := range ri.Addresses() {
		host, ok := a.Host()
		if !ok || !isNTCP2(a) || host.Is4() != from.Is4() {
			continue
		}
		free = false
		site, err := host.Prefix(siteBits)
		if host == from || err == nil && host.Is6() && site.Contains(from) {
			return true
		}
	}
	return free
}
