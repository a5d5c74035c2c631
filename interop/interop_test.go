//go:build interop

package interop

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"allium/internal/data"
	"allium/internal/i2np"
)

// Where the client tunnels of the newcomer listen.
const (
	shortPort = 4481
	longPort  = 4482
)

// tunnelLoad is more than the payload of a tunnel message, in bytes.
const tunnelLoad = 1003

// TestWithI2pd runs Allium in a network of i2pds. What is tested comes from
// the issue of that name: sessions both ways, the network database, tunnels of
// ours through i2pds, and tunnels of theirs through us.
func TestWithI2pd(t *testing.T) {
	serve(t, "i2pd", i2pdSitePort)
	serve(t, "allium", alliumSitePort)
	n := startNetwork(t)
	n.ready(t)
	t.Run("TunnelsOfThreeHops", func(t *testing.T) {
		t.Run("PageOfI2pdThroughProxyOfI2pd", func(t *testing.T) {
			t.Parallel() // what i2pd needs by itself
			visit(t, n.i2pds[visitor-1].httpProxy(), "http://"+n.site, "i2pd")
		})
		t.Run("PageOfI2pdThroughOurProxy", func(t *testing.T) {
			t.Parallel()
			visit(t, alliumProxy, "http://"+n.site, "i2pd")
		})
		t.Run("OurPageThroughProxyOfI2pd", func(t *testing.T) {
			t.Parallel()
			visit(t, n.i2pds[visitor-1].httpProxy(), "http://"+n.alliumSite(t), "allium")
		})
		t.Run("TheirTunnelsThroughUs", func(t *testing.T) {
			t.Parallel()
			testTransit(t, n)
		})
	})
	site := n.alliumSite(t)
	n.restart(t, 1)
	t.Run("TunnelsOfOneHop", func(t *testing.T) {
		t.Run("PageOfI2pdThroughOurProxy", func(t *testing.T) {
			t.Parallel()
			visit(t, alliumProxy, "http://"+n.site, "i2pd")
		})
		t.Run("OurPageThroughProxyOfI2pd", func(t *testing.T) {
			t.Parallel()
			if again := n.alliumSite(t); again != site {
				t.Errorf("the site was %s and is %s after a restart", site, again)
			}
			// The other visitor still sends to the tunnels that are gone.
			visit(t, n.i2pds[hosting-1].httpProxy(), "http://"+site, "allium")
		})
	})
	// The routers made up here do not answer as hops: so last.
	t.Run("NetDbOfI2pd", func(t *testing.T) { testNetDb(t, n) })
	testHealth(t, n)
}

// testTransit starts an i2pd that has never heard of Allium, with tunnels that
// must pass through Allium: it has to find Allium's RouterInfo in the network,
// dial it, and get a page through it.
func testTransit(t *testing.T, n *testNet) {
	us, err := n.allium.routerInfo()
	if err != nil {
		t.Fatal(err)
	}
	// We are next to the newcomer, because i2pd may send one way back what it
	// has built the other way. And we are the endpoint, because as such i2pd
	// 2.45.1 keeps back the answer to a build if it is the gateway of the way
	// back as well.
	second, third := n.i2pds[0].info.Hash(), n.i2pds[1].info.Hash()
	_, err = n.join(newcomer,
		i2pdTunnel{name: "short", port: shortPort, destination: n.site, inbound: 1, outbound: 1, peers: []data.Hash{us.Hash()}},
		i2pdTunnel{name: "long", port: longPort, destination: n.site, inbound: 3, outbound: 1, peers: []data.Hash{us.Hash(), second, third}})
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []struct {
		name string
		port int
	}{{"OneHop", shortPort}, {"ThreeHops", longPort}} {
		t.Run(role.name, func(t *testing.T) {
			before, err := n.allium.status()
			if err != nil {
				t.Fatal(err)
			}
			visit(t, "", fmt.Sprintf("http://127.0.0.1:%d", role.port), "i2pd")
			after, err := n.allium.status()
			if err != nil {
				t.Fatal(err)
			}
			carried := after.Transit.Messages - before.Transit.Messages
			t.Logf("we carried %d messages", carried)
			if carried < bodySize/tunnelLoad {
				t.Errorf("we carried %d messages, too few for a body of %d bytes", carried, bodySize)
			}
			if after.Transit.Participants == 0 {
				t.Error("we are no participant of any tunnel")
			}
			if after.Peers.Accepted == 0 {
				t.Error("no i2pd has dialled us")
			}
		})
	}
}

// testNetDb asks the floodfills for Allium's RouterInfo: all must have it, and
// some as new as Allium has it. Then it stores that of a router they have never
// met at each, gets it back, and has them send something there, for which they
// must dial it.
func testNetDb(t *testing.T, n *testNet) {
	us, err := n.allium.routerInfo()
	if err != nil {
		t.Fatal(err)
	}
	var infos []*data.RouterInfo
	for _, r := range n.i2pds[:floodfills] {
		infos = append(infos, r.info)
	}
	asking := newProbe(t, address(asker), infos...)
	newest := 0
	for _, ri := range infos {
		asking.look(t, ri.Hash(), us.Hash(), asking.info.Hash())
		asking.await(t, ri.Hash().Short()+" gives our RouterInfo", func(m i2np.Message) bool {
			got := found(m, us.Hash())
			if got != nil && bytes.Equal(got.Bytes(), us.Bytes()) {
				newest++
			}
			return got != nil
		})
	}
	t.Logf("%d floodfills have our newest RouterInfo", newest)
	if newest == 0 {
		t.Error("no floodfill has our newest RouterInfo")
	}
	silent := newProbe(t, address(listener))
	for _, ri := range infos {
		asking.store(t, ri.Hash(), silent.info)
		asking.look(t, ri.Hash(), silent.info.Hash(), asking.info.Hash())
		asking.await(t, ri.Hash().Short()+" gives what was stored", func(m i2np.Message) bool {
			got := found(m, silent.info.Hash())
			return got != nil && bytes.Equal(got.Bytes(), silent.info.Bytes())
		})
		asking.look(t, ri.Hash(), us.Hash(), silent.info.Hash())
		silent.await(t, ri.Hash().Short()+" dials and answers", func(m i2np.Message) bool { return found(m, us.Hash()) != nil })
	}
	for name, p := range map[string]*probe{"asking": asking, "silent": silent} {
		s := p.transport.Stats()
		t.Logf("%s: %+v", name, s)
	}
	if s := asking.transport.Stats(); s.Dialled != floodfills || s.Failed > 0 {
		t.Errorf("of dials to floodfills: %+v", s)
	}
	if s := silent.transport.Stats(); s.Accepted != floodfills || s.Dialled > 0 {
		t.Errorf("of dials by floodfills: %+v", s)
	}
}

// testHealth checks what must hold after all that.
func testHealth(t *testing.T, n *testNet) {
	s, err := n.allium.status()
	if err != nil {
		t.Fatal(err)
	}
	t.Log("allium:", s)
	if s.Lookups.Caught > 0 {
		t.Errorf("%d floodfills did not have what they had confirmed", s.Lookups.Caught)
	}
	if s.Messages.Malformed > 0 {
		t.Errorf("%d messages of i2pd are malformed to us", s.Messages.Malformed)
	}
	log, err := os.ReadFile(n.allium.logFile())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN") {
			t.Error(line)
		}
	}
	if err := n.check(); err != nil {
		t.Error(err)
	}
}

// alliumSite waits until Allium's site is ready and gives its address.
func (n *testNet) alliumSite(t *testing.T) (b32 string) {
	t.Helper()
	eventually(t, "our site is ready", readyLimit, func() (bool, string) {
		s, err := n.allium.status()
		if err != nil {
			return false, err.Error()
		}
		for _, session := range s.Sessions {
			if session.Name == alliumSite {
				b32 = session.Host
				return session.Ready, fmt.Sprintf("%+v", session)
			}
		}
		return false, "no such session"
	})
	return b32
}
