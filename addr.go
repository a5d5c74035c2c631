package allium

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"allium/internal/data"
	"allium/internal/streaming"
)

// Addr is an address of I2P: the hash of a Destination and a port. Its String
// is the .b32.i2p form with the port.
type Addr = streaming.Addr

// AddHosts adds names from text in the format of hosts.txt, a line of
// name=destination each, to the router's address book. Names that are there
// stay. It tells how many were new.
func (r *Router) AddHosts(text []byte) (added int, err error) {
	merged, err := r.book.Merge(text)
	if err != nil {
		return merged.Added, fmt.Errorf("allium: %w", err)
	}
	return merged.Added, nil
}

// Lookup finds the Destination of a host name, a .b32.i2p address or a base64
// Destination, as Destination in base64 if the address book has it, else as
// .b32.i2p. It asks nobody. It fails with ErrNameUnknown.
func (r *Router) Lookup(host string) (string, error) {
	if d, ok := r.book.Lookup(host); ok {
		return d.Base64(), nil
	}
	h, err := r.resolve(host)
	if err != nil {
		return "", err
	}
	return h.B32(), nil
}

// minBase64 is how long a Destination in base64 is at least: longer than any
// name.
const minBase64 = 516

// resolve finds the hash of a host.
func (r *Router) resolve(host string) (data.Hash, error) {
	if strings.HasSuffix(strings.ToLower(host), ".b32.i2p") {
		if h, err := data.ParseB32(host); err == nil {
			return h, nil
		}
		return data.Hash{}, fmt.Errorf("%w: %q is not a .b32.i2p address", ErrNameUnknown, host)
	}
	if d, ok := r.book.Lookup(host); ok {
		return d.Hash(), nil
	}
	if len(host) >= minBase64 {
		if d, err := data.ParseDestinationBase64(host); err == nil {
			return d.Hash(), nil
		}
	}
	return data.Hash{}, fmt.Errorf("%w: %q", ErrNameUnknown, host)
}

// splitPort takes an address of I2P apart. No port is port 0.
func splitPort(address string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		if !strings.Contains(address, ":") {
			return address, 0, nil
		}
		return "", 0, fmt.Errorf("allium: address %q: %w", address, err)
	}
	if text == "" {
		return host, 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("allium: port of %q is not between 0 and 65535", address)
	}
	return host, uint16(n), nil
}

// checkNetwork takes the names this package understands: "i2p", and "tcp" and
// "udp" for programs that know no other.
func checkNetwork(network string) error {
	switch network {
	case "i2p", "tcp", "tcp4", "tcp6", "udp":
		return nil
	}
	return net.UnknownNetworkError(network)
}

// await gives the result of a call that calls back, or the context's error.
func await(ctx context.Context, begin func(done func(err error))) error {
	result := make(chan error, 1)
	begin(func(err error) {
		select {
		case result <- err:
		default: // nobody waits any more
		}
	})
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
