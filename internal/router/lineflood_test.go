package router_test

import (
	"fmt"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/host"
	"allium/internal/i2np"
	"allium/internal/random"
	"allium/internal/sim"
)

// Attack A4: ten times as much as is lent comes from forty neighbours. It is
// not read faster than it may be, and the router's own tunnels are built as
// before.
func TestFloodOfTunnelMessagesLeavesOwnBuildsAlone(t *testing.T) {
	const share, builds = 200_000, 14
	w := sim.New(t, 22, sim.Config{})
	var honest []*node
	for i := range 8 {
		honest = append(honest, start(t, w, fmt.Sprintf("10.0.%d.1", i+2), i < 2))
	}
	victim := prepare(t, w, "10.0.1.1")
	victim.cfg.Share = share
	victim.start()
	introduce(append(honest, victim)...)
	var flooders []*node
	for i := range 40 {
		n := prepare(t, w, fmt.Sprintf("10.9.%d.1", i))
		n.cfg.Hidden = true // so that nobody builds tunnels through them
		n.start()
		n.know(victim)
		flooders = append(flooders, n)
	}
	w.Run(20 * time.Second)
	quiet := buildTimes(victim, builds)

	over, next := false, 0
	var tick func(*host.Round)
	tick = func(*host.Round) {
		if over {
			return
		}
		for range 4 {
			next++
			n := flooders[next%len(flooders)]
			body := make([]byte, i2np.TunnelDataSize)
			random.Fill(body)
			n.h.Do(func(r *host.Round) {
				_ = n.Send(r, victim.Hash(), n.message(i2np.TypeTunnelData, body), bandwidth.Transit)
			})
		}
		victim.h.AfterFunc(2*time.Millisecond, tick)
	}
	tick(nil)
	w.Run(5 * time.Second)
	before, began := victim.status().Bandwidth.In, w.Now()
	times := buildTimes(victim, builds)
	after, passed := victim.status().Bandwidth.In, w.Now().Sub(began).Seconds()
	over = true
	asQuick(t, times, quiet)
	lent := float64(after.Transit.Bytes+after.Control.Bytes-before.Transit.Bytes-before.Control.Bytes) / passed
	if lent > share*1.05 || lent < share*0.9 {
		t.Errorf("%.0f bytes a second were read of what is lent %d", lent, share)
	}
}
