//go:build interop

package interop

import (
	"fmt"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/i2np"
)

const (
	// crossings is how many routers dial each other at once with each
	// floodfill of i2pd, the first of which has the address firstCrossing. Each
	// waits crossingStep longer than the one before until it dials.
	crossings     = 6
	firstCrossing = 30
	crossingStep  = 400 * time.Microsecond
)

// testCrossingDials has i2pds dial a router of ours in the moment in which it
// dials them. One session must be left with each, and work. What i2pd had to
// send through the other may be lost: it throws that away with the session.
func testCrossingDials(t *testing.T, n *testNet) {
	var infos []*data.RouterInfo
	for _, r := range n.i2pds[:i2pdFloodfills] {
		info, err := r.routerInfo()
		if err != nil {
			t.Fatal(err)
		}
		infos = append(infos, info)
	}
	asking := newProbe(t, address(asker+2), infos...)
	crossed, num := 0, firstCrossing
	for _, ri := range infos {
		for i := range crossings {
			p := newProbe(t, address(num), ri)
			num++
			asking.store(t, ri.Hash(), p.info)
			asked := infos[0].Hash()
			asking.look(t, ri.Hash(), asked, p.info.Hash(), i2np.LookupRouterInfo)
			time.Sleep(time.Duration(i) * crossingStep)
			p.look(t, ri.Hash(), p.info.Hash(), p.info.Hash(), i2np.LookupRouterInfo)
			p.insist(t, ri.Hash(), asked)
			// Others that have heard of the router may dial it too.
			eventually(t, "one session is left", answerLimit, func() (bool, string) {
				s := p.transport.Stats()
				return s.Sessions == len(p.transport.Peers()) && s.Dialling == 0 && s.Failed == 0, fmt.Sprintf("%+v", s)
			})
			p.forget()
			p.insist(t, ri.Hash(), p.info.Hash())
			if p.transport.Stats().Dialled > 0 && p.heard(ri.Hash()) {
				crossed++
			}
		}
	}
	t.Logf("%d of %d dials have crossed", crossed, num-firstCrossing)
	if crossed == 0 {
		t.Error("no dials have crossed")
	}
}
