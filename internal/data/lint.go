package data

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"allium/internal/signature"
)

// ErrLint reports a RouterInfo that some router would refuse or misread.
var ErrLint = errors.New("unfit for publication")

// Limits of the MTU that SSU2 addresses may tell.
const (
	minMTU = 1280
	maxMTU = 1500
)

// Lint looks at a RouterInfo the way the strictest of all routers would, and
// is meant for our own before each publication. It returns nil, or all that
// is wrong with it, each wrapping ErrLint. It takes no offence at a date,
// having no clock, nor on test networks at addresses that are not public.
func (ri *RouterInfo) Lint() error {
	l := &lint{ri: ri, seen: map[string]RouterAddress{}}
	l.identity()
	l.options()
	l.reachability()
	l.want(len(ri.addresses) > 0, "no addresses")
	for i, a := range ri.addresses {
		l.where = fmt.Sprintf("address %d: ", i)
		l.address(a)
		if a.Style == StyleSSU2 {
			l.ssu2(a)
		} else {
			l.ntcp2(a)
		}
	}
	if err := errors.Join(l.problems...); err != nil {
		return fmt.Errorf("data: router info: %w", err)
	}
	return nil
}

// lint gathers what is wrong.
type lint struct {
	ri       *RouterInfo
	where    string
	problems []error
	seen     map[string]RouterAddress // the first address of each style
	taken    []string                 // styles and families so far
}

func (l *lint) want(ok bool, format string, args ...any) {
	if !ok {
		l.problems = append(l.problems, fmt.Errorf("%w: %s%s", ErrLint, l.where, fmt.Sprintf(format, args...)))
	}
}

func (l *lint) identity() {
	ri := l.ri
	l.want(ri.Verify() == nil, "wrong signature")
	l.want(len(ri.raw) <= MaxOwnRouterInfo, "%d bytes", len(ri.raw))
	l.want(ri.identity.signing == signature.Ed25519, "signs with %v", ri.identity.signing)
	l.want(ri.identity.crypto == X25519, "encryption type %d", ri.identity.crypto)
}

func (l *lint) options() {
	ri := l.ri
	l.mapping(ri.options)
	id, _ := ri.NetID()
	text, _ := ri.options.Get(OptionNetID)
	l.want(id >= MainNet && id < 255 && text == strconv.Itoa(id), "netId %q", text)

	version, _ := ri.Version()
	text, _ = ri.options.Get(OptionVersion)
	// i2pd takes the digits for one number, so there must be two at the end.
	l.want(version >= VersionPeer && len(text) == len(RouterVersion) && strings.HasPrefix(text, "0.9."), "version %q", text)

	caps := ri.capabilities
	l.want(caps.String() == ri.Caps(), "capabilities %q instead of %q", ri.Caps(), caps)
	l.want(caps.Bandwidth != 0, "capabilities without bandwidth")
	l.want(!caps.Reachable || !caps.Unreachable, "reachable and unreachable")
	l.want(!caps.Floodfill || !caps.Unreachable && !caps.Hidden, "floodfill nobody can reach")

	_, claims := ri.options.find(OptionFamily)
	for _, option := range []string{OptionFamilyKey, OptionFamilySig} {
		_, ok := ri.options.find(option)
		l.want(ok == claims, "%s missing or without family", option)
	}
	if name := ri.Family(); name != "" {
		err := ri.verifyFamily(name)
		l.want(err == nil, "family: %v", err)
		l.want(len(name) <= MaxFamily, "family of %d bytes", len(name))
	}
}

// mapping wants what every router encodes again as it was.
func (l *lint) mapping(m Mapping) {
	l.want(m.Sorted(), "options not sorted")
	for key, value := range m.All() {
		l.want(key != "" && isASCII(key) && isASCII(value), "option %q is not plain text", key)
	}
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' })
}

func (l *lint) reachability() {
	dialable := slices.ContainsFunc(l.ri.addresses, RouterAddress.published)
	caps := l.ri.capabilities
	l.want(!caps.Reachable || dialable, "reachable without a host")
	l.want(!caps.Unreachable && !caps.Hidden || !dialable, "unreachable or hidden with a host")
}

// published reports whether an address has a host, so that it can be dialled.
func (a RouterAddress) published() bool {
	_, ok := a.Options.find("host")
	return ok
}

// address wants what both transports want.
func (l *lint) address(a RouterAddress) {
	l.want(a.Style == StyleNTCP2 || a.Style == StyleSSU2, "style %q", a.Style)
	l.mapping(a.Options)
	v, _ := a.Options.Get("v")
	l.want(v == "2", "version %q", v)
	_, ok := a.StaticKey()
	l.want(ok, "no static key")

	if first, again := l.seen[a.Style]; again {
		l.want(sameOption(a, first, "s"), "another static key")
		l.want(sameOption(a, first, "i") || !a.published() || !first.published(), "another i")
	} else {
		l.seen[a.Style] = a
	}
	v4, v6 := a.Families()
	l.want(v4 || v6, "neither IPv4 nor IPv6")
	l.family(a.Style+" IPv4", v4)
	l.family(a.Style+" IPv6", v6)
	if a.published() {
		l.host(a)
		return
	}
	_, ok = a.Options.find("port")
	l.want(!ok, "port without host")
}

// family wants no two addresses for the same thing: only one would be seen.
func (l *lint) family(name string, has bool) {
	if has {
		l.want(!slices.Contains(l.taken, name), "a second %s", name)
		l.taken = append(l.taken, name)
	}
}

func sameOption(a, b RouterAddress, key string) bool {
	x, _ := a.Options.Get(key)
	y, _ := b.Options.Get(key)
	return x == y
}

func (l *lint) host(a RouterAddress) {
	text, _ := a.Options.Get("host")
	ip, err := netip.ParseAddr(text)
	l.want(err == nil && ip.String() == text && !ip.IsUnspecified() && !ip.IsMulticast() && !ip.Is4In6(), "host %q", text)
	if id, _ := l.ri.NetID(); id == MainNet {
		l.want(Routable(ip), "host %q is not public", text)
	}
	text, _ = a.Options.Get("port")
	port := a.Port()
	l.want(PublishablePort(port) && text == strconv.Itoa(int(port)), "port %q", text)
}

func (l *lint) ntcp2(a RouterAddress) {
	l.known(a, "46", "caps", "host", "i", "port", "pq", "s", "v")
	_, hasIV := a.Options.find("i")
	_, ok := a.IV()
	l.want(hasIV == a.published() && hasIV == ok, "i missing, malformed or without host")
}

func (l *lint) ssu2(a RouterAddress) {
	introducers := IntroducerOptions(a.Introducers())
	options := []string{"caps", "host", "i", "mtu", "port", "pq", "s", "v"}
	for _, option := range introducers {
		options = append(options, option.Key)
		value, _ := a.Options.Get(option.Key)
		l.want(value == option.Value, "%s %q", option.Key, value)
	}
	l.known(a, "BC46", options...)
	l.want(len(introducers) == 0 || !a.published(), "introducers and host")
	_, ok := a.IntroKey()
	l.want(ok, "i missing or malformed")
	if text, ok := a.Options.Get("mtu"); ok {
		mtu := a.MTU()
		l.want(mtu >= minMTU && mtu <= maxMTU && text == strconv.Itoa(mtu), "mtu %q", text)
	}
}

// known wants only these options, and in caps only these letters, each once.
func (l *lint) known(a RouterAddress, caps string, options ...string) {
	for key := range a.Options.All() {
		l.want(slices.Contains(options, key), "option %q", key)
	}
	for i, letter := range []byte(a.Caps()) {
		l.want(strings.IndexByte(caps, letter) >= 0 && strings.LastIndexByte(a.Caps(), letter) == i, "caps %q", a.Caps())
	}
}
