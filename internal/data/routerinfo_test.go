package data_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"allium/internal/data"
	"allium/internal/signature"
	"allium/internal/wire"
)

func TestSignedRouterInfoIsReadBack(t *testing.T) {
	c := dialableContent(t)
	signed := c.sign(t)
	ri, err := data.ParseRouterInfo(signed.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := ri.Verify(); err != nil {
		t.Error(err)
	}
	if ri.Hash() != c.keys.Identity.Hash() || !ri.Published().Equal(now) || len(ri.Addresses()) != 4 {
		t.Errorf("%v, %v, %d addresses", ri.Hash(), ri.Published(), len(ri.Addresses()))
	}
	if version, ok := ri.Version(); version != 967 || !ok {
		t.Errorf("version %d, %v", version, ok)
	}
	if id, ok := ri.NetID(); id != 2 || !ok {
		t.Errorf("network %d, %v", id, ok)
	}
	if !ri.Reachable() || ri.Unreachable() || ri.Floodfill() || ri.Hidden() || ri.BandwidthClass() != 'X' || ri.Congestion() != data.NotCongested {
		t.Errorf("capabilities %q", ri.Caps())
	}
	a := ri.Addresses()[2]
	if v, ok := a.Options.Get("mtu"); a.Style != data.StyleSSU2 || a.Cost != 10 || v != "1420" || !ok || a.MTU() != 1420 || !a.Can(data.AddressIntroducer) {
		t.Errorf("%+v", a)
	}
}

func TestRouterInfoWithoutOptionsSaysNothing(t *testing.T) {
	c := &content{keys: routerKeys(t)}
	ri := c.sign(t)
	if _, ok := ri.Version(); ok {
		t.Error("version")
	}
	if _, ok := ri.NetID(); ok {
		t.Error("network")
	}
	if ri.BandwidthClass() != 0 || ri.Caps() != "" || ri.Family() != "" || ri.VerifyFamily() != nil {
		t.Error("options")
	}
}

func TestRouterInfoKeepsItsOwnBytes(t *testing.T) {
	b := bytes.Clone(dialable(t).Bytes())
	ri, err := data.ParseRouterInfo(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if err := ri.Verify(); err != nil || ri.Caps() != "XR" {
		t.Errorf("%v, %q", err, ri.Caps())
	}
}

func TestNoByteOfARouterInfoCanBeChanged(t *testing.T) {
	b := firewalled(t).Bytes()
	for i := range b {
		changed := bytes.Clone(b)
		changed[i] ^= 1
		ri, err := data.ParseRouterInfo(changed)
		if err == nil {
			err = ri.Verify()
		}
		if err == nil {
			t.Errorf("byte %d can", i)
		}
	}
}

func TestRouterInfoRejects(t *testing.T) {
	good := dialable(t).Bytes()
	const published = 391
	const addresses = published + 8
	afterAddresses := len(good) - 64 - 2 - int(binary.BigEndian.Uint16(good[len(good)-64-optionsLen(good)-2:])) - 1
	for name, c := range map[string]struct {
		spoil func(b []byte) []byte
		want  error
	}{
		"bytes after the end": {func(b []byte) []byte { return append(b, 0) }, wire.ErrTrailing},
		"a short end":         {func(b []byte) []byte { return b[:len(b)-1] }, wire.ErrShort},
		"nothing":             {func([]byte) []byte { return nil }, wire.ErrShort},
		"too many bytes":      {func([]byte) []byte { return make([]byte, data.MaxRouterInfo+1) }, data.ErrTooLong},
		"too many addresses":  {func(b []byte) []byte { b[addresses] = 17; return b }, data.ErrTooLong},
		"an expiring address": {func(b []byte) []byte { b[addresses+3] = 1; return b }, data.ErrMalformed},
		"a far date":          {func(b []byte) []byte { b[published] = 1; return b }, data.ErrMalformed},
		"peers":               {func(b []byte) []byte { b[afterAddresses] = 1; return b }, data.ErrMalformed},
	} {
		if _, err := data.ParseRouterInfo(c.spoil(bytes.Clone(good))); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// optionsLen is how long the options of a made up RouterInfo are.
func optionsLen(b []byte) int {
	ri, err := data.ParseRouterInfo(b)
	if err != nil {
		panic(err)
	}
	return ri.Options().Len() - 2
}

func TestSignRouterInfoRejects(t *testing.T) {
	keys := routerKeys(t)
	big := data.RouterAddress{Style: data.StyleNTCP2, Options: mapping(t, "a", strings.Repeat("x", 255))}
	for name, c := range map[string]struct {
		key       signature.PrivateKey
		addresses []data.RouterAddress
		want      error
	}{
		"another's key":      {routerKeys(t).Signing, nil, data.ErrKeyMismatch},
		"too many addresses": {keys.Signing, make([]data.RouterAddress, 17), data.ErrTooLong},
		"too many bytes":     {keys.Signing, slices.Repeat([]data.RouterAddress{big}, 16), data.ErrTooLong},
		"long styles":        {keys.Signing, []data.RouterAddress{{Style: strings.Repeat("x", 256)}}, data.ErrTooLong},
	} {
		if _, err := data.SignRouterInfo(c.key, keys.Identity, now, c.addresses, data.Mapping{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFamily(t *testing.T) {
	for _, kind := range []signature.Type{signature.ECDSAP256, signature.Ed25519} {
		c := dialableContent(t)
		c.options = append(c.options, data.FamilyOptions(signingKey(t, kind), "onions", c.keys.Identity.Hash())...)
		ri := c.sign(t)
		if err := ri.VerifyFamily(); err != nil || ri.Family() != "onions" {
			t.Errorf("%v: %q, %v", kind, ri.Family(), err)
		}
		c.set(-1, data.OptionFamily, "leeks")
		if err := c.sign(t).VerifyFamily(); !errors.Is(err, data.ErrSignature) {
			t.Errorf("%v: another name: %v", kind, err)
		}
		c.set(-1, data.OptionFamilyKey, "")
		if err := c.sign(t).VerifyFamily(); !errors.Is(err, data.ErrUnsupported) {
			t.Errorf("%v: no key: %v", kind, err)
		}
	}
}

func TestParseVersion(t *testing.T) {
	for s, want := range map[string]int{
		"0.9.67": 967, "0.9.5": 905, "0.9.05": 905, "0.10.0": 1000, "1.0.0": 10000, "99.99.99": 999999,
		"": -1, "0.9": -1, "0.9.67.1": -1, "0.9.": -1, "0.9.100": -1, "0.9.067": -1, "0.9.67-1": -1, "0.9.-1": -1, "0.9.+1": -1, "v0.9.67": -1, "0..9": -1,
	} {
		got, ok := data.ParseVersion(s)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %d, %v", s, got, ok)
		}
	}
}

func TestCapabilities(t *testing.T) {
	for letters, want := range map[string]data.Capabilities{
		"":      {},
		"XfR":   {Bandwidth: 'X', Floodfill: true, Reachable: true},
		"LU":    {Bandwidth: 'L', Unreachable: true},
		"NHUE":  {Bandwidth: 'N', Hidden: true, Unreachable: true, Congestion: data.HighCongestion},
		"KRD":   {Bandwidth: 'K', Reachable: true, Congestion: data.MediumCongestion},
		"OfHRG": {Bandwidth: 'O', Floodfill: true, Hidden: true, Reachable: true, Congestion: data.RejectsTunnels},
	} {
		if got := data.ParseCapabilities(letters); got != want || got.String() != letters {
			t.Errorf("%q: %+v, %q", letters, got, got)
		}
	}
	if got := data.ParseCapabilities("OPqGDz"); got.Bandwidth != 'P' || got.Congestion != data.RejectsTunnels {
		t.Errorf("%+v", got)
	}
	for shared, want := range map[int]byte{0: 'K', 11_999: 'K', 12_000: 'L', 128_000: 'O', 1_999_999: 'P', 2_000_000: 'X'} {
		if got := data.BandwidthClass(shared); got != want {
			t.Errorf("%d: %c", shared, got)
		}
	}
}

func FuzzRouterInfo(f *testing.F) {
	f.Add(dialable(f).Bytes())
	f.Add(firewalled(f).Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		ri, err := data.ParseRouterInfo(b)
		if err != nil {
			return
		}
		again, err := data.AppendRouterInfo(nil, ri.Identity(), ri.Published(), ri.Addresses(), ri.Options())
		if err != nil || !bytes.Equal(append(again, ri.Signature()...), b) {
			t.Errorf("%x became %x, %v", b, again, err)
		}
		for _, a := range ri.Addresses() {
			a.AddrPort()
			a.Families()
			a.StaticKey()
			a.IV()
			a.IntroKey()
			a.Introducers()
			a.MTU()
		}
		if ri.Lint() == nil && ri.Verify() != nil {
			t.Error("fit without a signature")
		}
	})
}

func BenchmarkRouterInfoParse(b *testing.B) {
	raw := dialable(b).Bytes()
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := data.ParseRouterInfo(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRouterInfoVerify(b *testing.B) {
	ri := dialable(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := ri.Verify(); err != nil {
			b.Fatal(err)
		}
	}
}

func TestParsingARouterInfoAllocatesLittle(t *testing.T) {
	raw := dialable(t).Bytes()
	if n := testing.AllocsPerRun(100, func() { _, _ = data.ParseRouterInfo(raw) }); n > 3 {
		t.Errorf("%v allocations", n)
	}
	ri := dialable(t)
	if n := testing.AllocsPerRun(100, func() {
		ri.Version()
		ri.NetID()
		ri.Floodfill()
		ri.BandwidthClass()
		ri.Hash()
		ri.Addresses()[0].StaticKey()
	}); n != 0 {
		t.Errorf("%v allocations by what is asked often", n)
	}
}
