package portmap

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// defaultGateways are those of this machine for IPv4, the preferred one first.
func defaultGateways() []netip.Addr {
	f, err := os.Open("/proc/net/route")
	if err != nil {
		return nil // no IPv4
	}
	defer f.Close()
	return parseRoutes(f)
}

// parseRoutes finds the gateways in the kernel's table: interface, destination,
// gateway, flags, two counters, metric and mask, numbers in hex as they lie in
// memory.
func parseRoutes(table io.Reader) []netip.Addr {
	type route struct {
		gateway netip.Addr
		metric  uint64
	}
	var all []route
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		raw, err := strconv.ParseUint(f[2], 16, 32)
		metric, err2 := strconv.ParseUint(f[6], 10, 32)
		if err != nil || err2 != nil {
			continue
		}
		in4 := binary.NativeEndian.AppendUint32(nil, uint32(raw))
		if gateway := netip.AddrFrom4([4]byte(in4)); !gateway.IsUnspecified() {
			all = append(all, route{gateway, metric})
		}
	}
	slices.SortStableFunc(all, func(a, b route) int { return cmp.Compare(a.metric, b.metric) })
	var gateways []netip.Addr
	for _, r := range all {
		if !slices.Contains(gateways, r.gateway) {
			gateways = append(gateways, r.gateway)
		}
	}
	return gateways
}
