package portmap

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strings"
)

// serviceKinds are the services that map ports. Their versions are those of
// IGD 1 and 2, whose calls we make are the same.
var serviceKinds = []string{
	"urn:schemas-upnp-org:service:WANIPConnection:",
	"urn:schemas-upnp-org:service:WANPPPConnection:",
}

// maxServices is how many services of one device are looked at.
const maxServices = 8

// service is one that maps ports.
type service struct {
	kind    string // such as urn:schemas-upnp-org:service:WANIPConnection:1
	control *url.URL
}

// description is the document in which a device tells what it is (UPnP Device
// Architecture, section 2).
type description struct {
	URLBase string       `xml:"URLBase"`
	Device  deviceInside `xml:"device"`
}

type deviceInside struct {
	Services []struct {
		Type    string `xml:"serviceType"`
		Control string `xml:"controlURL"`
	} `xml:"serviceList>service"`
	Devices []deviceInside `xml:"deviceList>device"`
}

// parseDescription finds the services that map ports in the description of a
// device at some URL. They must be at the same address.
func parseDescription(b []byte, location *url.URL) ([]service, error) {
	var d description
	if err := decodeXML(b, &d); err != nil {
		return nil, err
	}
	base := location
	if d.URLBase != "" {
		if u, err := location.Parse(strings.TrimSpace(d.URLBase)); err == nil {
			base = u
		}
	}
	host, err := netip.ParseAddr(location.Hostname())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	var found []service
	d.Device.collect(func(kind, control string) {
		u, err := base.Parse(control)
		if err == nil && at(u, host.Unmap()) && len(found) < maxServices {
			found = append(found, service{kind, u})
		}
	})
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: the device maps no ports", ErrRefused)
	}
	return found, nil
}

// collect finds services in a device and those inside it.
func (d *deviceInside) collect(found func(kind, control string)) {
	for _, s := range d.Services {
		kind := strings.TrimSpace(s.Type)
		for _, known := range serviceKinds {
			if strings.HasPrefix(kind, known) {
				found(kind, strings.TrimSpace(s.Control))
			}
		}
	}
	for i := range d.Devices {
		d.Devices[i].collect(found)
	}
}

// decodeXML reads a document as gateways write it: not always well, and in
// whatever encoding, of which the ASCII part matters.
func decodeXML(b []byte, into any) error {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.Strict = false
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}
