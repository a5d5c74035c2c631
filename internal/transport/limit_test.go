package transport_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/sim"
	"allium/internal/transport"
	"allium/internal/transport/block"
	"allium/internal/transport/ntcp2"
)

// refusedFor tells whether the only failure of a node is that its peer refused
// it for that reason.
func refusedFor(n *node, reason block.Reason) bool {
	var told *ntcp2.Termination
	return len(n.failed) == 1 && errors.As(n.failed[0], &told) && told.Reason == reason && told.ByPeer
}

// full makes a node that takes eight sessions, and eight that have one each.
func full(t *testing.T, w *sim.World) (hub *node, peers []*node) {
	t.Helper()
	db := newKnown()
	hub = simNode(t, w, db, "10.0.0.1", func(c *transport.Config) { c.MaxSessions = 8 })
	for i := range 8 {
		n := simNode(t, w, db, fmt.Sprintf("10.0.1.%d", i+1), nil)
		peers = append(peers, n)
		join(t, w, n, hub)
	}
	return hub, peers
}

func TestBeyondTheLimitTheIdlestSessionIsClosed(t *testing.T) {
	sim.Twice(t, 1, sim.Config{}, func(w *sim.World) {
		hub, peers := full(t, w)
		for range 4 { // all but the fourth are busy
			w.Run(5 * time.Second)
			for i, n := range peers {
				if i != 3 {
					must(t, n.send(hub.hash, 1))
				}
			}
		}
		late := simNode(t, w, hub.known, "10.0.2.1", nil)
		must(t, late.send(hub.hash, 2))
		w.Run(10 * time.Second)
		if s := hub.tr.Stats(); s.Sessions != 8 || s.Evicted != 1 || s.Refused != 0 {
			t.Errorf("%+v", s)
		}
		if hub.tr.Connected(peers[3].hash) || peers[3].tr.Connected(hub.hash) || !hub.tr.Connected(late.hash) {
			t.Error("another one was closed")
		}
		// It may come back, now that others are idle.
		w.Run(10 * time.Second)
		must(t, peers[3].send(hub.hash, 3))
		w.Run(5 * time.Second)
		if s := hub.tr.Stats(); s.Sessions != 8 || s.Evicted != 2 || !hub.tr.Connected(peers[3].hash) {
			t.Errorf("%+v", s)
		}
	})
}

// Whoever has us in tunnels can name any number of routers that nobody
// reaches. Our own dials are not kept out by that.
func TestDialsForOthersAreHalfOfAll(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	a := simNodes(t, w, 1)[0]
	gone := make([]data.Hash, 600) // nobody is there
	for i := range gone {
		k := newKeys(t)
		gone[i] = k.local.Hash
		a.known.put(k.info(w.Now(), k.at(3, at(fmt.Sprintf("10.9.%d.%d:5", i/200, i%200+1)))))
	}
	begun := func(all []data.Hash, c bandwidth.Class) (n int) {
		for _, to := range all {
			switch err := a.sendAs(to, 1, 1028, c); {
			case err == nil:
				n++
			case err != host.ErrFull:
				t.Fatal(err)
			}
		}
		return n
	}
	if n := begun(gone[:400], bandwidth.Transit); n != 256 {
		t.Errorf("%d dials for others", n)
	}
	if n := begun(gone[400:410], bandwidth.Control); n != 0 {
		t.Errorf("%d more to answer others", n)
	}
	// Those that we want to reach, too, are our own.
	if n := begun(gone[:100], bandwidth.Own); n != 100 {
		t.Errorf("%d of 100 dials joined", n)
	}
	if n := begun(gone[400:], bandwidth.Transit); n != 100 {
		t.Errorf("%d dials for others in the place of those", n)
	}
	if n := begun(gone[500:], bandwidth.Own); n != 100 {
		t.Errorf("%d of 100 dials of our own", n)
	}
}

func TestBusySessionsMakeRoomForOurDialsOnly(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	hub, peers := full(t, w)
	late := simNode(t, w, hub.known, "10.0.2.1", nil)
	must(t, late.send(hub.hash, 1))
	w.Run(2 * time.Second)
	if s := hub.tr.Stats(); s.Refused != 1 || s.Evicted != 0 || s.Sessions != 8 || !refusedFor(late, block.ConnectionLimits) {
		t.Errorf("%+v, %v", s, late.failed)
	}
	if err := late.send(hub.hash, 2); err != transport.ErrUnreachable {
		t.Errorf("after a refusal: %v", err)
	}
	// A peer that begins anew needs no room.
	h := w.Restart(peers[0].h.(*sim.Host))
	cfg := config()
	again := newNode(t, h, peers[0].keys, hub.known, cfg)
	must(t, again.send(hub.hash, 3))
	until(t, w, "a message", func() bool { return slices.Contains(hub.got, received{again.hash, 3}) })

	must(t, hub.send(late.hash, 4))
	w.Run(2 * time.Second)
	if s := hub.tr.Stats(); s.Sessions != 8 || !slices.Equal(late.ids(), []uint32{4}) {
		t.Errorf("%+v, %v came", s, late.ids())
	}
}

func TestManySessionsAtOnceKeepToTheLimit(t *testing.T) {
	w := sim.New(t, 2, sim.Config{MinLatency: 50 * time.Millisecond, MaxLatency: 50 * time.Millisecond})
	db := newKnown()
	hub := simNode(t, w, db, "10.0.0.1", func(c *transport.Config) { c.MaxSessions = 8 })
	var peers []*node
	for i := range 30 {
		n := simNode(t, w, db, fmt.Sprintf("10.0.1.%d", i+1), nil)
		peers = append(peers, n)
		must(t, hub.send(n.hash, uint32(i)))
	}
	w.Run(10 * time.Second)
	stand := 0
	for i, n := range peers {
		if !slices.Equal(n.ids(), []uint32{uint32(i)}) {
			t.Errorf("%v came to %d", n.ids(), i)
		}
		if n.tr.Connected(hub.hash) {
			stand++
		}
	}
	if s := hub.tr.Stats(); s.Sessions != 8 || s.Evicted != 22 || stand != 8 {
		t.Errorf("%+v, %d peers have a session", s, stand)
	}
}

func TestOneSubnetCannotTakeAllSessions(t *testing.T) {
	for _, private := range []bool{false, true} {
		w := sim.New(t, 1, sim.Config{})
		db := newKnown()
		open := func(c *transport.Config) { c.AllowPrivate = private }
		hub := simNode(t, w, db, "9.0.0.1", open)
		most := 2000 / 64
		var last *node
		for i := range most + 1 {
			last = simNode(t, w, db, fmt.Sprintf("9.1.1.%d", i+1), open)
			must(t, last.send(hub.hash, 1))
			w.Run(time.Second)
		}
		if private {
			if !hub.tr.Connected(last.hash) {
				t.Error("refused in a private network")
			}
			continue
		}
		if s := hub.tr.Stats(); s.Sessions != most || s.Refused != 1 || !refusedFor(last, block.ConnectionLimits) {
			t.Errorf("%+v, %v", s, last.failed)
		}
		// Another subnet may, and we ourselves may connect to this one.
		other := simNode(t, w, db, "9.1.2.1", open)
		must(t, other.send(hub.hash, 1))
		must(t, hub.send(last.hash, 1))
		w.Run(time.Second)
		if s := hub.tr.Stats(); s.Sessions != most+2 || !hub.tr.Connected(other.hash) || !hub.tr.Connected(last.hash) {
			t.Errorf("%+v", s)
		}
		// When one of them leaves, there is room again.
		one := simNode(t, w, db, "9.1.1.200", open)
		must(t, one.send(hub.hash, 1))
		w.Run(2 * time.Minute) // all are idle but this one, which is refused
		w.Run(time.Minute)
		must(t, one.send(hub.hash, 2))
		w.Run(time.Second)
		if !hub.tr.Connected(one.hash) {
			t.Errorf("%+v, %v", hub.tr.Stats(), one.failed)
		}
	}
}

func TestPeerCannotHoardSessions(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	hub := simNodes(t, w, 1)[0]
	h := w.Host("10.0.1.1")
	p := newPlain(t, h, at("10.0.1.1:1"), hub.known)
	for range 20 {
		h.Do(func(r *host.Round) {
			_, err := p.ep.Dial(r, h.Addr(), at("10.0.0.1:12345"), hub.own, bandwidth.Own)
			must(t, err)
		})
		w.Run(time.Second)
	}
	if s := hub.tr.Stats(); s.Sessions > 5 || s.Refused == 0 || len(hub.tr.Peers()) != 1 {
		t.Errorf("%+v", s)
	}
	w.Run(20 * time.Second)
	if s := hub.tr.Stats(); s.Sessions != 1 {
		t.Errorf("%+v", s)
	}
}

func TestSubnetOfAPeer(t *testing.T) {
	for _, private := range []bool{true, false} {
		w := sim.New(t, 1, sim.Config{})
		db := newKnown()
		public := func(c *transport.Config) { c.AllowPrivate = private }
		a, b := simNode(t, w, db, "45.1.2.3", public), simNode(t, w, db, "45.2.3.4", public)
		if a.tr.Subnet(b.hash).IsValid() {
			t.Error("known without a session")
		}
		join(t, w, a, b)
		for n, want := range map[*node]string{a: "45.2.0.0/16", b: "45.1.0.0/16"} {
			other := a.hash
			if n == a {
				other = b.hash
			}
			if got := n.tr.Subnet(other); got.IsValid() == private || !private && got.String() != want {
				t.Errorf("private %v: it is in %v", private, got)
			}
		}
	}
}
