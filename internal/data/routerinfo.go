package data

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"allium/internal/signature"
	"allium/internal/wire"
)

// Names of options in a RouterInfo.
const (
	OptionCaps      = "caps"
	OptionNetID     = "netId"
	OptionVersion   = "router.version"
	OptionFamily    = "family"
	OptionFamilyKey = "family.key"
	OptionFamilySig = "family.sig"
	// Floodfills tell how much they know.
	OptionKnownRouters   = "netdb.knownRouters"
	OptionKnownLeaseSets = "netdb.knownLeaseSets"
)

// RouterInfo is what a router publishes of itself (common structures,
// RouterInfo). It is not changed once made. It costs some 400 bytes of memory
// besides its own.
type RouterInfo struct {
	raw       []byte
	signed    int // how many bytes of raw the signature covers
	identity  RouterIdentity
	published time.Time
	addresses []RouterAddress
	options   Mapping

	// What is asked again and again, out of the options.
	capabilities Capabilities
	version      int32 // -1 if it says none
	netID        int32 // -1 if it says none

	verified atomic.Bool
}

// ParseRouterInfo reads a RouterInfo that all of b is, at most MaxRouterInfo
// bytes, and copies it. It does not verify it. Errors wrap ErrMalformed,
// ErrUnsupported, ErrDuplicateKey, ErrTooLong or an error of package wire.
func ParseRouterInfo(b []byte) (*RouterInfo, error) {
	if len(b) > MaxRouterInfo {
		return nil, fmt.Errorf("data: router info: %w: %d bytes", ErrTooLong, len(b))
	}
	return parseRouterInfo(bytes.Clone(b))
}

// parseRouterInfo keeps b.
func parseRouterInfo(b []byte) (*RouterInfo, error) {
	ri := &RouterInfo{raw: b}
	r := wire.NewReader(b)
	ri.identity.read(&r)
	ri.published = readDate(&r)
	ri.addresses = readAddresses(&r)
	if peers := r.Uint8(); peers != 0 {
		r.Fail(fmt.Errorf("%w: %d peers", ErrMalformed, peers))
	}
	ri.options = ReadMapping(&r)
	ri.signed = r.Offset()
	r.Bytes(ri.identity.signing.SignatureLen())
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("data: router info: %w", err)
	}
	ri.readOptions()
	return ri, nil
}

func readAddresses(r *wire.Reader) []RouterAddress {
	n := int(r.Uint8())
	if n > MaxAddresses {
		r.Fail(fmt.Errorf("%w: %d addresses", ErrTooLong, n))
	}
	if r.Err() != nil {
		return nil
	}
	addresses := make([]RouterAddress, n)
	for i := range addresses {
		addresses[i] = readRouterAddress(r)
	}
	return addresses
}

func (ri *RouterInfo) readOptions() {
	ri.version, ri.netID = -1, -1
	if s, ok := ri.options.find(OptionCaps); ok {
		ri.capabilities = ParseCapabilities(string(s))
	}
	if s, ok := ri.options.find(OptionVersion); ok {
		if v, ok := ParseVersion(string(s)); ok {
			ri.version = int32(v)
		}
	}
	if s, ok := ri.options.find(OptionNetID); ok {
		if id, err := strconv.ParseUint(string(s), 10, 8); err == nil {
			ri.netID = int32(id)
		}
	}
}

// SignRouterInfo makes a RouterInfo of the router that identity is and key
// belongs to. published is cut to milliseconds. It fails with ErrKeyMismatch,
// with ErrTooLong beyond MaxRouterInfo bytes or MaxAddresses, or as
// ParseRouterInfo does. Whether others will like it is for Lint to say.
func SignRouterInfo(key signature.PrivateKey, identity *RouterIdentity, published time.Time, addresses []RouterAddress, options Mapping) (*RouterInfo, error) {
	if !identity.owns(key) {
		return nil, fmt.Errorf("data: router info: %w", ErrKeyMismatch)
	}
	b, err := appendRouterInfo(nil, identity, published, addresses, options)
	if err != nil {
		return nil, fmt.Errorf("data: router info: %w", err)
	}
	b = append(b, key.Sign(b)...)
	if len(b) > MaxRouterInfo {
		return nil, fmt.Errorf("data: router info: %w: %d bytes", ErrTooLong, len(b))
	}
	return parseRouterInfo(b)
}

// appendRouterInfo appends all but the signature.
func appendRouterInfo(b []byte, identity *RouterIdentity, published time.Time, addresses []RouterAddress, options Mapping) ([]byte, error) {
	if len(addresses) > MaxAddresses {
		return b, fmt.Errorf("%w: %d addresses", ErrTooLong, len(addresses))
	}
	b = append(b, identity.raw...)
	b = binary.BigEndian.AppendUint64(b, uint64(published.UnixMilli()))
	b = append(b, byte(len(addresses)))
	for _, a := range addresses {
		var err error
		if b, err = a.append(b); err != nil {
			return b, err
		}
	}
	b = append(b, 0) // peers, which nobody ever had
	return options.Append(b), nil
}

// Verify checks the signature, which takes some 50 microseconds unless it was
// found right before. It returns nil or an error that wraps ErrSignature.
func (ri *RouterInfo) Verify() error {
	if ri.verified.Load() {
		return nil
	}
	if !ri.identity.Verify(ri.raw[:ri.signed], ri.Signature()) {
		return fmt.Errorf("data: router info %s: %w", ri.Hash().Short(), ErrSignature)
	}
	ri.verified.Store(true)
	return nil
}

// Bytes is the RouterInfo as received. It must not be changed.
func (ri *RouterInfo) Bytes() []byte { return ri.raw }

// Signature is the last part of Bytes.
func (ri *RouterInfo) Signature() []byte { return ri.raw[ri.signed:] }

// Identity is whose RouterInfo this is.
func (ri *RouterInfo) Identity() *RouterIdentity { return &ri.identity }

// Hash is the name of the router, the Hash of its Identity.
func (ri *RouterInfo) Hash() Hash { return ri.identity.hash }

// Published is when it was signed, by the router's clock, in milliseconds.
func (ri *RouterInfo) Published() time.Time { return ri.published }

// Addresses are the ways to reach the router, at most MaxAddresses. The slice
// must not be changed.
func (ri *RouterInfo) Addresses() []RouterAddress { return ri.addresses }

// Options are what else the router says.
func (ri *RouterInfo) Options() Mapping { return ri.options }

// Caps are the letters of option caps.
func (ri *RouterInfo) Caps() string {
	caps, _ := ri.options.Get(OptionCaps)
	return caps
}

// Capabilities are Caps taken apart.
func (ri *RouterInfo) Capabilities() Capabilities { return ri.capabilities }

// BandwidthClass is the letter of bandwidth in Caps, from K to X, or 0.
func (ri *RouterInfo) BandwidthClass() byte { return ri.capabilities.Bandwidth }

// Floodfill reports whether the router keeps the network database.
func (ri *RouterInfo) Floodfill() bool { return ri.capabilities.Floodfill }

// Reachable reports whether the router says that it can be dialled.
func (ri *RouterInfo) Reachable() bool { return ri.capabilities.Reachable }

// Unreachable reports whether the router says that it cannot be dialled.
// Routers that do not know yet say neither.
func (ri *RouterInfo) Unreachable() bool { return ri.capabilities.Unreachable }

// Hidden reports whether the router wants no connections.
func (ri *RouterInfo) Hidden() bool { return ri.capabilities.Hidden }

// Congestion is how loaded the router says it is.
func (ri *RouterInfo) Congestion() Congestion { return ri.capabilities.Congestion }

// NetID is the network the router belongs to, 0 to 255. It is not ok if the
// router does not say, or not in digits.
func (ri *RouterInfo) NetID() (id int, ok bool) { return int(max(ri.netID, 0)), ri.netID >= 0 }

// Version is router.version as ParseVersion counts it, such as 967. It is not
// ok if the router says none.
func (ri *RouterInfo) Version() (version int, ok bool) {
	return int(max(ri.version, 0)), ri.version >= 0
}

// Subnets are those of all hosts the router publishes, each once: the first 16
// bits of IPv4 and 32 of IPv6, which one operator may well own.
func (ri *RouterInfo) Subnets() []netip.Prefix {
	var all []netip.Prefix
	for _, a := range ri.addresses {
		host, ok := a.Host()
		if !ok {
			continue
		}
		bits := 16
		if host.Is6() {
			bits = 32
		}
		if p, err := host.Prefix(bits); err == nil && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// LogValue shortens the RouterInfo in structured logs.
func (ri *RouterInfo) LogValue() slog.Value { return ri.identity.hash.LogValue() }
