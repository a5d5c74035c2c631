package httpproxy

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// normalHost is a host as the address book and the site know it: in small
// letters and without the dot that may end a name.
func normalHost(host string) string {
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// check refuses hosts and ports that are not visited. Clearnet names are
// refused unresolved, so that no DNS server learns of them.
func check(host, port string) *refusal {
	if _, err := strconv.ParseUint(port, 10, 16); port != "" && err != nil {
		return &refusal{http.StatusBadRequest, "Bad address", "The port is not between 0 and 65535."}
	}
	switch {
	case host == "":
		return &refusal{http.StatusBadRequest, "Bad address", "The request names no host."}
	case host == "localhost" || strings.HasSuffix(host, ".localhost") || isAddress(host):
		return &refusal{http.StatusForbidden, "Not an I2P site", "Addresses and localhost are not visited through I2P."}
	case !strings.HasSuffix(host, ".i2p") && !strings.HasSuffix(host, ".i2p.alt"):
		return &refusal{http.StatusServiceUnavailable, "Not an I2P site",
			"Only names that end in .i2p can be visited: no outproxy is configured."}
	}
	if label, ok := strings.CutSuffix(host, ".b32.i2p"); ok && !plausibleB32(label) {
		return &refusal{http.StatusBadRequest, "Bad address",
			"This is not a .b32.i2p address: those have 52 letters, or at least 56, of a to z and 2 to 7."}
	}
	return nil
}

// plausibleB32 tells what may be a hash, or a blinded Destination, in base32.
func plausibleB32(label string) bool {
	return (len(label) == 52 || len(label) >= 56) && strings.Trim(label, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// isAddress tells IP addresses, also in the forms that only old resolvers
// know, such as 127.1 and 2130706433.
func isAddress(host string) bool {
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	_, err := strconv.ParseUint(last, 0, 64)
	return err == nil
}

// joinPort is host:port, or the host alone.
func joinPort(host, port string) string {
	if port == "" {
		return host
	}
	return net.JoinHostPort(host, port)
}
