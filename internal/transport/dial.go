package transport

import (
	"errors"
	"slices"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/transport/block"
	"allium/internal/transport/ntcp2"
)

const (
	// maxDials is how many routers may be dialled at a time, and
	// maxDialsForOthers how many of them for nothing of our own: whoever has
	// us in tunnels decides whom we have to reach.
	maxDials          = 512
	maxDialsForOthers = maxDials / 2
	// maxTries is how many addresses of a router are tried in one go.
	maxTries = 3
)

// dial is an attempt to reach a router. There is one for a router at a time,
// and one session of it. Transport.mu guards it.
type dial struct {
	ri      *data.RouterInfo // the newest that was looked at
	tried   []candidate      // the addresses so far, the present one last
	began   time.Time        // when that one was dialled
	session *ntcp2.Session   // with that one; nil for the moment until it is known
	own     bool             // it is of use to ourselves
	waiting waiting
}

// next chooses another address to try, if the newest RouterInfo has one. The
// lock is held.
func (d *dial) next(t *Transport, now time.Time, ri *data.RouterInfo) bool {
	d.ri = ri
	if len(d.tried) == maxTries {
		return false
	}
	for _, c := range t.candidates(now, ri) {
		if !slices.Contains(d.tried, c) {
			d.tried, d.session = append(d.tried, c), nil
			return true
		}
	}
	return false
}

// reach gives the session to a router if one stands. Otherwise first, unless
// it is nil, waits until a dial has come to its end, which is begun if need
// be.
func (t *Transport) reach(r *host.Round, to data.Hash, first *parcel) (*ntcp2.Session, error) {
	if to == t.self.Hash {
		return nil, ErrSelf
	}
	t.mu.Lock()
	s, under, err := t.join(to, first)
	t.mu.Unlock()
	if s != nil || under || err != nil {
		return s, err
	}
	if t.up.Banned(r.Now, to) {
		return nil, ErrBanned
	}
	ri := t.known.RouterInfo(to)
	if ri == nil {
		return nil, ErrUnknownRouter
	}
	d := &dial{}
	t.mu.RLock()
	dialable := d.next(t, r.Now, ri)
	t.mu.RUnlock()
	if !dialable {
		return nil, ErrNoAddress
	}
	return t.begin(r, to, d, first)
}

// join gives the session to a router, or has first wait for a dial that is
// under way. Under mu.
func (t *Transport) join(to data.Hash, first *parcel) (s *ntcp2.Session, under bool, err error) {
	if t.closed {
		return nil, false, host.ErrClosed
	}
	if s := t.table.peers[to]; s != nil {
		return s, false, nil
	}
	d := t.dials[to]
	if d == nil {
		return nil, false, nil
	}
	return nil, true, t.wait(d, first)
}

// mayBegin tells whether one more router may be dialled, for ourselves or for
// others. Theirs also take no place of a session that is in use. Under mu.
func (t *Transport) mayBegin(now time.Time, own bool) bool {
	if own || len(t.dials) >= maxDials {
		return len(t.dials) < maxDials
	}
	others := 0
	for _, d := range t.dials {
		if !d.own {
			others++
		}
	}
	return others < maxDialsForOthers && t.hasRoom(now)
}

// wait has a message, unless it is nil, wait for a dial. Under mu.
func (t *Transport) wait(d *dial, p *parcel) error {
	d.own = d.own || own(p)
	if p == nil {
		return nil
	}
	dropped, err := d.waiting.push(*p)
	t.stats.dropped.Add(uint64(dropped))
	return err
}

// begin begins a dial, unless another call was faster.
func (t *Transport) begin(r *host.Round, to data.Hash, d *dial, first *parcel) (*ntcp2.Session, error) {
	t.mu.Lock()
	s, under, err := t.join(to, first)
	switch {
	case s != nil || under || err != nil:
	case t.resting.holds(r.Now, d.ri):
		err = ErrUnreachable
	case !t.mayBegin(r.Now, own(first)):
		err = host.ErrFull
	default:
		err = t.wait(d, first)
	}
	if s != nil || under || err != nil {
		t.mu.Unlock()
		return s, err
	}
	t.dials[to] = d
	t.mu.Unlock()
	t.try(r, to, d)
	return nil, nil
}

// try dials the address that was chosen last.
func (t *Transport) try(r *host.Round, to data.Hash, d *dial) {
	t.mu.Lock()
	ri, tries, at, class := d.ri, len(d.tried), d.tried[len(d.tried)-1], bandwidth.Transit
	if d.own {
		class = bandwidth.Own
	}
	d.began = r.Now
	t.mu.Unlock()
	t.stats.dialled.Add(1)
	s, err := t.ntcp2.Dial(r, at.local, at.to, ri, class)
	if err != nil {
		t.missed(r, to, err)
		return
	}
	t.mu.Lock()
	// The session may have ended by now, and another one begun.
	if len(d.tried) == tries {
		d.session = s
	}
	closed := t.closed
	t.mu.Unlock()
	if closed {
		s.Close(r, block.RouterShutdown)
	}
}

// missed goes on with the next address of a router after one at which it was
// not reached, and gives up when there is none. A dial is of no more use when
// the router has dialled us meanwhile.
func (t *Transport) missed(r *host.Round, peer data.Hash, cause error) {
	newest := t.known.RouterInfo(peer)
	t.mu.Lock()
	d := t.dials[peer]
	switch {
	case d == nil: // closed
		t.mu.Unlock()
		return
	case t.table.peers[peer] != nil:
		delete(t.dials, peer)
		t.mu.Unlock()
		return
	}
	if newest == nil {
		newest = d.ri
	}
	if ours := errors.Is(cause, host.ErrTimeout) || errors.Is(cause, host.ErrUnreachable); ours {
		f := d.tried[len(d.tried)-1].family()
		t.here.ways[f].missed(r.Now, &t.here.ways[families-1-f])
	}
	if worthwhile(cause) && d.next(t, r.Now, newest) {
		t.mu.Unlock()
		t.try(r, peer, d)
		return
	}
	delete(t.dials, peer)
	cause = t.judge(r.Now, d.began, cause)
	t.resting.add(r.Now, d.ri, cause)
	lost := len(d.waiting.take())
	t.mu.Unlock()
	t.stats.failed.Add(1)
	t.stats.dropped.Add(uint64(lost))
	t.up.Failed(r, peer, cause)
}

// worthwhile tells whether to try another address of a router: not when it was
// there and one side would not have the other.
func worthwhile(cause error) bool {
	var told *ntcp2.Termination
	return !errors.As(cause, &told) && !errors.Is(cause, ntcp2.ErrClockSkew)
}
