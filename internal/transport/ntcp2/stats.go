package ntcp2

import (
	"errors"
	"sync/atomic"

	"allium/internal/bandwidth"
	"allium/internal/host"
)

// Stats counts what has become of connections since the start.
type Stats struct {
	// Inbound and Outbound are sessions that were established.
	Inbound, Outbound uint64
	// HalfOpen is how many inbound handshakes are under way.
	HalfOpen int
	// Crowded are connections refused because too many were half open.
	Crowded uint64
	// Inbound handshakes that failed, by what was wrong: nobody who knows us,
	// a replay, another network, the clock, the time it took, and all else.
	Probes, Replays, WrongNetwork, Skewed, TimedOut, Failed uint64
}

// counts is Stats in the making.
type counts struct {
	inbound, outbound, crowded                          atomic.Uint64
	probes, replays, networks, skewed, timedOut, failed atomic.Uint64
}

// Stats gives the counts so far.
func (e *Endpoint) Stats() Stats {
	e.mu.Lock()
	halfOpen := e.waiting
	e.mu.Unlock()
	c := &e.stats
	return Stats{
		Inbound:      c.inbound.Load(),
		Outbound:     c.outbound.Load(),
		HalfOpen:     halfOpen,
		Crowded:      c.crowded.Load(),
		Probes:       c.probes.Load(),
		Replays:      c.replays.Load(),
		WrongNetwork: c.networks.Load(),
		Skewed:       c.skewed.Load(),
		TimedOut:     c.timedOut.Load(),
		Failed:       c.failed.Load(),
	}
}

func (c *counts) established(inbound bool) {
	if inbound {
		c.inbound.Add(1)
	} else {
		c.outbound.Add(1)
	}
}

func (c *counts) refused(err error) {
	switch {
	case errors.Is(err, ErrProbe):
		c.probes.Add(1)
	case errors.Is(err, ErrReplay):
		c.replays.Add(1)
	case errors.Is(err, ErrNetwork):
		c.networks.Add(1)
	case errors.Is(err, ErrClockSkew):
		c.skewed.Add(1)
	case errors.Is(err, host.ErrTimeout):
		c.timedOut.Add(1)
	default:
		c.failed.Add(1)
	}
}

// Traffic is an amount of messages, and their size with short headers in
// bytes.
type Traffic struct {
	Messages, Bytes uint64
}

// Counters is what has passed in one session.
type Counters struct {
	// In is what the peer has sent, and Sent what was sealed for it.
	In   Traffic
	Sent [bandwidth.Classes]Traffic
	// WireIn and WireOut are bytes of the connection, handshake included.
	WireIn, WireOut uint64
	// Waiting is how many bytes of messages wait to be sealed.
	Waiting uint64
	// Dropped are messages that found no room or waited too long, and Expired
	// those whose time was over before they could be sealed.
	Dropped, Expired uint64
	// Malformed are blocks of the peer that could not be read.
	Malformed uint64
}
