package router

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/garlic"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/netdb"
	"allium/internal/transport"
	"allium/internal/tunnel"
)

// counts is what happened to messages.
type counts struct {
	received, malformed, expired, repeated, unknown, busy, undeliverable atomic.Uint64
}

// incoming is the router as its transports see it. They listen before the
// rest of the router is made: what comes so early is not for it.
type incoming struct{ *Router }

// Message implements transport.Handler.
func (in incoming) Message(r *host.Round, from data.Hash, m i2np.Message) bandwidth.Class {
	if !in.running.Load() {
		return bandwidth.Control
	}
	in.counts.received.Add(1)
	return in.dispatch(r, from, m)
}

// RouterInfo implements transport.Handler: a peer's own, straight from it.
func (in incoming) RouterInfo(r *host.Round, ri *data.RouterInfo, _ bool) {
	if added, err := in.db.Proven(r.Now, ri); err == nil && added == netdb.First {
		in.log.Debug("router learned from its session", "router", ri)
	}
}

// Connected implements transport.Handler.
func (in incoming) Connected(r *host.Round, peer data.Hash) {
	in.db.Reached(r.Now, peer)
	in.profiles.Connected(r.Now, peer)
}

// Failed implements transport.Handler.
func (in incoming) Failed(r *host.Round, peer data.Hash, err error) {
	if !in.running.Load() {
		return
	}
	in.log.Debug("router not reached", "router", peer, "err", err)
	if !errors.Is(err, transport.ErrOffline) && !errors.Is(err, host.ErrUnreachable) {
		in.db.Missed(r.Now, peer)
		in.profiles.DialFailed(r.Now, peer)
	}
	in.builder.PeerFailed(r, peer)
}

// Banned implements transport.Handler.
func (in incoming) Banned(now time.Time, peer data.Hash) bool {
	return in.profiles.Banned(now, peer)
}

// dispatch hands a message to whom it concerns, and gives whom it serves.
// Tunnel messages come first: they are almost all there is. from is our own
// hash for what we send to ourselves, and zero for what came out of somebody's
// tunnel.
func (rt *Router) dispatch(r *host.Round, from data.Hash, m i2np.Message) bandwidth.Class {
	switch m.Type {
	case i2np.TypeTunnelData:
		return rt.tunnelData(r, from, m)
	case i2np.TypeTunnelGateway:
		return rt.tunnelGateway(r, from, m)
	}
	if m.CheckExpiration(r.Now) != nil {
		rt.counts.expired.Add(1)
		return bandwidth.Control
	}
	if from != rt.hash && rt.repeated(r.Now, m) {
		rt.counts.repeated.Add(1)
		return bandwidth.Control
	}
	if rt.answers(r, from, m) {
		return bandwidth.Own
	}
	rt.serve(r, from, m)
	return bandwidth.Control
}

// answers takes a message that we wait for, and reports false for all others.
func (rt *Router) answers(r *host.Round, from data.Hash, m i2np.Message) bool {
	switch m.Type {
	case i2np.TypeShortTunnelBuild:
		return rt.builder.Reply(r, m)
	case i2np.TypeGarlic:
		return rt.expected(r, m)
	case i2np.TypeDatabaseStore, i2np.TypeDatabaseSearchReply, i2np.TypeDeliveryStatus:
		return rt.explore.query.Handle(r, from, m)
	}
	return false
}

// serve does what others ask of us. What may have to be answered is dropped
// when there is no bandwidth for answers; requests for tunnels wait for it.
func (rt *Router) serve(r *host.Round, from data.Hash, m i2np.Message) {
	switch m.Type {
	case i2np.TypeShortTunnelBuild:
		rt.transit.Request(r, from, m)
		return
	case i2np.TypeGarlic, i2np.TypeDatabaseStore, i2np.TypeDatabaseLookup:
		if rt.limiter.Wait(r.Now, bandwidth.Out, bandwidth.Control) > 0 {
			rt.counts.busy.Add(1)
			return
		}
	}
	switch m.Type {
	case i2np.TypeGarlic:
		rt.garlic(r, from, m)
	case i2np.TypeDatabaseStore:
		rt.floodfill.Store(r, from, m)
	case i2np.TypeDatabaseLookup:
		rt.floodfill.Lookup(r, from, m)
	case i2np.TypeDatabaseSearchReply, i2np.TypeDeliveryStatus:
	default:
		rt.counts.unknown.Add(1)
	}
}

// repeated tells a message that came before: whoever copies one must not see
// it answered twice.
func (rt *Router) repeated(now time.Time, m i2np.Message) bool {
	var key [16]byte
	key[0] = byte(m.Type)
	binary.BigEndian.PutUint32(key[1:], m.ID)
	binary.BigEndian.PutUint64(key[8:], uint64(m.Expiration.UnixMilli()))
	return rt.seen.Seen(now, key[:])
}

func (rt *Router) tunnelData(r *host.Round, from data.Hash, m i2np.Message) bandwidth.Class {
	d, err := i2np.ParseTunnelData(m.Body)
	if err != nil {
		rt.counts.malformed.Add(1)
		rt.misbehaved(r.Now, from)
		return bandwidth.Transit
	}
	t, ok := rt.table.Lookup(tunnel.ID(d.TunnelID()))
	if !ok {
		rt.counts.unknown.Add(1)
		return bandwidth.Transit
	}
	t.TunnelData(r, from, d)
	return t.Class()
}

// banFor is how long a router is banned that does not keep to the protocol.
const banFor = 10 * time.Minute

// misbehaved bans a peer that has sent a tunnel message of a wrong size. Of all
// that can be wrong with messages this is what nobody but the peer itself can
// have caused: others have their part in most of what it passes on, and must
// not be able to get it banned.
func (rt *Router) misbehaved(now time.Time, peer data.Hash) {
	if peer != rt.hash && !peer.IsZero() {
		rt.profiles.Ban(peer, "tunnel message of a wrong size", now.Add(banFor))
	}
}

func (rt *Router) tunnelGateway(r *host.Round, from data.Hash, m i2np.Message) bandwidth.Class {
	g, err := i2np.ParseTunnelGateway(m.Body)
	if err != nil {
		rt.counts.malformed.Add(1)
		return bandwidth.Transit
	}
	t, ok := rt.table.Lookup(tunnel.ID(g.TunnelID))
	if !ok {
		rt.counts.unknown.Add(1)
		return bandwidth.Transit
	}
	t.TunnelGateway(r, from, g.Message)
	return t.Class()
}

// expected takes garlic that is an answer we wait for, and reports false for
// all other.
func (rt *Router) expected(r *host.Round, m i2np.Message) bool {
	g, err := i2np.ParseGarlic(m.Body)
	return err == nil && rt.explore.opened(r, g.Data)
}

// garlic opens garlic for the router itself, a request that came through
// somebody's tunnel.
func (rt *Router) garlic(r *host.Round, from data.Hash, m i2np.Message) {
	g, err := i2np.ParseGarlic(m.Body)
	if err != nil {
		rt.counts.malformed.Add(1)
		return
	}
	if !rt.garlicShare.allow(r.Now, from, rt.transport.Subnet(from)) {
		rt.counts.busy.Add(1)
		return
	}
	if rt.opening.Add(1) > maxOpening {
		rt.opening.Add(-1)
		rt.counts.busy.Add(1)
		return
	}
	sealed := bytes.Clone(g.Data)
	if !rt.h.Serve(func(r *host.Round) { defer rt.opening.Add(-1); rt.open(r, sealed) }) {
		rt.opening.Add(-1)
		rt.counts.busy.Add(1)
	}
}

// open opens what was sealed for our router key.
func (rt *Router) open(r *host.Round, sealed []byte) {
	cloves, err := garlic.OpenRouter(r.Now, &rt.id.Encryption, rt.garlics, sealed)
	if err != nil {
		rt.counts.malformed.Add(1)
		return
	}
	for _, c := range cloves {
		if c.Kind != garlic.Local || c.Message.CheckExpiration(r.Now) != nil {
			rt.counts.unknown.Add(1)
			continue
		}
		rt.request(r, c.Message)
	}
}

// request does what a router may be asked to through tunnels, by nobody it
// could tell.
func (rt *Router) request(r *host.Round, m i2np.Message) {
	var nobody data.Hash
	switch m.Type {
	case i2np.TypeDatabaseLookup:
		rt.floodfill.Lookup(r, nobody, m)
	case i2np.TypeDatabaseStore:
		rt.floodfill.Store(r, nobody, m)
	case i2np.TypeShortTunnelBuild:
		rt.transit.Request(r, nobody, m)
	default:
		rt.counts.unknown.Add(1)
	}
}

// local takes what the endpoint of somebody's outbound tunnel delivers to us.
// It is as good as what comes directly from a router, of which we do not know
// the hash. What is for a tunnel was let in by the endpoint.
func (rt *Router) local(r *host.Round, m i2np.Message) {
	var from data.Hash
	if m.Type == i2np.TypeTunnelGateway {
		from = rt.hash
	}
	r.Gather(host.Encrypt, rt).(*loop).add(from, m)
}
