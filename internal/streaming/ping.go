package streaming

import (
	"cmp"
	"slices"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/random"
)

// Ping asks the Destination to for a sign of life. done is called in the round
// in which the answer comes. The returned func gives the wait up.
func (ss *Streams) Ping(r *host.Round, to data.Hash, port uint16, done func(r *host.Round)) (stop func(), err error) {
	id := random.Nonzero32()
	ss.mu.Lock()
	if ss.closed || len(ss.pings) >= ss.cfg.MaxPerPeer {
		ss.mu.Unlock()
		return nil, host.ErrFull
	}
	ss.pings[id] = done
	ss.mu.Unlock()
	ping := packet{sendID: id, flags: flagEcho | flagNoAck}
	if err := ss.send(r, to, 0, port, ss.local.seal(nil, ping, to)); err != nil {
		ss.answered(id)
		return nil, err
	}
	return func() { ss.answered(id) }, nil
}

// answered takes the wait for a ping away.
func (ss *Streams) answered(id uint32) func(r *host.Round) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	done := ss.pings[id]
	delete(ss.pings, id)
	return done
}

// echo answers a ping, or ends the wait for one.
func (ss *Streams) echo(r *host.Round, from Sender, fromPort, toPort uint16, p *packet) error {
	if p.sendID == 0 {
		if done := ss.answered(p.receiveID); done != nil {
			done(r)
		}
		return nil
	}
	if !ss.cfg.AnswerPings {
		return nil
	}
	peer, err := p.openOptions(nil)
	if err != nil {
		return err
	}
	if err := p.authentic(r.Now, peer, from); err != nil {
		return err
	}
	if !ss.refuse.AllowN(r.Now, 1) {
		return nil
	}
	pong := packet{receiveID: p.sendID, flags: flagEcho | flagNoAck, payload: p.payload[:min(len(p.payload), maxEcho)]}
	return ss.send(r, peer.Hash(), toPort, fromPort, pong.append(nil))
}

// sortStreams puts streams into an order that does not depend on a map.
func sortStreams(all []*Stream) {
	slices.SortFunc(all, func(a, b *Stream) int { return cmp.Compare(a.m.receiveID, b.m.receiveID) })
}

// stopTimer cancels the stream's next step.
func (s *Stream) stopTimer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
}
