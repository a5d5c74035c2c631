package crowd

import (
	"log/slog"
	"net/netip"

	"allium/internal/data"
	"allium/internal/netdb/floodfill"
	"allium/internal/router"
	"allium/internal/setting"
	"allium/internal/sim"
	"allium/internal/store"
	"allium/internal/tunnel/pool"
)

// port is where all routers listen.
const port = 12345

// Node is an honest router and its machine.
type Node struct {
	*router.Router
	net  *Network
	host *sim.Host
	cfg  router.Config
	kept store.Store
	dead bool
}

// settings are those of production, for a router at an address.
func settings(at netip.Addr, role floodfill.Role) router.Config {
	var cfg router.Config
	setting.Defaults(&cfg.Transport)
	setting.Defaults(&cfg.Transit)
	setting.Defaults(&cfg.NetDB)
	var exploratory pool.ExploratoryConfig
	setting.Defaults(&exploratory)
	cfg.Exploratory = exploratory.Config()
	cfg.NetID = netID
	cfg.MinVersion = "0.9.58"
	cfg.Share = 512e3
	cfg.Floodfill = role
	cfg.Transport.Listen = []netip.AddrPort{netip.AddrPortFrom(at, port)}
	return cfg
}

// Node starts an honest router, which keeps the netDb as a floodfill or not.
// It knows nobody.
func (n *Network) Node(keeps bool) *Node {
	n.TB.Helper()
	h := n.World.Host(n.address())
	role := floodfill.Off
	if keeps {
		role = floodfill.On
	}
	nd := &Node{net: n, host: h, cfg: settings(h.Addr(), role), kept: store.Memory()}
	nd.start()
	n.directory[nd.Hash()] = nd.RouterInfo(h.Now())
	n.Nodes = append(n.Nodes, nd)
	return nd
}

func (nd *Node) start() {
	nd.net.TB.Helper()
	rt, err := router.New(nd.cfg, nd.host, nd.kept, nd.host.Logger(slog.LevelInfo), nil)
	if err != nil {
		nd.net.TB.Fatal(err)
	}
	nd.Router, nd.dead = rt, false
}

// Learn lets the node know routers, as from a reseed.
func (nd *Node) Learn(infos []*data.RouterInfo) {
	now := nd.host.Now()
	for _, ri := range infos {
		if ri.Hash() != nd.Hash() {
			_, _ = nd.NetDB().AddRouter(now, ri)
		}
	}
}

// Kill cuts the power of the node.
func (nd *Node) Kill() {
	nd.dead = true
	nd.net.World.Kill(nd.host)
}

// Stop ends the node in order.
func (nd *Node) Stop() {
	nd.dead = true
	nd.Close()
	_ = nd.host.Close()
}

// Restart starts a node that was stopped again, with what it kept.
func (nd *Node) Restart() {
	nd.host = nd.net.World.Restart(nd.host)
	nd.start()
}

// Status is that of now.
func (nd *Node) Status() router.Status { return nd.Router.Status(nd.host.Now()) }
