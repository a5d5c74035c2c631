package allium

import (
	"allium/internal/destination"
	"allium/internal/host"
)

// packets are the datagrams of a session.
type packets struct{ s *Session }

func newPackets(s *Session) *packets { return &packets{s} }

func (p *packets) receive(*host.Round, destination.Sender, destination.Message) {}

func (p *packets) close() {}
