package allium

import (
	"errors"
	"net"
)

// Errors a caller can act on; test with errors.Is. Timeouts satisfy net.Error
// and os.ErrDeadlineExceeded or context.DeadlineExceeded; use after Close is
// net.ErrClosed.
var (
	// ErrNotReady: the router or the session has no tunnels yet. Trying again
	// in some seconds is likely to help; Router.Ready and Session.Ready wait.
	ErrNotReady = errors.New("allium: no tunnels yet")
	// ErrNameUnknown: no address book entry has this host name, or it is not
	// one of I2P at all.
	ErrNameUnknown = errors.New("allium: host name unknown")
	// ErrNoLeaseSet: the network knows no LeaseSet of the Destination, so it is
	// offline, or just coming up.
	ErrNoLeaseSet = errors.New("allium: destination not found")
	// ErrRefused: the Destination answered, and refused the connection.
	ErrRefused = errors.New("allium: connection refused")
	// ErrNetwork: the directory belongs to a router of another network, and
	// what it knows of that one would be dropped.
	ErrNetwork = errors.New("the directory belongs to a router of another network")
)

// ErrClosed is net.ErrClosed: the router or session has been closed.
var ErrClosed = net.ErrClosed
