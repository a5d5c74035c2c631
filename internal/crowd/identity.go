package crowd

import (
	"net/netip"
	"strconv"
	"time"

	"allium/internal/data"
	"allium/internal/random"
	"allium/internal/transport/ntcp2"
	"allium/internal/x25519"
)

// identity is the keys of a router that is none of ours.
type identity struct {
	keys   *data.RouterKeys
	local  ntcp2.Local
	caps   string
	at     netip.AddrPort
	signed *data.RouterInfo
}

// identity makes keys until their hash fits, if that is asked for.
func (n *Network) identity(at netip.AddrPort, caps string, fits func(h data.Hash) bool) *identity {
	n.TB.Helper()
	keys, err := data.GenerateRouterKeys()
	for err == nil && fits != nil && !fits(keys.Identity.Hash()) {
		keys, err = data.GenerateRouterKeys()
	}
	if err != nil {
		n.TB.Fatal(err)
	}
	id := &identity{keys: keys, caps: caps, at: at}
	id.local = ntcp2.Local{
		Hash: keys.Identity.Hash(), Static: x25519.Generate(), NetID: netID,
		RouterInfo: id.info,
	}
	random.Fill(id.local.IV[:])
	return id
}

// resignAfter is the age at which its RouterInfo is signed anew.
const resignAfter = 30 * time.Minute

// info is its RouterInfo, fresh at now.
func (id *identity) info(now time.Time) *data.RouterInfo {
	if id.signed == nil || now.Sub(id.signed.Published()) > resignAfter {
		id.signed = id.sign(now)
	}
	return id.signed
}

func (id *identity) sign(now time.Time) *data.RouterInfo {
	address, err := data.NewRouterAddress(3, data.StyleNTCP2,
		data.Pair{Key: "host", Value: id.at.Addr().String()},
		data.Pair{Key: "port", Value: strconv.Itoa(int(id.at.Port()))},
		data.Pair{Key: "i", Value: data.EncodeBase64(id.local.IV[:])},
		data.Pair{Key: "s", Value: data.EncodeBase64(id.local.Static.Public[:])},
		data.Pair{Key: "v", Value: "2"})
	if err != nil {
		panic(err)
	}
	options, err := data.NewMapping(
		data.Pair{Key: data.OptionCaps, Value: id.caps},
		data.Pair{Key: data.OptionNetID, Value: strconv.Itoa(netID)},
		data.Pair{Key: data.OptionVersion, Value: data.RouterVersion})
	if err != nil {
		panic(err)
	}
	ri, err := data.SignRouterInfo(id.keys.Signing, id.keys.Identity, now, []data.RouterAddress{address}, options)
	if err != nil {
		panic(err)
	}
	return ri
}

// Ghost adds the RouterInfo of a router that is no more.
func (n *Network) Ghost(caps string) *data.RouterInfo {
	n.TB.Helper()
	at := netip.AddrPortFrom(netip.MustParseAddr(n.address()), port)
	ri := n.identity(at, caps, nil).info(n.World.Now())
	n.Ghosts = append(n.Ghosts, ri)
	return ri
}
