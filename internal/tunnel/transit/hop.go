package transit

import (
	"net/netip"
	"sync/atomic"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/tunnel"
	"allium/internal/tunnel/build"
)

// hop is what we are in one tunnel of somebody else.
type hop struct {
	t          *Transit
	role       build.Role
	receive    tunnel.ID
	next       tunnel.ID
	previous   data.Hash    // zero of an inbound gateway whose request came out of a tunnel
	subnet     netip.Prefix // of previous
	nextRouter data.Hash
	layer      tunnel.Layer
	end        *tunnel.Endpoint // of an outbound endpoint
	expires    time.Time

	relayed, limited atomic.Uint64 // messages
}

// TunnelData implements tunnel.Receiver. Messages come from the router that
// sent the build or are not of this tunnel.
func (h *hop) TunnelData(r *host.Round, from data.Hash, message i2np.TunnelData) {
	t := h.t
	if h.role == build.InboundGateway || from != h.previous {
		t.counts.dropped[Misdirected].Add(1)
		return
	}
	s := r.Gather(host.Encrypt, t).(*haul)
	switch {
	case s.tooMuch(r.Now):
		h.limited.Add(1)
		t.counts.dropped[Limited].Add(1)
	case t.replays.Seen(r.Now, message):
		t.counts.dropped[Duplicate].Add(1)
	default:
		s.passing = append(s.passing, passage{h, message})
	}
}

// TunnelGateway implements tunnel.Receiver. Anyone may send into an inbound
// gateway. What comes from ourselves has been let in before, or is our own.
func (h *hop) TunnelGateway(r *host.Round, from data.Hash, message []byte) {
	t := h.t
	if h.role != build.InboundGateway {
		t.counts.dropped[Misdirected].Add(1)
		return
	}
	s := r.Gather(host.Encrypt, t).(*haul)
	if from != t.self && s.tooMuch(r.Now) {
		h.limited.Add(1)
		t.counts.dropped[Limited].Add(1)
		return
	}
	if s.pack(h, message) != nil {
		t.counts.dropped[Malformed].Add(1)
	}
}

// Class implements tunnel.Receiver.
func (h *hop) Class() bandwidth.Class { return bandwidth.Transit }

// close takes the hop out of the table.
func (h *hop) close() {
	h.t.table.Remove(h.receive)
	if h.end != nil {
		h.end.Close()
	}
}
