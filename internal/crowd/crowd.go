// Package crowd is whole networks of routers on virtual time, honest and
// hostile, with people who fetch pages from each other's sites. Its tests are
// the scenarios of docs/simulation.md.
//
// A [Network] lives in a sim.World. Its [Node]s are complete routers with the
// settings of production. Beside them there may be RouterInfos of nobody
// ([Network.Ghost]), and [Fake]s: routers with the sessions, keys and
// RouterInfos of any other, that do with what they are asked whatever their
// [Manners] say. A [Storm] floods nodes with requests for tunnels. [Site] and
// [Visitor] are Destinations with streams on nodes; a [Tally] counts how the
// builds of nodes went.
package crowd

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/sim"
)

// netID is the number of the network.
const netID = 77

// Network is the routers of one world.
type Network struct {
	TB    testing.TB
	World *sim.World
	// Nodes are the honest routers, in the order in which they were started.
	Nodes []*Node
	// Fakes are the others that have a machine.
	Fakes []*Fake
	// Ghosts are RouterInfos behind which there is nobody.
	Ghosts []*data.RouterInfo

	directory directory
	subnets   int
}

// New is a network without routers.
func New(tb testing.TB, w *sim.World) *Network {
	return &Network{TB: tb, World: w, directory: make(directory)}
}

// address is one in a subnet of its own, where nobody is.
func (n *Network) address() string {
	i := n.subnets
	n.subnets++
	return fmt.Sprintf("%d.%d.7.1", 31+i%60, 1+i/60)
}

// Infos are the RouterInfos of all nodes, fakes and ghosts, mixed.
func (n *Network) Infos() []*data.RouterInfo {
	var all []*data.RouterInfo
	for _, nd := range n.Nodes {
		all = append(all, nd.RouterInfo(n.World.Now()))
	}
	for _, f := range n.Fakes {
		all = append(all, f.info(n.World.Now()))
	}
	all = append(all, n.Ghosts...)
	n.World.Rand().Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// Introduce lets every node know all of infos.
func (n *Network) Introduce(infos []*data.RouterInfo) {
	for _, nd := range n.Nodes {
		nd.Learn(infos)
	}
}

// Run lets time go on.
func (n *Network) Run(d time.Duration) { n.World.Run(d) }

// Logf logs with the virtual time.
func (n *Network) Logf(format string, args ...any) {
	n.TB.Helper()
	n.TB.Logf("seed %d, %v: %s", n.World.Seed(), n.World.Now().Sub(sim.Start).Round(time.Second), fmt.Sprintf(format, args...))
}

// Errorf fails the test and names the seed.
func (n *Network) Errorf(format string, args ...any) {
	n.TB.Helper()
	n.TB.Errorf("seed %d, %v: %s", n.World.Seed(), n.World.Now().Sub(sim.Start).Round(time.Second), fmt.Sprintf(format, args...))
}

// Until lets time go on until cond holds, which is looked at every tenth of a
// second, or for at most limit. It gives the time that took, and whether cond
// holds.
func (n *Network) Until(cond func() bool, limit time.Duration) (took time.Duration, ok bool) {
	for began := n.World.Now(); ; n.Run(time.Second / 10) {
		took = n.World.Now().Sub(began)
		if ok = cond(); ok || took >= limit {
			return took, ok
		}
	}
}

// Ready tells that all sites can be reached and can send.
func Ready(sites []*Site) func() bool {
	return func() bool { return !slices.ContainsFunc(sites, func(s *Site) bool { return !s.Ready() }) }
}

// Partition cuts the network in two, and gives what heals it.
func (n *Network) Partition(here, there []*Node) (heal func()) {
	each := func(f func(a, b *sim.Host)) {
		for _, a := range here {
			for _, b := range there {
				f(a.host, b.host)
			}
		}
	}
	each(n.World.Partition)
	return func() { each(n.World.Heal) }
}

// Alive are the nodes that have not been killed.
func (n *Network) Alive() []*Node {
	return slices.DeleteFunc(slices.Clone(n.Nodes), func(nd *Node) bool { return nd.dead })
}
