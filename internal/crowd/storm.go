package crowd

import (
	"time"

	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/tunnel/build"
)

// Storm floods nodes with requests for tunnels of two hops, each from another
// fake. What a request makes, nobody uses.
type Storm struct {
	// Sent is how many requests have been sent.
	Sent int

	net   *Network
	every time.Duration
	ends  time.Time
}

// Storm has the fakes send so many requests a second, all together, for some
// time.
func (n *Network) Storm(perSecond int, d time.Duration) *Storm {
	s := &Storm{net: n, every: time.Second / time.Duration(perSecond), ends: n.World.Now().Add(d)}
	n.Fakes[0].host.Do(s.next)
	return s
}

// next has one of the fakes ask for a tunnel, and the next one after a while.
func (s *Storm) next(r *host.Round) {
	f := s.net.Fakes[s.Sent%len(s.net.Fakes)]
	f.host.Do(func(r *host.Round) { s.ask(r, f) })
	s.Sent++
	if r.Now.Before(s.ends) {
		s.net.Fakes[s.Sent%len(s.net.Fakes)].host.AfterFunc(s.every, s.next)
	}
}

// ask sends one request, through two nodes to another fake.
func (s *Storm) ask(r *host.Round, f *Fake) {
	nodes, fakes := s.net.Nodes, s.net.Fakes
	first := random.IntN(len(nodes))
	second := (first + 1 + random.IntN(len(nodes)-1)) % len(nodes)
	path := build.Path{
		Direction: build.Outbound,
		Hops:      []build.Hop{hop(nodes[first].RouterInfo(r.Now)), hop(nodes[second].RouterInfo(r.Now))},
		EndRouter: fakes[random.IntN(len(fakes))].Hash(),
		EndTunnel: 1,
	}
	if _, records, err := build.Create(r.Now, path); err == nil {
		f.send(r, path.Hops[0].Hash, i2np.TypeShortTunnelBuild, random.Nonzero32(), records)
	}
}

// hop is a router as a hop.
func hop(ri *data.RouterInfo) build.Hop {
	key, _ := ri.Identity().X25519()
	return build.Hop{Hash: ri.Hash(), Key: key}
}
