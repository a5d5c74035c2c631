package destination_test

import (
	"fmt"
	"testing"
	"time"

	"allium/internal/destination"
	"allium/internal/host"
	"allium/internal/sim"
)

// Two Destinations talk for two hours, through a dozen generations of tunnels,
// and neither ever waits for the other.
func TestTwoHoursWithoutAGap(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	const every, longest = 3 * time.Second, 10 * time.Second
	length := 2 * time.Hour
	if raceDetector {
		length /= 8
	}
	w := sim.New(t, 40, sim.Config{Link: sim.Link{Loss: 0.01}})
	n := newNetwork(t, w, 20, 4)
	cfg := destination.Config{Tunnels: tunnels(2, 2)}
	server := n.nodes[18].open(cfg, nil)
	cfg.Unpublished = true
	client := n.nodes[19].open(cfg, nil)
	n.ready(server, client)
	server.answer = func(r *host.Round, m received) {
		if m.from.Bound {
			_ = server.Send(r, m.from.Hash, m.Message)
		}
	}
	last, gaps, worst, sent := w.Now(), 0, time.Duration(0), 0
	came := 0
	for start := w.Now(); w.Now().Sub(start) < length; {
		if err := client.send(server.Hash(), fmt.Sprint(sent)); err != nil {
			t.Logf("at %v: %v", w.Now().Sub(start), err)
		}
		sent++
		w.Run(every)
		for _, m := range client.got[came:] {
			gap := m.at.Sub(last)
			worst = max(worst, gap)
			if gap > longest {
				gaps++
				t.Errorf("at %v: nothing for %v", m.at.Sub(start), gap)
			}
			last = m.at
		}
		came = len(client.got)
	}
	if gap := w.Now().Sub(last); gap > longest {
		t.Errorf("nothing for the last %v", gap)
	}
	if came < sent*98/100 {
		t.Errorf("%d of %d answers", came, sent)
	}
	t.Logf("%d of %d answers, the longest gap %v, %d events", came, sent, worst, w.Events())
}
