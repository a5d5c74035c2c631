//go:build !linux

package host

import "net"

// limitSilence does nothing where the system decides how long to try.
func (p *Portable) limitSilence(*net.TCPConn) {}
