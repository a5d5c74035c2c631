package crowd_test

import (
	"slices"
	"testing"
	"time"

	"allium/internal/crowd"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/sim"
)

// beginner is a router that has just been started, with a client that wants a
// page at once.
type beginner struct {
	*crowd.Node
	began time.Time
	// tunnels and page are when they were there, after began. 0 for not yet.
	tunnels, page time.Duration
}

// begin has a router that was just started ask for a page.
func (t *town) begin(nd *crowd.Node, site *crowd.Site) *beginner {
	b := &beginner{Node: nd, began: t.World.Now()}
	client := nd.Open(crowd.Hops(3, 3))
	client.Insist(site.Hash(), 30*time.Second, func(r *host.Round) { b.page = r.Now.Sub(b.began) })
	return b
}

// look notes whether it has its first pair of client tunnels.
func (b *beginner) look(now time.Time) {
	if b.tunnels > 0 {
		return
	}
	pools := b.Status().Pools
	if client := pools[len(pools)-1]; client.Inbound.Good > 0 && client.Outbound.Good > 0 {
		b.tunnels = now.Sub(b.began)
	}
}

// await lets time go on until all beginners have their page, or for at most
// limit.
func (t *town) await(all []*beginner, limit time.Duration) {
	t.Until(func() bool {
		waiting := false
		for _, b := range all {
			b.look(t.World.Now())
			waiting = waiting || b.page == 0
		}
		return !waiting
	}, limit)
}

// check compares the time within which 95 of 100 had their tunnels and pages.
func (t *town) check(what string, all []*beginner, tunnels, pages time.Duration) {
	for _, c := range []struct {
		what  string
		limit time.Duration
		of    func(b *beginner) time.Duration
	}{
		{"tunnels", tunnels, func(b *beginner) time.Duration { return b.tunnels }},
		{"page", pages, func(b *beginner) time.Duration { return b.page }},
	} {
		var times []time.Duration
		for _, b := range all {
			d := c.of(b)
			if d == 0 {
				d = time.Hour // it never came
			}
			times = append(times, d)
		}
		slices.Sort(times)
		late := times[(len(times)*95+99)/100-1]
		t.Logf("%s: first %s within %v, half of them within %v", what, c.what, late, times[len(times)/2])
		if late > c.limit {
			t.Errorf("%s: first %s within %v, limit %v: %v", what, c.what, late, c.limit, times)
		}
	}
}

// reseed is so many of the RouterInfos there are, one in five of a floodfill.
func (t *town) reseed(all []*data.RouterInfo, count int) (some []*data.RouterInfo) {
	t.World.Rand().Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	left := map[bool]int{true: count / 5, false: count - count/5}
	for _, ri := range all {
		if left[ri.Floodfill()]--; left[ri.Floodfill()] >= 0 {
			some = append(some, ri)
		}
	}
	return some
}

// start has beginners join a town, of which each knows 20 RouterInfos, one in
// five of a router that is no more. Later each is restarted.
func start(tb testing.TB, w *sim.World, routers, beginners int) {
	n := found(tb, w, routers, 8)
	for range routers / 4 {
		n.Ghost("PR")
	}
	n.Run(5 * time.Minute)
	known := n.Infos()
	var all []*beginner
	for i := range beginners {
		nd := n.Node(false)
		nd.Learn(n.reseed(known, 20))
		all = append(all, n.begin(nd, n.sites[i%len(n.sites)]))
		n.await(all, time.Second)
	}
	n.await(all, 5*time.Minute)
	n.check("cold", all, 60*time.Second, 90*time.Second)

	// Each restart costs others some tunnels, so there is time between them.
	n.Run(5 * time.Minute)
	for i, b := range all {
		b.Stop()
		n.Run(5 * time.Second)
		b.Restart()
		all[i] = n.begin(b.Node, n.sites[(i+1)%len(n.sites)])
		n.await(all[:i+1], 15*time.Second)
		n.Run(10 * time.Second)
	}
	n.await(all, 5*time.Minute)
	n.check("warm", all, 10*time.Second, 15*time.Second)
}

func TestBeginnersAreSoonAtHome(t *testing.T) {
	play(t, sim.Config{}, func(tb testing.TB, w *sim.World) {
		start(tb, w, scale(50, 300), 50)
	})
}
