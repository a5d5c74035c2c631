package portmap

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// searchTargets are the devices that pass ports on, old and new. New ones are
// to answer for old ones too, and some do not.
var searchTargets = []string{
	"urn:schemas-upnp-org:device:InternetGatewayDevice:1",
	"urn:schemas-upnp-org:device:InternetGatewayDevice:2",
}

const (
	// searchDelay is by how much each device may delay its answer.
	searchDelay = time.Second
	// maxAnswer is the longest answer in bytes, maxDevices how many of them are
	// looked at.
	maxAnswer, maxDevices = 2048, 8
)

// device is where a UPnP device describes itself.
type device struct {
	from     netip.Addr
	location *url.URL
}

// searchDevices finds UPnP gateways: it asks all devices at once, and the known
// gateways each by itself, since some networks pass no multicast on. Those of
// known gateways come first.
func (u *upnp) searchDevices(ctx context.Context) ([]device, error) {
	config := net.ListenConfig{Control: u.control}
	local := u.local
	if !local.Is4() {
		local = netip.IPv4Unspecified()
	}
	conn, err := config.ListenPacket(ctx, "udp4", netip.AddrPortFrom(local, 0).String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	var to []netip.AddrPort
	if !local.IsLoopback() || u.search.Addr().IsLoopback() {
		to = append(to, u.search) // nobody else is reached from loopback
	}
	for _, g := range u.gateways {
		to = append(to, netip.AddrPortFrom(g, u.search.Port()))
	}
	var sent error
	for _, at := range to {
		for _, target := range searchTargets {
			_, err := conn.WriteTo(searchRequest(at, target), net.UDPAddrFromAddrPort(at))
			sent = errors.Join(sent, err)
		}
	}
	if err := conn.SetReadDeadline(time.Now().Add(u.searchWait)); err != nil {
		return nil, err
	}
	found, err := u.listenForDevices(conn)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case len(found) == 0 && sent != nil:
		return nil, sent
	case len(found) == 0 && err != nil:
		return nil, err
	case len(found) == 0:
		return nil, ErrSilent
	}
	slices.SortStableFunc(found, func(a, b device) int { return u.rank(a.from) - u.rank(b.from) })
	return found, nil
}

// rank is the place of an address among the known gateways.
func (u *upnp) rank(a netip.Addr) int {
	if i := slices.Index(u.gateways, a); i >= 0 {
		return i
	}
	return len(u.gateways)
}

// listenForDevices collects answers until the deadline of conn, or until all
// known gateways have answered.
func (u *upnp) listenForDevices(conn net.PacketConn) ([]device, error) {
	var found []device
	b := make([]byte, maxAnswer)
	for len(found) < maxDevices && !u.heardAll(found) {
		n, from, err := conn.ReadFrom(b)
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
			return found, nil
		case err != nil:
			return found, err
		}
		at := from.(*net.UDPAddr).AddrPort().Addr().Unmap()
		location, ok := parseSearchAnswer(b[:n], at)
		if ok && !slices.ContainsFunc(found, func(d device) bool { return d.location.String() == location.String() }) {
			found = append(found, device{at, location})
		}
	}
	return found, nil
}

// heardAll tells whether every known gateway is among the devices.
func (u *upnp) heardAll(found []device) bool {
	for _, g := range u.gateways {
		if !slices.ContainsFunc(found, func(d device) bool { return d.from == g }) {
			return false
		}
	}
	return len(u.gateways) > 0
}

// searchRequest asks for devices of one kind (UPnP Device Architecture, 1.3.2).
func searchRequest(at netip.AddrPort, target string) []byte {
	return []byte("M-SEARCH * HTTP/1.1\r\n" +
		"HOST: " + at.String() + "\r\n" +
		"MAN: \"ssdp:discover\"\r\n" +
		"MX: " + strconv.Itoa(int(searchDelay/time.Second)) + "\r\n" +
		"ST: " + target + "\r\n\r\n")
}

// parseSearchAnswer reads where a device describes itself. That must be at the
// address the answer came from: nobody sends us to others.
func parseSearchAnswer(b []byte, from netip.Addr) (*url.URL, bool) {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
	if err != nil {
		return nil, false
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, false
	}
	location, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || !at(location, from) {
		return nil, false
	}
	return location, true
}

// at tells whether a URL leads to that very address.
func at(u *url.URL, host netip.Addr) bool {
	a, err := netip.ParseAddr(u.Hostname())
	return err == nil && u.Scheme == "http" && u.User == nil && a.Unmap() == host
}
