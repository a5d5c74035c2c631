package data_test

import (
	"strconv"
	"testing"
	"time"

	"allium/internal/data"
)

// now is the time of all that is made up.
var now = time.Date(2026, 11, 23, 21, 30, 15, 123_000_000, time.UTC)

// content is what a made up RouterInfo is made of, to be spoiled.
type content struct {
	keys      *data.RouterKeys
	addresses [][]data.Pair
	styles    []string
	options   []data.Pair
}

func (c *content) sign(tb testing.TB) *data.RouterInfo {
	tb.Helper()
	var addresses []data.RouterAddress
	for i, options := range c.addresses {
		a, err := data.NewRouterAddress(10, c.styles[i], options...)
		if err != nil {
			tb.Fatal(err)
		}
		addresses = append(addresses, a)
	}
	options, err := data.NewMapping(c.options...)
	if err != nil {
		tb.Fatal(err)
	}
	ri, err := data.SignRouterInfo(c.keys.Signing, c.keys.Identity, now, addresses, options)
	if err != nil {
		tb.Fatal(err)
	}
	return ri
}

// set changes an option of the i-th address, or of the router with i = -1;
// "" takes it away.
func (c *content) set(i int, key, value string) {
	list := &c.options
	if i >= 0 {
		list = &c.addresses[i]
	}
	var left []data.Pair
	for _, p := range *list {
		if p.Key != key {
			left = append(left, p)
		}
	}
	if value != "" {
		left = append(left, data.Pair{Key: key, Value: value})
	}
	*list = left
}

func routerKeys(tb testing.TB) *data.RouterKeys {
	tb.Helper()
	keys, err := data.GenerateRouterKeys()
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

// key32 and key16 are option values of 32 and 16 bytes. The top bit of the
// last byte is clear.
func key32(seed byte) string {
	h := data.HashOf([]byte{seed})
	h[31] &= 0x7F
	return h.String()
}

func key16(seed byte) string {
	h := data.HashOf([]byte{seed})
	return data.EncodeBase64(h[:16])
}

func routerOptions(caps string) []data.Pair {
	return []data.Pair{
		{Key: data.OptionVersion, Value: data.RouterVersion},
		{Key: data.OptionCaps, Value: caps},
		{Key: data.OptionNetID, Value: strconv.Itoa(data.MainNet)},
	}
}

// dialableContent is a router with both transports at IPv4 and IPv6.
func dialableContent(tb testing.TB) *content {
	tb.Helper()
	c := &content{
		keys:    routerKeys(tb),
		styles:  []string{data.StyleNTCP2, data.StyleNTCP2, data.StyleSSU2, data.StyleSSU2},
		options: routerOptions("XR"),
	}
	for _, host := range []string{"198.41.0.4", "2a01:4f8::17"} {
		c.addresses = append(c.addresses, []data.Pair{
			{Key: "host", Value: host}, {Key: "port", Value: "12345"},
			{Key: "s", Value: key32(1)}, {Key: "i", Value: key16(2)}, {Key: "v", Value: "2"},
		})
	}
	for _, host := range []string{"198.41.0.4", "2a01:4f8::17"} {
		c.addresses = append(c.addresses, []data.Pair{
			{Key: "host", Value: host}, {Key: "port", Value: "12345"}, {Key: "caps", Value: "BC"},
			{Key: "s", Value: key32(3)}, {Key: "i", Value: key32(4)}, {Key: "v", Value: "2"}, {Key: "mtu", Value: "1420"},
		})
	}
	return c
}

// firewalledContent is a router behind IPv4 that three others introduce.
func firewalledContent(tb testing.TB) *content {
	tb.Helper()
	var introducers []data.Introducer
	for i := range 3 {
		introducers = append(introducers, data.Introducer{
			Router: data.HashOf([]byte{byte(i)}), Tag: uint32(1000 + i), Expires: now.Add(time.Hour).Truncate(time.Second),
		})
	}
	ssu2 := []data.Pair{
		{Key: "caps", Value: "4"}, {Key: "s", Value: key32(3)}, {Key: "i", Value: key32(4)}, {Key: "v", Value: "2"},
	}
	return &content{
		keys:   routerKeys(tb),
		styles: []string{data.StyleNTCP2, data.StyleSSU2},
		addresses: [][]data.Pair{
			{{Key: "caps", Value: "4"}, {Key: "s", Value: key32(1)}, {Key: "v", Value: "2"}},
			append(ssu2, data.IntroducerOptions(introducers)...),
		},
		options: routerOptions("LU"),
	}
}

func dialable(tb testing.TB) *data.RouterInfo { tb.Helper(); return dialableContent(tb).sign(tb) }

func firewalled(tb testing.TB) *data.RouterInfo { tb.Helper(); return firewalledContent(tb).sign(tb) }
