package portmap

import (
	"net/netip"
	"net/url"
	"time"
)

// StartAt starts a Mapper in a network of the test: gateways with their port
// for PCP and NAT-PMP, and where UPnP devices listen. It waits shortly for
// answers, or very shortly.
func StartAt(cfg Config, w Wiring, gateways []netip.Addr, port uint16, ssdp netip.AddrPort, hurry bool) *Mapper {
	repeats, wait := []time.Duration{50, 100, 200, 400, 800}, time.Second
	if hurry {
		repeats, wait = repeats[:4], wait/4
	}
	for i := range repeats {
		repeats[i] *= time.Millisecond
	}
	return start(cfg, w, place{gateways: func() []netip.Addr { return gateways }, port: port, ssdp: ssdp,
		repeats: repeats, searchWait: wait})
}

// ParsePCP reads an answer of PCP.
func ParsePCP(b []byte) (nonce Nonce, external netip.AddrPort, life time.Duration, err error) {
	a, err := parsePCP(b)
	return a.nonce, a.external, a.lifetime, err
}

// ParseNATPMP reads both answers of NAT-PMP.
func ParseNATPMP(b []byte) (port uint16, life time.Duration, addr netip.Addr, err, addrErr error) {
	a, err := parseNATPMP(b)
	addr, addrErr = parseNATPMPAddress(b)
	return a.port, a.lifetime, addr, err, addrErr
}

// ParseSearchAnswer reads an answer of SSDP.
var ParseSearchAnswer = parseSearchAnswer

// ParseDescription counts the services in a description.
func ParseDescription(b []byte, location *url.URL) (int, error) {
	s, err := parseDescription(b, location)
	return len(s), err
}

// ParseFields reads an answer of SOAP.
var ParseFields = parseFields
