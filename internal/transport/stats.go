package transport

import (
	"errors"
	"io"
	"maps"
	"slices"
	"sync/atomic"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/transport/ntcp2"
)

// counts is what has happened so far.
type counts struct {
	dialled, accepted, failed, evicted, refused, dropped atomic.Uint64
}

// Stats is what the transport has and has done so far.
type Stats struct {
	// Sessions stand now, Inbound ones of them were dialled by the peer, and
	// Dialling more are under way from here.
	Sessions int `json:"sessions"`
	Inbound  int `json:"inbound"`
	Dialling int `json:"dialling"`
	// Dialled counts the addresses of routers that were dialled, Accepted the
	// peers that dialled us, Failed the routers that could not be reached.
	Dialled  uint64 `json:"dialled"`
	Accepted uint64 `json:"accepted"`
	Failed   uint64 `json:"failed"`
	// Evicted counts sessions closed because there were too many, Refused the
	// peers that were not taken for that reason.
	Evicted uint64 `json:"evicted"`
	Refused uint64 `json:"refused"`
	// Dropped counts messages that waited for a dial in vain.
	Dropped uint64 `json:"dropped"`
	// Ended counts established sessions that are gone, by why.
	Ended map[string]uint64 `json:"ended"`
}

// Stats tells what the transport has done so far.
func (t *Transport) Stats() Stats {
	s := Stats{
		Dialled:  t.stats.dialled.Load(),
		Accepted: t.stats.accepted.Load(),
		Failed:   t.stats.failed.Load(),
		Evicted:  t.stats.evicted.Load(),
		Refused:  t.stats.refused.Load(),
		Dropped:  t.stats.dropped.Load(),
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	s.Sessions, s.Inbound, s.Dialling = t.table.count, t.table.inbound, len(t.dials)
	s.Ended = maps.Clone(t.ended)
	return s
}

// ends are the errors of sessions that end without a Termination, in words.
var ends = []struct {
	err   error
	words string
}{
	{io.EOF, "closed by peer"},
	{host.ErrClosed, "closed"},
	{host.ErrReset, "reset"},
	{host.ErrTimeout, "timed out"},
	{host.ErrUnreachable, "unreachable"},
	{ntcp2.ErrStalled, ntcp2.ErrStalled.Error()},
}

// end says in a few words why a session ended.
func end(cause error) string {
	if told, ok := errors.AsType[*ntcp2.Termination](cause); ok {
		if told.ByPeer {
			return "peer: " + told.Reason.String()
		}
		return told.Reason.String()
	}
	for _, e := range ends {
		if errors.Is(cause, e.err) {
			return e.words
		}
	}
	return "other"
}

// Peers are the routers we have a session with, in order.
func (t *Transport) Peers() []data.Hash {
	t.mu.RLock()
	all := make([]data.Hash, 0, len(t.table.peers))
	for peer := range t.table.peers {
		all = append(all, peer)
	}
	t.mu.RUnlock()
	slices.SortFunc(all, data.Hash.Compare)
	return all
}
