package portmap

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestDefaultGatewaysAreInTheOrderOfTheirMetric(t *testing.T) {
	const table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
		"wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n" +
		"eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n" +
		"eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n" +
		"tun0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0\n" +
		"tun1\t00000000\t0101A8C0\t0003\t0\t0\t700\t00000000\t0\t0\t0\n" +
		"bad\n" +
		"bad\t00000000\tzz0200C0\t0003\t0\t0\t1\t00000000\t0\t0\t0\n"
	want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.168.1.1")}
	if got := parseRoutes(strings.NewReader(table)); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
