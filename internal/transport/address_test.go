package transport_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/setting"
	"allium/internal/sim"
	"allium/internal/transport"
)

// addressesOf starts a transport and says in short what it publishes.
func addressesOf(t *testing.T, listen string, change func(*transport.Config)) ([]string, error) {
	t.Helper()
	w := sim.New(t, 1, sim.Config{})
	cfg := config()
	cfg.AllowPrivate = false
	var addrs []string
	for _, l := range strings.Fields(listen) {
		cfg.Listen = append(cfg.Listen, at(l))
		if a := at(l).Addr(); !a.IsUnspecified() {
			addrs = append(addrs, a.String())
		}
	}
	change(&cfg)
	h := w.Host(append(addrs, "9.9.9.9", "2a01::9")...)
	tr, err := transport.New(cfg, h, newKeys(t).local, newKnown(), bandwidth.NewLimiter(w.Now(), bandwidth.Limits{}), &node{})
	if err != nil {
		return nil, err
	}
	var all []string
	for _, a := range tr.Addresses() {
		_, hasIV := a.IV()
		_, hasKey := a.StaticKey()
		to, published := a.AddrPort()
		if published != hasIV || !hasKey || !a.SpeaksV2() || a.Style != data.StyleNTCP2 {
			t.Errorf("%v", a)
		}
		if published {
			all = append(all, to.String())
		} else {
			all = append(all, a.Caps())
		}
	}
	return all, nil
}

func TestAddressesToPublish(t *testing.T) {
	hosts := func(all ...string) func(*transport.Config) {
		return func(c *transport.Config) {
			for _, s := range all {
				c.Hosts = append(c.Hosts, netip.MustParseAddr(s))
			}
		}
	}
	private := func(c *transport.Config) { c.AllowPrivate = true }
	hidden := func(c *transport.Config) { c.Publish = false }
	for _, test := range []struct {
		listen string
		change func(*transport.Config)
		want   string
	}{
		{"9.1.1.1:9999", hosts(), "9.1.1.1:9999"},
		{"9.1.1.1:9999 [2a01:4f8::1]:9998 9.1.1.2:9997", hosts(), "9.1.1.1:9999 [2a01:4f8::1]:9998 9.1.1.2:9997"},
		{"9.1.1.1:9999 [::]:9999", hosts(), "9.1.1.1:9999 6"},
		{"9.1.1.1:9999", hidden, "4"},
		{"0.0.0.0:9999", hosts(), "4"},
		{"[::]:9999", hosts(), "6"},
		{"0.0.0.0:9999 [::]:9999", hosts(), "46"},
		{"", hosts(), "4"},
		{"0.0.0.0:9999", hosts("9.1.1.1"), "9.1.1.1:9999"},
		{"10.0.0.1:9999", hosts("2a01:4f8::1", "9.1.1.1"), "9.1.1.1:9999"},
		{"10.0.0.1:9999", hosts(), "4"},
		{"10.0.0.1:80", private, "10.0.0.1:80"},
		{"10.0.0.1:8080", hosts(), "4"}, // nobody is told of the port
	} {
		got, err := addressesOf(t, test.listen, test.change)
		if err != nil || strings.Join(got, " ") != test.want {
			t.Errorf("%s: %v, %v, want %s", test.listen, got, err, test.want)
		}
	}
	for listen, change := range map[string]func(*transport.Config){
		"9.1.1.1:8080": hosts(),
		"0.0.0.0:9999": hosts("192.168.1.1"),
	} {
		if _, err := addressesOf(t, listen, change); !errors.Is(err, transport.ErrUnpublishable) {
			t.Errorf("%s: %v", listen, err)
		}
	}
}

func TestNewFailsWhereItCannotListen(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	h := w.Host("10.0.0.1")
	cfg := config()
	cfg.Listen = []netip.AddrPort{at("10.0.0.1:9999"), at("10.0.0.1:9999")}
	if _, err := transport.New(cfg, h, newKeys(t).local, newKnown(), bandwidth.NewLimiter(w.Now(), bandwidth.Limits{}), &node{}); err == nil {
		t.Fatal("listens twice on one port")
	}
	cfg.Listen = cfg.Listen[:1]
	_, err := transport.New(cfg, h, newKeys(t).local, newKnown(), bandwidth.NewLimiter(w.Now(), bandwidth.Limits{}), &node{})
	must(t, err) // the first listener was closed
}

func TestSettingsAreSentencesThatNeedARestart(t *testing.T) {
	cfg := config()
	all := setting.Describe(&cfg)
	if !slices.ContainsFunc(all, func(s setting.Setting) bool { return s.Key == "max_sessions" && s.Default == "2000" }) {
		t.Error("no max_sessions")
	}
	for _, s := range all {
		if !s.Restart || !strings.HasSuffix(s.Help, ".") || strings.ToUpper(s.Help[:1]) != s.Help[:1] {
			t.Errorf("%s: restart %v, %s", s.Key, s.Restart, fmt.Sprintf("%q", s.Help))
		}
	}
}
