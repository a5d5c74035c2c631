//go:build interop

package interop

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/i2np"
	"allium/internal/signature"
	"allium/internal/x25519"
)

// floodTo is how many other floodfills must have an entry that was stored with
// one of them.
const floodTo = 3

// testNetDb asks the floodfills of both kinds for the RouterInfo of one of
// ours: all must have it, and some as new as it is. Then it stores that of a
// router they have never met at each, gets it back, and has them send something
// there, for which they must dial it. Last it stores a LeaseSet with one of
// each kind, and finds it with others.
func testNetDb(t *testing.T, n *testNet) {
	us, err := n.router(oursHosting + 2).routerInfo()
	if err != nil {
		t.Fatal(err)
	}
	var infos []*data.RouterInfo
	for _, r := range n.floodfills() {
		info, err := r.routerInfo()
		if err != nil {
			t.Fatal(err)
		}
		infos = append(infos, info)
	}
	asking := newProbe(t, address(asker), infos...)
	newest := 0
	for _, ri := range infos {
		asking.look(t, ri.Hash(), us.Hash(), asking.info.Hash(), i2np.LookupRouterInfo)
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
		asking.look(t, ri.Hash(), silent.info.Hash(), asking.info.Hash(), i2np.LookupRouterInfo)
		asking.await(t, ri.Hash().Short()+" gives what was stored", func(m i2np.Message) bool {
			got := found(m, silent.info.Hash())
			return got != nil && bytes.Equal(got.Bytes(), silent.info.Bytes())
		})
		asking.look(t, ri.Hash(), us.Hash(), silent.info.Hash(), i2np.LookupRouterInfo)
		silent.await(t, ri.Hash().Short()+" dials and answers", func(m i2np.Message) bool { return found(m, us.Hash()) != nil })
	}
	if s := asking.transport.Stats(); s.Failed > 0 {
		t.Errorf("of dials to floodfills: %+v", s)
	}
	// Others get acquainted with whomever they hear of.
	if s := silent.transport.Stats(); s.Accepted < uint64(len(infos)) || s.Dialled > 0 {
		t.Errorf("of dials by floodfills: %+v", s)
	}
	for _, num := range []int{1, oursHosting} {
		testFlood(t, asking, n.hash(t, num), infos)
	}
}

// floodfills are those of both kinds.
func (n *testNet) floodfills() (all []router) {
	for _, r := range n.i2pds[:i2pdFloodfills] {
		all = append(all, r)
	}
	for _, a := range n.ours[:oursFloodfills] {
		all = append(all, a)
	}
	return all
}

// testFlood stores a LeaseSet with a floodfill and looks for it with others.
func testFlood(t *testing.T, asking *probe, to data.Hash, infos []*data.RouterInfo) {
	t.Helper()
	ls := newLeaseSet(t, infos[0].Hash())
	asking.storeLeaseSet(t, to, ls)
	has := make(map[data.Hash]bool)
	eventually(t, "LeaseSet stored with "+to.Short()+" is flooded", answerLimit, func() (bool, string) {
		for _, ri := range infos {
			if h := ri.Hash(); h != to && !has[h] {
				has[h] = asking.ask(t, h, ls)
			}
		}
		count := 0
		for _, yes := range has {
			if yes {
				count++
			}
		}
		return count >= floodTo, fmt.Sprintf("%d of %d others have it", count, len(infos)-1)
	})
}

// newLeaseSet is that of a new Destination, which cannot be reached.
func newLeaseSet(t *testing.T, gateway data.Hash) *data.LeaseSet2 {
	t.Helper()
	keys, err := data.GeneratePrivateKeys(signature.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	key := x25519.Generate()
	ls, err := data.SignLeaseSet2(keys.Signing, data.LeaseSet2Content{
		Destination: keys.Destination,
		Published:   now,
		Keys:        []data.EncryptionKey{{Type: data.X25519, Key: key.Public[:]}},
		Leases:      []data.Lease{{Gateway: gateway, TunnelID: 1, Expires: now.Add(9 * time.Minute)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return ls
}
