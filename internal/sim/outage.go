package sim

import "net/netip"

// Partition lets nothing pass between a and b any more.
func (w *World) Partition(a, b *Host) { w.cuts[cutOf(a, b)] = true }

// Heal ends a partition.
func (w *World) Heal(a, b *Host) { delete(w.cuts, cutOf(a, b)) }

// Unplug takes the host's network cable out. The host itself goes on.
func (w *World) Unplug(h *Host) { h.machine.cable = false }

// Plug puts it back.
func (w *World) Plug(h *Host) { h.machine.cable = true }

// Move gives the host other addresses in place of those it has, or none at
// all. What it has connected from the old ones leads nowhere any more; what
// listens on every address goes on. Not for hosts behind a Firewall.
func (w *World) Move(h *Host, addrs ...string) {
	m := h.machine
	for _, a := range m.addrs {
		delete(m.realm.nodes, a)
	}
	m.addrs = nil
	for _, s := range addrs {
		a := netip.MustParseAddr(s)
		m.addrs = append(m.addrs, a)
		m.realm.add(a, m)
	}
}

// Freeze stops the host as suspending it does: nothing is called on it, and
// nothing reaches it, until Thaw. Its clock goes on.
func (w *World) Freeze(h *Host) {
	h.frozen = true
	w.Unplug(h)
}

// Thaw lets it go on. What was to be called meanwhile is called now, in its
// order.
func (w *World) Thaw(h *Host) {
	h.frozen = false
	w.Plug(h)
	for _, do := range h.held {
		if t, ok := do.(*timer); ok && t.f == nil {
			w.events.dead--
			continue
		}
		w.events.at(w.events.now, do)
	}
	h.held = nil
}

// holds keeps for Thaw what is to be called on a frozen host, and reports
// whether it did.
func (h *Host) holds(do action) bool {
	if h.frozen {
		h.held = append(h.held, do)
	}
	return h.frozen
}

// strayed tells that the stream's own address is one its machine no longer
// has.
func (s *stream) strayed() bool { return !s.host.machine.has(s.local.Addr()) }
