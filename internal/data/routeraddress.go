package data

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"allium/internal/wire"
	"allium/internal/x25519"
)

// Styles of addresses, which name a transport.
const (
	StyleNTCP2 = "NTCP2"
	StyleSSU2  = "SSU2"
)

// Letters in the option caps of an address.
const (
	// AddressPeerTest: answers SSU2 peer tests.
	AddressPeerTest = 'B'
	// AddressIntroducer: introduces firewalled SSU2 routers.
	AddressIntroducer = 'C'
	// AddressIPv4 and AddressIPv6: what an address without a host can do.
	AddressIPv4 = '4'
	AddressIPv6 = '6'
)

// RouterAddress is one way to reach a router (common structures,
// RouterAddress). The methods read its options anew at each call; none of
// them believes that the options make sense together.
type RouterAddress struct {
	// Cost is lower for addresses the router would rather be reached at.
	Cost uint8
	// Style is the transport, at most 255 bytes.
	Style string
	// Options are what the transport needs.
	Options Mapping
}

// NewRouterAddress is an address with sorted options. It fails as NewMapping
// does.
func NewRouterAddress(cost uint8, style string, options ...Pair) (RouterAddress, error) {
	m, err := NewMapping(options...)
	return RouterAddress{cost, style, m}, err
}

// readRouterAddress points into the message. The expiration must be zero:
// routers that do not keep it would find the signature wrong.
func readRouterAddress(r *wire.Reader) RouterAddress {
	a := RouterAddress{Cost: r.Uint8()}
	if expiration := r.Uint64(); expiration != 0 {
		r.Fail(fmt.Errorf("%w: address that expires", ErrMalformed))
	}
	a.Style = styleName(r.ShortString())
	a.Options = ReadMapping(r)
	return a
}

// styleName spares the memory for the usual names.
func styleName(b []byte) string {
	switch string(b) {
	case StyleNTCP2:
		return StyleNTCP2
	case StyleSSU2:
		return StyleSSU2
	}
	return string(b)
}

func (a RouterAddress) append(b []byte) ([]byte, error) {
	b = append(b, a.Cost, 0, 0, 0, 0, 0, 0, 0, 0)
	b, err := wire.AppendShortString(b, a.Style)
	if err != nil {
		return b, fmt.Errorf("%w: %w", ErrTooLong, err)
	}
	return a.Options.Append(b), nil
}

// Host is the IP address the router listens at, if there is one. Names and
// the unspecified address do not count.
func (a RouterAddress) Host() (netip.Addr, bool) {
	host, ok := a.Options.find("host")
	if !ok {
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(string(host))
	ip = ip.Unmap()
	if err != nil || ip.Zone() != "" || ip.IsUnspecified() {
		return netip.Addr{}, false
	}
	return ip, true
}

// Port is the port the router listens at, 0 if there is none.
func (a RouterAddress) Port() uint16 { return uint16(a.number("port", 16)) }

// AddrPort is Host and Port, if there are both.
func (a RouterAddress) AddrPort() (netip.AddrPort, bool) {
	ip, ok := a.Host()
	port := a.Port()
	return netip.AddrPortFrom(ip, port), ok && port != 0
}

// number is the value of a decimal option of so many bits, 0 if it is none.
func (a RouterAddress) number(key string, bits int) uint64 {
	value, _ := a.Options.find(key)
	n, err := strconv.ParseUint(string(value), 10, bits)
	if err != nil {
		return 0
	}
	return n
}

// StaticKey is the key of the router in handshakes, option s. Keys with the
// top bit set are none.
func (a RouterAddress) StaticKey() (key x25519.PublicKey, ok bool) {
	ok = a.key("s", key[:]) && key[len(key)-1]&0x80 == 0
	return key, ok
}

// IV is what NTCP2 hides ephemeral keys with, option i. Only addresses that
// can be dialled have it.
func (a RouterAddress) IV() (iv [16]byte, ok bool) {
	ok = a.key("i", iv[:])
	return iv, ok
}

// IntroKey is what SSU2 hides headers with, option i.
func (a RouterAddress) IntroKey() (key [32]byte, ok bool) {
	ok = a.key("i", key[:])
	return key, ok
}

func (a RouterAddress) key(name string, key []byte) bool {
	value, ok := a.Options.find(name)
	return ok && decodeKey(key, value)
}

// SpeaksV2 reports whether option v, which may be a list, says version 2: the
// only one of both transports.
func (a RouterAddress) SpeaksV2() bool {
	v, _ := a.Options.Get("v")
	for version := range strings.SplitSeq(v, ",") {
		if version == "2" {
			return true
		}
	}
	return false
}

// MTU is the largest IP packet SSU2 may send to the router, 0 if it does not
// say.
func (a RouterAddress) MTU() int { return int(a.number("mtu", 16)) }

// Caps are the letters of option caps.
func (a RouterAddress) Caps() string {
	caps, _ := a.Options.Get("caps")
	return caps
}

// Can reports whether Caps has the letter.
func (a RouterAddress) Can(letter byte) bool {
	return strings.IndexByte(a.Caps(), letter) >= 0
}

// Families reports which kinds of IP address this one is for: the kind of its
// host, or else what it says it can do. Overlay hosts such as Yggdrasil are
// neither.
func (a RouterAddress) Families() (v4, v6 bool) {
	if ip, ok := a.Host(); ok {
		return ip.Is4(), ip.Is6() && !Overlay(ip)
	}
	caps := a.Caps()
	v4 = strings.IndexByte(caps, AddressIPv4) >= 0
	v6 = strings.IndexByte(caps, AddressIPv6) >= 0
	// NTCP2 routers need not say, and most are behind IPv4.
	return v4 || !v6 && a.Style == StyleNTCP2, v6
}

// Introducer is a router that helps to reach a firewalled one by SSU2.
type Introducer struct {
	// Router is whom to ask.
	Router Hash
	// Tag says whom for.
	Tag uint32
	// Expires is when it stops, zero if the address does not say.
	Expires time.Time
}

// maxIntroducers is how many options of a kind there can be: their names end
// in one digit. Three is what the specification knows, i2pd writes more.
const maxIntroducers = 10

// Introducers lists those who introduce the router, without those whose hash
// or tag is missing.
func (a RouterAddress) Introducers() []Introducer {
	var all []Introducer
	for i := range maxIntroducers {
		in := Introducer{Tag: uint32(a.number(introducerOption("itag", i), 32))}
		if in.Tag == 0 || !a.key(introducerOption("ih", i), in.Router[:]) {
			continue
		}
		if s := a.number(introducerOption("iexp", i), 32); s != 0 {
			in.Expires = unixSeconds(uint32(s))
		}
		all = append(all, in)
	}
	return all
}

func introducerOption(kind string, i int) string { return kind + string(rune('0'+i)) }

// IntroducerOptions are the options that Introducers reads, of up to three
// introducers.
func IntroducerOptions(all []Introducer) []Pair {
	var options []Pair
	for i, in := range all[:min(len(all), maxOwnIntroducers)] {
		options = append(options,
			Pair{introducerOption("ih", i), in.Router.String()},
			Pair{introducerOption("itag", i), strconv.FormatUint(uint64(in.Tag), 10)},
			Pair{introducerOption("iexp", i), strconv.FormatInt(in.Expires.Unix(), 10)})
	}
	return options
}

// maxOwnIntroducers is how many the specification knows.
const maxOwnIntroducers = 3
