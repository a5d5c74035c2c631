package data_test

import (
	"net/netip"
	"testing"
	"time"

	"allium/internal/data"
)

func address(tb testing.TB, style string, options ...string) data.RouterAddress {
	tb.Helper()
	return data.RouterAddress{Style: style, Options: mapping(tb, options...)}
}

func TestAddressHostsAreIPAddresses(t *testing.T) {
	for host, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "2001:db8::1": "2001:db8::1", "2001:db8:0:0:0:0:0:1": "2001:db8::1",
		"::ffff:192.0.2.7": "192.0.2.7", "0.0.0.0": "", "::": "", "": "", "example.i2p": "", "fe80::1%eth0": "", "192.0.2.07": "",
	} {
		ip, ok := address(t, data.StyleNTCP2, "host", host).Host()
		if ok != (want != "") || ok && ip != netip.MustParseAddr(want) {
			t.Errorf("%q: %v, %v", host, ip, ok)
		}
	}
}

func TestAddressPorts(t *testing.T) {
	for port, want := range map[string]uint16{"1": 1, "65535": 65535, "65536": 0, "-1": 0, "": 0, "http": 0, "0": 0, "+80": 0} {
		a := address(t, data.StyleSSU2, "host", "192.0.2.7", "port", port)
		if got := a.Port(); got != want {
			t.Errorf("%q: %d", port, got)
		}
		if _, ok := a.AddrPort(); ok != (want != 0) {
			t.Errorf("%q: %v", port, ok)
		}
	}
}

func TestAddressKeys(t *testing.T) {
	high := data.EncodeBase64(append(make([]byte, 31), 0x80))
	for s, want := range map[string]bool{key32(1): true, high: false, key16(1): false, "": false, key32(1)[:43]: false, "\n" + key32(1)[1:]: false} {
		if _, ok := address(t, data.StyleNTCP2, "s", s).StaticKey(); ok != want {
			t.Errorf("s=%q: %v", s, ok)
		}
	}
	for i, want := range map[string][2]bool{key16(1): {true, false}, key32(1): {false, true}, high: {false, true}, "": {false, false}} {
		a := address(t, data.StyleNTCP2, "i", i)
		_, iv := a.IV()
		_, intro := a.IntroKey()
		if got := [2]bool{iv, intro}; got != want {
			t.Errorf("i=%q: %v", i, got)
		}
	}
}

func TestAddressFamilies(t *testing.T) {
	for name, c := range map[string]struct {
		a      data.RouterAddress
		v4, v6 bool
	}{
		"IPv4 host":          {address(t, data.StyleSSU2, "host", "192.0.2.7", "caps", "B6"), true, false},
		"IPv6 host":          {address(t, data.StyleSSU2, "host", "2001:db8::1"), false, true},
		"Yggdrasil host":     {address(t, data.StyleNTCP2, "host", "201:5d78::1"), false, false},
		"both caps":          {address(t, data.StyleSSU2, "caps", "46"), true, true},
		"IPv6 caps":          {address(t, data.StyleNTCP2, "caps", "6"), false, true},
		"NTCP2 without caps": {address(t, data.StyleNTCP2), true, false},
		"SSU2 without caps":  {address(t, data.StyleSSU2), false, false},
	} {
		if v4, v6 := c.a.Families(); v4 != c.v4 || v6 != c.v6 {
			t.Errorf("%s: %v, %v", name, v4, v6)
		}
	}
}

func TestAddressVersions(t *testing.T) {
	for v, want := range map[string]bool{"2": true, "2,3": true, "3,2": true, "3": false, "22": false, "": false} {
		if got := address(t, data.StyleNTCP2, "v", v).SpeaksV2(); got != want {
			t.Errorf("v=%q: %v", v, got)
		}
	}
}

func TestIntroducers(t *testing.T) {
	end := time.Unix(1_800_000_000, 0).UTC()
	var all []data.Introducer
	for i := range 4 {
		all = append(all, data.Introducer{Router: data.HashOf([]byte{byte(i)}), Tag: uint32(i + 1), Expires: end})
	}
	a, err := data.NewRouterAddress(8, data.StyleSSU2, data.IntroducerOptions(all)...)
	if err != nil {
		t.Fatal(err)
	}
	got := a.Introducers()
	if len(got) != 3 { // of our own we publish no more
		t.Fatalf("%d introducers", len(got))
	}
	for i := range got {
		if got[i] != all[i] {
			t.Errorf("%d: %+v", i, got[i])
		}
	}
	a = address(t, data.StyleSSU2, "ih0", key32(1), "itag1", "5", "ih2", "x", "itag2", "7", "ih9", key32(3), "itag9", "9")
	got = a.Introducers()
	if len(got) != 1 || got[0].Tag != 9 || !got[0].Expires.IsZero() {
		t.Errorf("%+v", got)
	}
}

func TestRoutable(t *testing.T) {
	for addr, want := range map[string]bool{
		"198.41.0.4": true, "2a01:4f8::1": true, "9.255.255.255": true, "11.0.0.0": true, "172.32.0.1": true, "223.255.255.255": true,
		"10.1.2.3": false, "127.0.0.1": false, "100.64.0.1": false, "172.31.0.1": false, "192.168.1.1": false, "198.18.1.1": false, "224.0.0.1": false,
		"255.255.255.255": false, "0.1.2.3": false, "::1": false, "fe80::1": false, "fd00::1": false, "2001:db8::1": false, "2002::1": false,
		"200:1::1": false, "ff02::1": false, "::ffff:8.8.8.8": false,
	} {
		if got := data.Routable(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	if data.Routable(netip.Addr{}) {
		t.Error("no address is routable")
	}
}

func TestPublishablePort(t *testing.T) {
	for port, want := range map[uint16]bool{
		0: false, 80: false, 1023: false, 1024: true, 4443: true, 4444: false, 4445: false, 4446: true, 7649: true, 7650: false,
		7660: false, 7668: false, 7669: true, 8080: false, 9151: true, 30777: true, 65535: true,
	} {
		if got := data.PublishablePort(port); got != want {
			t.Errorf("%d: %v", port, got)
		}
	}
}
