package destination_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"allium/internal/data"
	"allium/internal/destination"
	"allium/internal/host"
	"allium/internal/sim"
)

func TestMessagesCrossALossyNetwork(t *testing.T) {
	sim.Twice(t, 1, sim.Config{Link: sim.Link{Loss: 0.03}}, func(w *sim.World) {
		_, a, b := pair(t, w, 6)
		const count = 200
		for i := range count {
			for _, x := range [][2]*endpoint{{a, b}, {b, a}} {
				if err := x[0].send(x[1].Hash(), fmt.Sprint(i)); err != nil {
					t.Fatal(err)
				}
			}
			w.Run(100 * time.Millisecond)
		}
		w.Run(10 * time.Second)
		for _, x := range [][2]*endpoint{{a, b}, {b, a}} {
			if n := len(x[1].got); n < count*95/100 || n > count {
				t.Errorf("%d of %d came", n, count)
			}
			for i, m := range x[1].got {
				if !m.from.Bound || m.from.Hash != x[0].Hash() {
					t.Fatalf("message %d is from %+v", i, m.from)
				}
				if m.Protocol != destination.ProtocolRaw || m.FromPort != 1 || m.ToPort != 2 {
					t.Fatalf("message %d is %+v", i, m.Message)
				}
			}
		}
	})
}

func TestLargestMessageFitsThrough(t *testing.T) {
	w := sim.New(t, 2, sim.Config{})
	_, a, b := pair(t, w, 5)
	largest := noise(destination.MaxPayload)
	for i := range 3 { // NS with our LeaseSet, and later without
		if err := a.send(b.Hash(), string(largest)); err != nil {
			t.Fatal(err)
		}
		if !w.RunUntil(func() bool { return len(b.got) == i+1 }, 30*time.Second) || !bytes.Equal(b.got[i].Payload, largest) {
			t.Fatalf("message %d did not come", i)
		}
		w.Run(time.Second) // a hop drops what is more than it shares
	}
	if err := a.send(b.Hash(), string(append(largest, 0))); err != destination.ErrTooLarge {
		t.Error(err)
	}
	if err := a.send(a.Hash(), string(append(largest, 0))); err != destination.ErrTooLarge {
		t.Error(err)
	}
}

func TestMessageToOneselfComesBack(t *testing.T) {
	w := sim.New(t, 3, sim.Config{})
	n := newNetwork(t, w, 3, 1)
	a := n.nodes[2].open(destination.Config{Tunnels: tunnels(1, 1)}, nil)
	if err := a.send(a.Hash(), "self"); err != nil {
		t.Fatal(err)
	}
	if len(a.got) != 0 {
		t.Error("in the call that sent it")
	}
	if m := a.await("self", time.Second); !m.from.Bound || m.from.Hash != a.Hash() {
		t.Errorf("from %+v", m.from)
	}
	if err := a.resolve(a.Hash()); err != nil {
		t.Error(err)
	}
}

// An unpublished client can be answered, even after it has said nothing while
// all its tunnels, and its peer's, were replaced.
func TestSilentClientIsReachedAfterItsTunnelsHaveChanged(t *testing.T) {
	w := sim.New(t, 4, sim.Config{})
	n := newNetwork(t, w, 6, 2)
	server := n.nodes[4].open(destination.Config{Tunnels: tunnels(1, 2)}, nil)
	client := n.nodes[5].open(destination.Config{Tunnels: tunnels(1, 2), Unpublished: true}, nil)
	n.ready(server, client)
	if err := client.send(server.Hash(), "hello"); err != nil {
		t.Fatal(err)
	}
	from := server.await("hello", 30*time.Second).from
	if !from.Bound || from.Hash != client.Hash() {
		t.Fatalf("from %+v", from)
	}
	for i := range 4 {
		w.Run(9*time.Minute + 40*time.Second) // the ratchet forgets a session after ten
		text := fmt.Sprint("wake up ", i)
		if err := server.send(from.Hash, text); err != nil {
			t.Fatal(err)
		}
		client.await(text, 8*time.Second)
	}
	stranger := n.nodes[3].open(destination.Config{Tunnels: tunnels(1, 1)}, nil)
	n.ready(stranger)
	if err := stranger.resolve(client.Hash()); err != destination.ErrNoLeaseSet {
		t.Error("found in the network:", err)
	}
}

// A peer whose router begins anew has other tunnels and another key.
func TestRestartOfOneSideIsSurvived(t *testing.T) {
	w := sim.New(t, 5, sim.Config{})
	n, a, b := pair(t, w, 7)
	talk := func(from, to *endpoint, text string, limit time.Duration) {
		t.Helper()
		end := w.Now().Add(limit)
		for to.count(text) == 0 && w.Now().Before(end) {
			_ = from.send(to.Hash(), text)
			w.Run(time.Second)
		}
		if to.count(text) == 0 {
			t.Fatalf("%q did not come within %v", text, limit)
		}
	}
	talk(a, b, "before", 20*time.Second)
	talk(b, a, "before", 20*time.Second)

	x := b.node
	w.Kill(x.h)
	w.Run(5 * time.Second)
	x.h = w.Restart(x.h)
	x.start()
	x.know(n.nodes)
	again := x.open(destination.Config{Tunnels: tunnels(1, 2)}, b.keys)
	n.ready(again)
	talk(a, again, "after", 40*time.Second)
	if m := again.got[0]; !m.from.Bound || m.from.Hash != a.Hash() {
		t.Errorf("from %+v", m.from)
	}
	talk(again, a, "here again", 20*time.Second)
}

// Routers in the middle of tunnels die one after another, and each time another
// pair of tunnels takes over long before tests find the dead ones.
func TestSilenceTriesAnotherPath(t *testing.T) {
	w := sim.New(t, 6, sim.Config{})
	n := newNetwork(t, w, 14, 3)
	cfg := destination.Config{Tunnels: tunnels(1, 3)}
	a, b := n.nodes[12].open(cfg, nil), n.nodes[13].open(cfg, nil)
	n.ready(a, b)
	b.answer = func(r *host.Round, m received) { _ = b.Send(r, m.from.Hash, m.Message) }
	last := w.Now()
	exchange := func(d time.Duration) {
		t.Helper()
		for end := w.Now().Add(d); w.Now().Before(end); w.Run(time.Second) {
			before := len(a.got)
			_ = a.send(b.Hash(), "ping")
			w.Run(time.Second)
			if len(a.got) > before {
				last = w.Now()
			}
			if gap := w.Now().Sub(last); gap > 40*time.Second {
				t.Fatalf("nothing for %v", gap)
			}
		}
	}
	exchange(10 * time.Second)
	for _, x := range n.nodes[4:9] {
		w.Kill(x.h)
		exchange(time.Minute)
	}
}

func TestUnknownDestinationIsNotFound(t *testing.T) {
	w := sim.New(t, 7, sim.Config{})
	_, a, _ := pair(t, w, 5)
	nobody := data.HashOf([]byte("nobody"))
	for range destination.MaxQueued {
		if err := a.send(nobody, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.send(nobody, "x"); err != host.ErrFull {
		t.Error("queue without end:", err)
	}
	if err := a.resolve(nobody); err != destination.ErrNoLeaseSet {
		t.Error(err)
	}
	if n := a.status().Unsent; n != destination.MaxQueued {
		t.Errorf("%d unsent", n)
	}
}

func TestWaitingMessagesAreBounded(t *testing.T) {
	w := sim.New(t, 8, sim.Config{})
	_, a, _ := pair(t, w, 5)
	kept, big := 0, string(noise(50_000))
	for i := range 150 {
		switch err := a.send(data.HashOf([]byte{byte(i)}), big); err {
		case nil:
			kept++
		case host.ErrFull:
		default:
			t.Fatal(err)
		}
	}
	if bytes := kept * 50_000; bytes > destination.MaxQueuedBytes || bytes < destination.MaxQueuedBytes*9/10 {
		t.Errorf("%d bytes wait", bytes)
	}
	w.Run(time.Minute)
	if n := a.status().Unsent; n != uint64(kept) {
		t.Errorf("%d of %d given up", n, kept)
	}
	if err := a.send(data.HashOf([]byte("later")), big); err != nil {
		t.Error("no room later:", err)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	w := sim.New(t, 9, sim.Config{})
	n, a, b := pair(t, w, 5)
	var results []error
	b.node.h.Do(func(r *host.Round) {
		b.Resolve(r, data.HashOf([]byte("nobody")), func(_ *host.Round, err error) { results = append(results, err) })
	})
	if err := a.send(b.Hash(), "on its way"); err != nil {
		t.Fatal(err)
	}
	_ = b.send(b.Hash(), "to itself")
	b.node.h.Do(func(r *host.Round) { b.Close(r) })
	b.node.h.Do(func(r *host.Round) { b.Close(r) })
	b.ready = false
	w.Run(time.Minute)
	if len(results) != 1 || results[0] != destination.ErrClosed {
		t.Errorf("results %v", results)
	}
	if len(b.got) != 0 || b.ready {
		t.Errorf("got %d messages, ready %v", len(b.got), b.ready)
	}
	for _, to := range []data.Hash{a.Hash(), b.Hash(), data.HashOf([]byte("x"))} {
		if err := b.send(to, "x"); err != destination.ErrClosed {
			t.Error(err)
		}
	}
	if err := b.resolve(a.Hash()); err != destination.ErrClosed {
		t.Error(err)
	}
	if s := b.status(); s.Ready || b.CanSend(w.Now()) {
		t.Error("can send")
	}
	// A quiet network stays that quiet: no timer goes on.
	for _, x := range n.nodes[:4] {
		w.Kill(x.h)
	}
	b.node.Router.Close()
	w.Run(2 * time.Minute)
	events := w.Events()
	w.Run(10 * time.Minute)
	if n := w.Events() - events; n != 0 {
		t.Errorf("%d events", n)
	}
}
