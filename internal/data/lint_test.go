package data_test

import (
	"errors"
	"strings"
	"testing"

	"allium/internal/data"
	"allium/internal/signature"
)

func TestLintPassesWhatAllRoutersTake(t *testing.T) {
	family := dialableContent(t)
	family.options = append(family.options, data.FamilyOptions(signingKey(t, signature.ECDSAP256), "onions", family.keys.Identity.Hash())...)
	testnet := dialableContent(t)
	testnet.set(-1, data.OptionNetID, "99")
	testnet.set(0, "host", "198.18.1.1")
	floodfill := dialableContent(t)
	floodfill.set(-1, data.OptionCaps, "XfRD")
	floodfill.set(-1, data.OptionKnownRouters, "1000")
	unknown := firewalledContent(t)
	unknown.set(-1, data.OptionCaps, "N")
	for name, c := range map[string]*content{
		"dialable": dialableContent(t), "firewalled": firewalledContent(t), "family": family,
		"testnet": testnet, "floodfill": floodfill, "not knowing yet": unknown,
	} {
		if err := c.sign(t).Lint(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLintFindsWhatSomeRouterRefuses(t *testing.T) {
	type change struct {
		address    int // -1 is the router itself
		key, value string
	}
	for name, c := range map[string]struct {
		from   func(testing.TB) *content
		change change
		want   string
	}{
		"no network":             {dialableContent, change{-1, data.OptionNetID, ""}, "netId"},
		"an old network":         {dialableContent, change{-1, data.OptionNetID, "1"}, "netId"},
		"a network with zeros":   {dialableContent, change{-1, data.OptionNetID, "02"}, "netId"},
		"no version":             {dialableContent, change{-1, data.OptionVersion, ""}, "version"},
		"an old version":         {dialableContent, change{-1, data.OptionVersion, "0.9.57"}, "version"},
		"a version of one digit": {dialableContent, change{-1, data.OptionVersion, "0.9.7"}, "version"},
		"a version of ours":      {dialableContent, change{-1, data.OptionVersion, "1.0.0"}, "version"},
		"no capabilities":        {dialableContent, change{-1, data.OptionCaps, ""}, "bandwidth"},
		"no bandwidth":           {dialableContent, change{-1, data.OptionCaps, "R"}, "bandwidth"},
		"capabilities unordered": {dialableContent, change{-1, data.OptionCaps, "fXR"}, "capabilities"},
		"unknown capabilities":   {dialableContent, change{-1, data.OptionCaps, "XRz"}, "capabilities"},
		"both R and U":           {dialableContent, change{-1, data.OptionCaps, "XRU"}, "reachable and unreachable"},
		"U with a host":          {dialableContent, change{-1, data.OptionCaps, "XU"}, "with a host"},
		"R without a host":       {firewalledContent, change{-1, data.OptionCaps, "XR"}, "without a host"},
		"f with U":               {firewalledContent, change{-1, data.OptionCaps, "XfU"}, "floodfill"},
		"a family unsigned":      {dialableContent, change{-1, data.OptionFamily, "x"}, "family"},
		"keys without family":    {dialableContent, change{-1, data.OptionFamilyKey, "7:"}, "family"},
		"letters beyond ASCII":   {dialableContent, change{-1, "stat_ü", "1"}, "plain text"},
		"a list of versions":     {dialableContent, change{0, "v", "2,3"}, "version"},
		"a static key too high":  {dialableContent, change{0, "s", strings.Repeat("~", 42) + "8="}, "static key"},
		"no static key":          {dialableContent, change{0, "s", ""}, "static key"},
		"two static keys":        {dialableContent, change{1, "s", key32(9)}, "another static key"},
		"two intro keys":         {dialableContent, change{3, "i", key32(9)}, "another i"},
		"a name for a host":      {dialableContent, change{0, "host", "example.org"}, "host"},
		"a host written long":    {dialableContent, change{1, "host", "2a01:4f8:0:0:0:0:0:17"}, "host"},
		"a private host":         {dialableContent, change{0, "host", "192.168.1.1"}, "not public"},
		"two hosts of a family":  {dialableContent, change{1, "host", "198.41.0.5"}, "a second NTCP2 IPv4"},
		"no port":                {dialableContent, change{0, "port", ""}, "port"},
		"a port of others":       {dialableContent, change{0, "port", "4444"}, "port"},
		"a low port":             {dialableContent, change{0, "port", "443"}, "port"},
		"a port without host":    {firewalledContent, change{0, "port", "12345"}, "port"},
		"a long iv":              {dialableContent, change{0, "i", key32(2)}, "i missing"},
		"an iv without host":     {firewalledContent, change{0, "i", key16(2)}, "i missing"},
		"no iv":                  {dialableContent, change{0, "i", ""}, "i missing"},
		"no intro key":           {firewalledContent, change{1, "i", ""}, "i missing"},
		"no families":            {firewalledContent, change{1, "caps", ""}, "neither"},
		"unknown address caps":   {dialableContent, change{2, "caps", "BX"}, "caps"},
		"doubled address caps":   {dialableContent, change{2, "caps", "BB"}, "caps"},
		"a small mtu":            {dialableContent, change{2, "mtu", "1279"}, "mtu"},
		"a mtu for NTCP2":        {dialableContent, change{0, "mtu", "1400"}, "option"},
		"unknown options":        {dialableContent, change{0, "index", "1"}, "option"},
		"half an introducer":     {firewalledContent, change{1, "itag2", ""}, "ih2"},
		"timeless introducers":   {firewalledContent, change{1, "iexp1", ""}, "iexp1"},
		"introducers of a host":  {dialableContent, change{2, "itag0", "1"}, "itag0"},
	} {
		content := c.from(t)
		content.set(c.change.address, c.change.key, c.change.value)
		err := content.sign(t).Lint()
		if !errors.Is(err, data.ErrLint) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLintFindsWhatIsWrongAsAWhole(t *testing.T) {
	naked := &content{keys: routerKeys(t), options: routerOptions("L")}
	long := dialableContent(t)
	for i := range 12 {
		long.set(-1, "stat_"+strings.Repeat("x", i), strings.Repeat("y", 200))
	}
	otherStyle := dialableContent(t)
	otherStyle.styles[1] = "SSU"
	for name, c := range map[string]struct {
		content *content
		want    string
	}{
		"no addresses":  {naked, "no addresses"},
		"too long":      {long, "bytes"},
		"unknown style": {otherStyle, "style"},
	} {
		if err := c.content.sign(t).Lint(); !errors.Is(err, data.ErrLint) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := append([]byte(nil), dialable(t).Bytes()...)
	b[len(b)-1] ^= 1
	ri, err := data.ParseRouterInfo(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := ri.Lint(); !errors.Is(err, data.ErrLint) || !strings.Contains(err.Error(), "signature") {
		t.Errorf("signature: %v", err)
	}
}
