package transport_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"allium/internal/host"
	"allium/internal/sim"
	"allium/internal/transport"
)

// joined is one node, its machine, and peers that it has sessions with.
func joined(t *testing.T, w *sim.World, peers int) (*node, *sim.Host, []*node) {
	t.Helper()
	all := simNodes(t, w, peers+1)
	for _, p := range all[1:] {
		join(t, w, all[0], p)
	}
	return all[0], all[0].h.(*sim.Host), all[1:]
}

// strike has n dial routers that are not there.
func (n *node) strike(t *testing.T, count int) {
	t.Helper()
	for i := range count {
		gone := newKeys(t)
		n.known.put(gone.info(n.h.Now(), gone.at(3, at(fmt.Sprintf("10.0.9.%d:5", i+1)))))
		must(t, n.send(gone.local.Hash, 1))
	}
}

func TestPeersAreNotToBlameWhileNobodyIsHeard(t *testing.T) {
	w := sim.New(t, 41, sim.Config{})
	a, h, peers := joined(t, w, 2)
	w.Run(time.Second)
	a.strike(t, 1)
	for range 15 {
		must(t, peers[0].send(a.hash, 1))
		w.Run(time.Second)
	}
	if len(a.failures()) != 1 || errors.Is(a.failures()[0], transport.ErrOffline) {
		t.Error("a dead peer is not blamed")
	}
	w.Unplug(h)
	w.Run(time.Minute)
	a.strike(t, 4)
	until(t, w, "failures of an outage", func() bool { return len(a.failures()) == 5 })
	for _, err := range a.failures()[1:] {
		if !errors.Is(err, transport.ErrOffline) || !errors.Is(err, host.ErrTimeout) {
			t.Errorf("blamed in an outage: %v", err)
		}
	}
	if !a.tr.Offline() {
		t.Error("the outage is not seen")
	}
}

func TestPeersAreDialledAtOnceAfterAnOutage(t *testing.T) {
	w := sim.New(t, 42, sim.Config{})
	a, h, peers := joined(t, w, 3)
	heard := w.Now()
	w.Unplug(h)
	for range 40 {
		for _, p := range peers {
			_ = a.send(p.hash, 1)
		}
		w.Run(15 * time.Second)
	}
	w.Plug(h)
	for i := 0; !a.tr.Connected(peers[0].hash) && i < 10; i++ {
		_ = a.send(peers[0].hash, 1)
		w.Run(time.Second)
	}
	if len(a.outages) != 1 || a.outages[0].Sub(heard).Abs() > 2*time.Second {
		t.Errorf("outages since %v, the last word was at %v", a.outages, heard)
	}
	for _, p := range peers[1:] {
		if err := a.connect(p.hash); err != nil {
			t.Errorf("not dialled after the outage: %v", err)
		}
	}
}

func TestSessionsFromBeforeAnOutageAreCutOff(t *testing.T) {
	w := sim.New(t, 43, sim.Config{})
	a, h, peers := joined(t, w, 2)
	w.Unplug(h)
	w.Run(30 * time.Second)
	a.strike(t, 3)
	until(t, w, "the outage", a.tr.Offline)
	w.Plug(h)
	if !a.tr.Connected(peers[1].hash) {
		t.Fatal("the idle session has ended by itself")
	}
	must(t, peers[0].send(a.hash, 5))
	until(t, w, "a word", func() bool { return len(a.outages) == 1 })
	w.Run(time.Second)
	if !a.tr.Connected(peers[0].hash) || a.tr.Connected(peers[1].hash) {
		t.Error("kept the wrong session")
	}
}

func TestSessionsFromAnAddressThatIsGoneAreCutOff(t *testing.T) {
	w := sim.New(t, 44, sim.Config{})
	a, h, peers := joined(t, w, 2)
	a.h.Do(a.tr.NetworkChanged)
	w.Run(time.Second)
	if !a.tr.Connected(peers[0].hash) {
		t.Fatal("cut off although nothing has changed")
	}
	w.Move(h, "10.0.7.7")
	a.h.Do(a.tr.NetworkChanged)
	w.Run(time.Second)
	for _, p := range peers {
		if a.tr.Connected(p.hash) {
			t.Error("keeps a session that leads nowhere")
		}
	}
}

func TestOnlyALongJumpOfTheClockEndsSessions(t *testing.T) {
	w := sim.New(t, 45, sim.Config{})
	a, _, peers := joined(t, w, 1)
	for _, jump := range []time.Duration{30 * time.Second, -time.Hour, 8 * time.Hour} {
		a.h.Do(func(r *host.Round) { a.tr.Jumped(r, jump) })
		w.Run(time.Second)
		if stays := jump < time.Minute && jump > 0; a.tr.Connected(peers[0].hash) != stays {
			t.Errorf("after %v: %v", jump, !stays)
		}
		must(t, a.connect(peers[0].hash))
		until(t, w, "a session", func() bool { return a.tr.Connected(peers[0].hash) })
	}
}
