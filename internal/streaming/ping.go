package streaming

import (
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/random"
)

// ping is a wait for a sign of life.
type ping struct {
	to   data.Hash
	done func(r *host.Round)
}

// Ping asks the Destination to for a sign of life. done is called in the round
// in which the answer comes, and never if none does. The returned func gives
// the wait up; it must be called.
func (ss *Streams) Ping(r *host.Round, to data.Hash, port uint16, done func(r *host.Round)) (stop func(), err error) {
	ss.mu.Lock()
	if ss.closed {
		ss.mu.Unlock()
		return nil, ErrClosed
	}
	if len(ss.pings) >= ss.cfg.MaxPerPeer {
		ss.mu.Unlock()
		return nil, host.ErrFull
	}
	id := random.Nonzero32()
	ss.pings[id] = ping{to, done}
	ss.mu.Unlock()
	stop = func() {
		ss.mu.Lock()
		defer ss.mu.Unlock()
		delete(ss.pings, id)
	}
	p := packet{sendID: id, flags: flagEcho | flagNoAck}
	if err := ss.send(r, to, 0, port, ss.local.seal(nil, &p, &to)); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// echo answers a ping, or ends the wait for one.
func (ss *Streams) echo(r *host.Round, from Sender, fromPort, toPort uint16, p *packet) error {
	if p.sendID == 0 {
		ss.pong(r, from, p.receiveID)
		return nil
	}
	if !ss.cfg.AnswerPings || !ss.strangers.AllowN(r.Now, 1) {
		return nil
	}
	peer, err := p.openOptions(identity{})
	if err != nil {
		return err
	}
	if err := p.authentic(r.Now, peer, identity{}, from); err != nil {
		return err
	}
	pong := packet{receiveID: p.sendID, flags: flagEcho | flagNoAck, payload: p.payload[:min(len(p.payload), maxEcho)]}
	return ss.send(r, peer.destination.Hash(), toPort, fromPort, pong.append(nil))
}

// pong ends the wait for the answer to a ping.
func (ss *Streams) pong(r *host.Round, from Sender, id uint32) {
	ss.mu.Lock()
	waiting, ok := ss.pings[id]
	ok = ok && (!from.Bound || from.Hash == waiting.to)
	if ok {
		delete(ss.pings, id)
	}
	ss.mu.Unlock()
	if ok {
		waiting.done(r)
	}
}
