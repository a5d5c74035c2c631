package ntcp2

import (
	"bytes"
	"fmt"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/noise"
	"allium/internal/random"
	"allium/internal/transport/block"
)

const (
	// After a bad frame at least minBroken bytes are read, up to randomBroken
	// more, or for brokenTimeout at most, before it shows.
	minBroken     = 18
	randomBroken  = 1024
	brokenTimeout = 10 * time.Second
)

// receive opens the frames in b and hands up what is in them.
func (s *Session) receive(r *host.Round, b []byte) {
	for len(b) > 0 && !s.ended.Load() {
		if s.broken != nil {
			s.swallowBroken(r, len(b))
			return
		}
		payload, rest, ok, err := s.in.next(b)
		switch {
		case err != nil:
			s.breakOff(r, err, len(b))
			return
		case !ok:
			return
		}
		b = rest
		s.framesIn.Add(1)
		now := r.Now.UnixNano()
		s.active.Store(now)
		s.heard.Store(now)
		for c, n := range spread(s.deliver(r, payload), lengthSize+len(payload)+noise.Overhead) {
			s.served[c] += n
		}
	}
}

// breakOff ends a session whose frames do not open any more, at a moment that
// does not tell which byte was wrong.
func (s *Session) breakOff(r *host.Round, err error, n int) {
	err = fmt.Errorf("%w: %w", err, &Termination{Reason: block.AEADFailure})
	s.broken = err
	s.drain = minBroken + random.IntN(randomBroken)
	s.schedule(random.Between(0, brokenTimeout), func(r *host.Round) { s.terminate(r, err) })
	s.swallowBroken(r, n)
}

// swallowBroken counts bytes after a bad frame.
func (s *Session) swallowBroken(r *host.Round, n int) {
	s.drain -= n
	if s.drain <= 0 {
		s.terminate(r, s.broken)
	}
}

// deliver hands up the blocks of a frame, and sorts the bytes of its messages.
// Types that are not known are passed over, and so is what cannot be read, as
// all routers do.
func (s *Session) deliver(r *host.Round, payload []byte) (served bandwidth.Bytes) {
	blocks := block.NewReader(payload)
	for blocks.Next() && !s.ended.Load() {
		var err error
		switch blocks.Type {
		case block.TypeI2NP:
			var c bandwidth.Class
			if c, err = s.deliverMessage(r, blocks.Data); err == nil {
				served[c] += len(blocks.Data)
			}
		case block.TypeDateTime:
			err = s.deliverTime(r, blocks.Data)
		case block.TypeRouterInfo:
			err = s.deliverRouterInfo(blocks.Data)
		case block.TypeTerminationNTCP2:
			err = s.deliverTermination(blocks.Data)
		}
		if err != nil {
			s.malformed.Add(1)
		}
	}
	if blocks.Err() != nil {
		s.malformed.Add(1)
	}
	return served
}

func (s *Session) deliverMessage(r *host.Round, b []byte) (bandwidth.Class, error) {
	m, err := i2np.ParseShort(b)
	if err != nil {
		return 0, err
	}
	s.messagesIn.Add(1)
	s.dataIn.Add(uint64(len(b)))
	return s.e.up.Message(r, s, m), nil
}

func (s *Session) deliverTime(r *host.Round, b []byte) error {
	t, err := block.ParseDateTime(b)
	if err != nil {
		return err
	}
	skew := t.Sub(r.Now)
	s.e.up.ClockSkew(r, s.Peer(), s.remote, skew)
	if isSkewed(skew) {
		s.terminate(r, refusal(block.ClockSkew, "DateTime", ErrClockSkew))
	}
	return nil
}

func (s *Session) deliverTermination(b []byte) error {
	t, err := block.ParseTermination(b)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.end(&Termination{Reason: t.Reason, ByPeer: true})
	s.mu.Unlock()
	s.stream.Close()
	return nil
}

// deliverRouterInfo has a worker verify a new RouterInfo of the peer and hand
// it up. While one is being verified, and when all workers have enough to do,
// others are left aside: they are sent again.
func (s *Session) deliverRouterInfo(b []byte) error {
	raw, flood, err := block.ParseRouterInfo(b)
	if err != nil {
		return err
	}
	if len(raw) > data.MaxRouterInfo || !flood && bytes.Equal(raw, s.RouterInfo().Bytes()) || s.checking.Swap(true) {
		return nil
	}
	raw = bytes.Clone(raw)
	if !s.e.host.Serve(func(r *host.Round) { s.checkRouterInfo(r, raw, flood) }) {
		s.checking.Store(false)
	}
	return nil
}

// checkRouterInfo runs on a worker.
func (s *Session) checkRouterInfo(r *host.Round, raw []byte, flood bool) {
	defer s.checking.Store(false)
	before := s.RouterInfo()
	ri, err := data.ParseRouterInfo(raw)
	if err != nil || ri.Hash() != before.Hash() || ri.Published().Before(before.Published()) || ri.Verify() != nil {
		return
	}
	s.mu.Lock()
	s.ri = ri
	s.mu.Unlock()
	if !s.ended.Load() {
		s.e.up.RouterInfo(r, s, ri, flood)
	}
}
