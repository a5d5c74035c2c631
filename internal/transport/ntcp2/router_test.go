package ntcp2_test

import (
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/random"
	"allium/internal/setting"
	"allium/internal/signature"
	"allium/internal/transport/ntcp2"
	"allium/internal/x25519"
)

const netID = 99

// router is what a test needs of a router.
type router struct {
	ntcp2.Local
	addr netip.AddrPort
	at   func(now time.Time, addr netip.AddrPort) *data.RouterInfo // as if it were published there

	mu   sync.Mutex
	info *data.RouterInfo // of the last call
}

// newRouter makes a router that publishes an NTCP2 address, or with the zero
// AddrPort one that cannot be dialled.
func newRouter(tb testing.TB, addr netip.AddrPort, id uint8) *router {
	tb.Helper()
	key, err := signature.Generate(signature.Ed25519)
	must(tb, err)
	identity, err := data.NewRouterIdentity(key, x25519.Generate().Public)
	must(tb, err)
	r := &router{addr: addr}
	r.Static = x25519.Generate()
	random.Fill(r.IV[:])
	r.Hash = identity.Hash()
	r.NetID = id

	options, err := data.NewMapping(
		data.Pair{Key: "netId", Value: strconv.Itoa(int(id))},
		data.Pair{Key: "router.version", Value: data.RouterVersion},
		data.Pair{Key: "caps", Value: "XR"},
	)
	must(tb, err)
	r.at = func(now time.Time, addr netip.AddrPort) *data.RouterInfo {
		ntcp := []data.Pair{
			{Key: "s", Value: data.EncodeBase64(r.Static.Public[:])},
			{Key: "v", Value: "2"},
		}
		if addr.IsValid() {
			ntcp = append(ntcp,
				data.Pair{Key: "host", Value: addr.Addr().String()},
				data.Pair{Key: "port", Value: strconv.Itoa(int(addr.Port()))},
				data.Pair{Key: "i", Value: data.EncodeBase64(r.IV[:])})
		}
		address, err := data.NewRouterAddress(3, data.StyleNTCP2, ntcp...)
		must(tb, err)
		ri, err := data.SignRouterInfo(key, identity, now, []data.RouterAddress{address}, options)
		must(tb, err)
		return ri
	}
	r.RouterInfo = func(now time.Time) *data.RouterInfo {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.info == nil || now.Sub(r.info.Published()) > 20*time.Minute {
			r.info = r.at(now, addr)
		}
		return r.info
	}
	return r
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// config is the default one.
func config() ntcp2.Config {
	var c ntcp2.Config
	setting.Defaults(&c)
	return c
}
