package destination

import (
	"slices"
	"time"

	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/tunnel/pool"
	"allium/internal/x25519"
)

const (
	// maxPeers bounds the peers whose state is kept, and peersTrimmed is how
	// many make room at a time.
	maxPeers     = 4096
	peersTrimmed = maxPeers / 8
	// peerLife is how long a peer is kept that no message is exchanged with.
	peerLife = 12 * time.Minute
	// A peer that does not hear from us is told of new leases so long before
	// the end of those it knows, again until it has confirmed, and a while
	// beyond the end.
	tellBefore = 2 * time.Minute
	tellAgain  = 10 * time.Second
	tellUntil  = 30 * time.Second
	// maxTold is how many are told at a time.
	maxTold = 128
)

// peer is what we know of another Destination.
type peer struct {
	hash data.Hash
	used time.Time // when the last message was sent or received
	// partner is a peer we looked for, or that has shown to hear us. Those
	// that only wrote to us make room before them.
	partner bool

	// key is that of its sessions, zero until known, and proved tells that it
	// came along in one of them.
	key    x25519.PublicKey
	proved bool

	// entry is its LeaseSet, and leases are those of it, the longest first.
	entry  data.LeaseSetEntry
	leases []data.Lease
	out    *pool.Outbound // the pair in use
	lease  data.Lease

	heardAt    time.Time // when it last said anything
	unanswered time.Time // since when it was sent something and said nothing
	silences   int       // how many pairs were in vain since
	// proof is the delivery, sent at askedAt through the pair in use, whose
	// acknowledgement would prove that the pair works; zero if there is none.
	// acknowledges tells that the peer does such things.
	proof        garlic.Handle
	askedAt      time.Time
	acknowledges bool

	// told is the number of the last of our LeaseSets it was told, confirmed
	// that it has acknowledged it, and knowsUntil when the one ends that it is
	// known to have.
	told       garlic.Handle
	toldAt     time.Time
	confirmed  bool
	knowsUntil time.Time

	deliveries garlic.Handle // that were tracked

	looking   bool
	refreshed time.Time
	queued    []Message
	waiters   []func(r *host.Round, err error)
}

// peers are those of a Destination. Its lock guards them.
type peers struct {
	byHash map[data.Hash]*peer
	byKey  map[x25519.PublicKey]*peer
	queued int // bytes that wait for LeaseSets
}

func newPeers() peers {
	return peers{byHash: make(map[data.Hash]*peer), byKey: make(map[x25519.PublicKey]*peer)}
}

// get finds a peer, or makes room for it and notes it.
func (ps *peers) get(now time.Time, h data.Hash) *peer {
	if p := ps.byHash[h]; p != nil {
		return p
	}
	if len(ps.byHash) >= maxPeers {
		ps.trim()
	}
	p := &peer{hash: h, used: now}
	ps.byHash[h] = p
	return p
}

// trim makes room: of those that only wrote to us, then of all, those not used
// for longest.
func (ps *peers) trim() {
	all := ps.sorted(func(p *peer) bool { return !p.looking })
	slices.SortStableFunc(all, func(a, b *peer) int {
		if a.partner != b.partner {
			if b.partner {
				return -1
			}
			return 1
		}
		return a.used.Compare(b.used)
	})
	for _, p := range all[:min(len(all), peersTrimmed)] {
		ps.drop(p)
	}
}

// sorted are the peers that match, in the order of their hashes.
func (ps *peers) sorted(match func(p *peer) bool) []*peer {
	var all []*peer
	for _, p := range ps.byHash {
		if match(p) {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b *peer) int { return a.hash.Compare(b.hash) })
	return all
}

func (ps *peers) drop(p *peer) {
	delete(ps.byHash, p.hash)
	if ps.byKey[p.key] == p {
		delete(ps.byKey, p.key)
	}
}

// bind notes which key a peer's sessions have. proved tells that whoever holds
// the key has said so; that a LeaseSet names it is less, for anybody may put
// the key of another into his.
func (ps *peers) bind(p *peer, key x25519.PublicKey, proved bool) {
	if p.key != key {
		if ps.byKey[p.key] == p {
			delete(ps.byKey, p.key)
		}
		p.key, p.proved = key, false
	}
	p.proved = p.proved || proved
	if proved || ps.byKey[key] == nil {
		ps.byKey[key] = p
	}
}

// enqueue keeps a message until the peer's LeaseSet has been found.
func (ps *peers) enqueue(p *peer, m Message) {
	p.queued = append(p.queued, m)
	ps.queued += len(m.Payload)
}

// found takes what has waited for the peer's LeaseSet.
func (ps *peers) found(now time.Time, p *peer) (queued []Message, waiters []func(r *host.Round, err error)) {
	queued, waiters = p.queued, p.waiters
	p.looking, p.refreshed = false, now
	p.queued, p.waiters = nil, nil
	for _, m := range queued {
		ps.queued -= len(m.Payload)
	}
	return queued, waiters
}

func (ps *peers) expire(now time.Time) {
	for _, p := range ps.byHash {
		if !p.looking && now.Sub(p.used) > peerLife {
			ps.drop(p)
		}
	}
}

// A delivery is tracked by a handle: which one it is, counted for each peer,
// whether it asks for an acknowledgement in so many words, as those of existing
// sessions do, and which of our LeaseSets it brings, zero for none.
const (
	deliveryShift = 32
	asksBit       = 1 << 31
	leaseSetMask  = asksBit - 1
)

// track gives the handle of a delivery that brings our LeaseSet of a number,
// and notes that it is to prove the pair in use, if nothing else is to yet.
func (p *peer) track(now time.Time, leaseSet garlic.Handle, form garlic.Form) garlic.Handle {
	p.deliveries++
	h := p.deliveries<<deliveryShift | leaseSet&leaseSetMask
	if form == garlic.ExistingSession {
		h |= asksBit
	}
	if p.proof == 0 {
		p.proof, p.askedAt = h, now
	}
	return h
}

// acknowledged notes that the peer has got a delivery.
func (p *peer) acknowledged(h garlic.Handle, own *leases) {
	p.acknowledges = p.acknowledges || h&asksBit != 0
	if h>>deliveryShift >= p.proof>>deliveryShift {
		p.proof = 0 // a later one proves as much
	}
	number := h & leaseSetMask
	if number == 0 || number != p.told&leaseSetMask {
		return
	}
	p.confirmed = true
	if p.told == own.number && own.current != nil {
		p.knowsUntil = own.current.Expires()
	}
}

// lost notes that a tracked delivery was not acknowledged: what LeaseSet it
// brought comes again with the next message.
func (ps *peers) lost(l garlic.Lost) {
	p := ps.byKey[l.Remote]
	if p == nil {
		return
	}
	if l.Handle == p.proof {
		p.proof = 0
	}
	if number := l.Handle & leaseSetMask; number != 0 && number == p.told&leaseSetMask && !p.confirmed {
		p.toldAt = time.Time{}
	}
}

// outdated are the peers that should hear of our leases although there is
// nothing to send: they know others, which will end.
func (ps *peers) outdated(now time.Time, own *leases) []*peer {
	if !own.reachable(now) {
		return nil
	}
	all := ps.sorted(func(p *peer) bool {
		left := p.knowsUntil.Sub(now)
		return !p.knowsUntil.IsZero() && left < tellBefore && left > -tellUntil &&
			(p.told != own.number || !p.confirmed && now.Sub(p.toldAt) >= tellAgain)
	})
	return all[:min(len(all), maxTold)]
}

// clear gives up all peers and returns those who wait for a LeaseSet.
func (ps *peers) clear() []func(r *host.Round, err error) {
	var waiters []func(r *host.Round, err error)
	for _, p := range ps.sorted(func(p *peer) bool { return len(p.waiters) > 0 }) {
		waiters = append(waiters, p.waiters...)
	}
	*ps = newPeers()
	return waiters
}
