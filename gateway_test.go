package allium_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"allium"
)

// TestWhoIsAskedForAPort has a private network ask only if it is told to: its
// gateway here is this machine, on which nobody answers.
func TestWhoIsAskedForAPort(t *testing.T) {
	for enabled, asks := range map[string]bool{"auto": false, "off": false, "on": true} {
		cfg := allium.Config{Settings: privateSettings()}
		cfg.Settings.Listen = []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), freePort(t))}
		cfg.Settings.PortMapping.Enabled = enabled
		cfg.Settings.PortMapping.Gateway = netip.MustParseAddr("127.0.0.1")
		r := start(t, cfg)
		giveUp := time.Now().Add(patience)
		for asks && r.Status().Ports.At.IsZero() {
			if time.Now().After(giveUp) {
				t.Fatal("nobody was asked")
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		s := r.Status().Ports
		if len(s.Ports) != 0 || asks != (len(s.Tried) == 3) {
			t.Errorf("%s: %+v", enabled, s)
		}
	}
}

// freePort is a port of TCP that is free now.
func freePort(t *testing.T) uint16 {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).AddrPort().Port()
}
