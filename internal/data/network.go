package data

import (
	"net/netip"
	"slices"
	"time"
)

// What all routers of the network agree upon (spec: network database, NTCP2).
const (
	// MainNet is the netId of the live network. Test networks take 16 to 254.
	MainNet = 2
	// RouterVersion is what our RouterInfo says as router.version: the newest
	// API whose mandatory parts we implement. It says nothing about our own
	// releases, and peers compare it as a number, so it must stay 0.9.NN.
	RouterVersion = "0.9.67"
)

// Versions, as [ParseVersion] counts them, from which on a peer can be asked
// for something.
const (
	// VersionRelay: SSU2 introducers.
	VersionRelay = 957
	// VersionPeer: tunnels and the network database. Java and newer i2pd use
	// nobody below.
	VersionPeer = 959
	// VersionPeerTest: SSU2 peer tests (i2pd; Java is content with 959).
	VersionPeerTest = 962
)

// Limits of sizes, in bytes.
const (
	// MaxRouterInfo is the longest RouterInfo that any router takes (Java).
	MaxRouterInfo = 4096
	// MaxOwnRouterInfo is the longest that every router takes (i2pd).
	MaxOwnRouterInfo = 3072
	// MaxLeaseSet is the longest set of leases that any router takes.
	MaxLeaseSet = 8192
	// MaxOwnLeaseSet is the longest that every router takes (i2pd).
	MaxOwnLeaseSet = 4096
)

// Limits of counts.
const (
	// MaxAddresses is how many addresses a RouterInfo may have (Java).
	MaxAddresses = 16
	// MaxLeases is how many leases a LeaseSet or LeaseSet2 may have.
	MaxLeases = 16
	// MaxEncryptionKeys is how many keys a LeaseSet2 may have (Java).
	MaxEncryptionKeys = 8
)

// Limits of time.
const (
	// MaxLeaseSetLifetime is from published to expires of our own LeaseSet2:
	// ten minutes of the tunnel and one to spare. i2pd refuses beyond 12
	// minutes, Java beyond 16.
	MaxLeaseSetLifetime = 660 * time.Second
	// RouterInfoMaxAge is the age at which everybody drops a RouterInfo, many
	// far earlier.
	RouterInfoMaxAge = 27 * time.Hour
	// RouterInfoMaxFuture is how far ahead of our clock a RouterInfo may be.
	RouterInfoMaxFuture = 2 * time.Minute
)

// unpublishable are ports, from and to, that Java routers refuse to dial:
// they belong to other services.
var unpublishable = [][2]uint16{
	{0, 1023}, {1719, 1720}, {1900, 1900}, {2049, 2049}, {2827, 2827}, {3659, 3659}, {4045, 4045},
	{4444, 4445}, {5060, 5061}, {6000, 6000}, {6665, 6669}, {6697, 6697}, {7070, 7070}, {7650, 7668},
	{8080, 8080}, {9001, 9001}, {9030, 9030}, {9050, 9050}, {9100, 9100}, {9150, 9150},
	{31000, 31000}, {32000, 32000},
}

// PublishablePort reports whether every router will dial a peer at the port.
func PublishablePort(port uint16) bool {
	return !slices.ContainsFunc(unpublishable, func(r [2]uint16) bool { return r[0] <= port && port <= r[1] })
}

// reserved are the ranges of the IANA special-purpose registries that nobody
// on the Internet can be reached in.
var reserved = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

// unicast6 is the only part of IPv6 that is given out.
var unicast6 = netip.MustParsePrefix("2000::/3")

func prefixes(all ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(all))
	for i, s := range all {
		list[i] = netip.MustParsePrefix(s)
	}
	return list
}

// yggdrasil is an overlay network that i2pd routers publish addresses of.
var yggdrasil = netip.MustParsePrefix("200::/7")

// Overlay reports whether an address is of Yggdrasil: one that some routers
// publish, and that leads nowhere without its software.
func Overlay(a netip.Addr) bool { return yggdrasil.Contains(a) }

// Routable reports whether an address can be reached over the Internet.
// Overlay networks such as Yggdrasil (0200::/7) do not count.
func Routable(a netip.Addr) bool {
	if a.Is6() && !unicast6.Contains(a) {
		return false
	}
	return a.IsValid() && !slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(a) })
}
