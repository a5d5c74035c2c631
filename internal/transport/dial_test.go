package transport_test

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"allium/internal/bandwidth"
	"allium/internal/data"
	"allium/internal/host"
	"allium/internal/sim"
	"allium/internal/transport"
)

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func TestUnreachableRouterRestsLongerEachTime(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	a := simNodes(t, w, 1)[0]
	w.Host("10.0.9.9") // nobody listens here
	gone := newKeys(t)
	a.known.put(gone.info(w.Now(), gone.at(3, at("10.0.9.9:5"))))
	to := gone.local.Hash
	for i, pause := range []time.Duration{5, 10, 20, 40, 60, 60, 60, 60} {
		pause *= time.Second
		for id := range uint32(3) {
			must(t, a.send(to, id))
		}
		until(t, w, "a failure", func() bool { return len(a.failed) > i })
		failed := w.Now()
		for _, after := range []time.Duration{0, pause / 2, pause - time.Second} {
			w.Run(failed.Add(after).Sub(w.Now()))
			if err := a.send(to, 9); err != transport.ErrUnreachable {
				t.Fatalf("%v after failure %d: %v", after, i, err)
			}
		}
		w.Run(time.Second)
		if len(a.failed) != i+1 || !errors.Is(a.failed[i], host.ErrRefused) {
			t.Fatalf("failed: %v", a.failed)
		}
	}
	if s := a.tr.Stats(); s.Dialled != 8 || s.Failed != 8 || s.Dropped != 8*3 || s.Dialling != 0 {
		t.Errorf("%+v", s)
	}
	// All is forgotten after some time.
	w.Run(2 * time.Hour)
	must(t, a.send(to, 1))
	until(t, w, "a failure", func() bool { return len(a.failed) == 9 })
	w.Run(5 * time.Second)
	must(t, a.send(to, 1))
}

func TestRestEndsWhenThePeerDialsUs(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	all := simNodes(t, w, 2)
	a, b := all[0], all[1]
	w.Partition(a.h.(*sim.Host), b.h.(*sim.Host))
	must(t, a.send(b.hash, 1))
	until(t, w, "a failure", func() bool { return len(a.failed) == 1 })
	if !errors.Is(a.failed[0], host.ErrTimeout) {
		t.Error(a.failed[0])
	}
	w.Heal(a.h.(*sim.Host), b.h.(*sim.Host))
	if err := a.send(b.hash, 2); err != transport.ErrUnreachable {
		t.Error(err)
	}
	must(t, b.send(a.hash, 3))
	until(t, w, "B's message", func() bool { return len(a.got) == 1 })
	must(t, a.send(b.hash, 4))
	until(t, w, "A's message", func() bool { return len(b.got) == 1 })
}

func TestPeerThatDialsUsIsReached(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	all := simNodes(t, w, 2)
	a, b := all[0], all[1]
	a.known.put(b.keys.info(w.Now().Add(time.Second), b.keys.at(3, at("10.0.9.9:5")))) // wrong
	must(t, a.send(b.hash, 1))
	w.Run(5 * time.Second)
	must(t, b.connect(a.hash))
	w.Run(time.Second)
	if !slices.Equal(b.ids(), []uint32{1}) {
		t.Fatalf("%v came", b.ids())
	}
	w.Run(10 * time.Second)
	if s := a.tr.Stats(); len(a.failed) != 0 || s.Failed != 0 || s.Dialling != 0 || s.Sessions != 1 {
		t.Errorf("%+v, failed: %v", s, a.failed)
	}
}

func TestNextAddressIsTried(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	all := simNodes(t, w, 2)
	a, b := all[0], all[1]
	real := a.known.RouterInfo(b.hash).Addresses()[0]
	real.Cost = 9
	a.known.put(b.keys.info(w.Now(), real, b.keys.at(2, at("10.0.9.1:5")), b.keys.at(1, at("224.0.0.1:5")), b.keys.at(3, at("10.0.0.1:12345"))))
	must(t, a.send(b.hash, 1))
	until(t, w, "a message", func() bool { return len(b.got) == 1 })
	if s := a.tr.Stats(); s.Dialled != 2 || s.Failed != 0 || len(a.failed) != 0 {
		t.Errorf("%+v: a multicast address or our own was dialled", s)
	}
	// Not all of them, for ever.
	many := newKeys(t)
	var addresses []data.RouterAddress
	for i := range 10 {
		addresses = append(addresses, many.at(3, at("10.0.9.9:"+strconv.Itoa(10+i))))
	}
	a.known.put(many.info(w.Now(), addresses...))
	w.Host("10.0.9.9")
	must(t, a.send(many.local.Hash, 1))
	until(t, w, "a failure", func() bool { return len(a.failed) == 1 })
	if s := a.tr.Stats(); s.Dialled != 5 || s.Failed != 1 {
		t.Errorf("%+v", s)
	}
}

func TestRouterThatMovedIsDialledWhereItIs(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	all := simNodes(t, w, 2)
	a, b := all[0], all[1]
	stale := b.keys.info(w.Now().Add(-time.Hour), b.keys.at(3, at("10.0.9.9:5")))
	a.known.put(stale)
	// The news comes while it is dialled where it was.
	must(t, a.send(b.hash, 1))
	w.Run(3 * time.Second)
	a.known.put(b.own)
	until(t, w, "a message", func() bool { return len(b.got) == 1 })
	if len(a.failed) != 0 {
		t.Error(a.failed)
	}

	// The news comes while it rests.
	c := simNode(t, w, a.known, "10.0.0.9", nil)
	a.known.put(c.keys.info(w.Now().Add(-time.Hour), c.keys.at(3, at("10.0.9.9:5"))))
	must(t, a.send(c.hash, 1))
	until(t, w, "a failure", func() bool { return len(a.failed) == 1 })
	if err := a.send(c.hash, 2); err != transport.ErrUnreachable {
		t.Fatal(err)
	}
	a.known.put(c.own)
	must(t, a.send(c.hash, 3))
	until(t, w, "a message", func() bool { return len(c.got) == 1 })
}

func TestConnectionsComeFromWhereWeListen(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	db := newKnown()
	b := simNode(t, w, db, "10.0.0.2", nil)
	h := w.Host("10.0.0.1", "10.0.0.3") // the first is what the system would choose
	cfg := config()
	cfg.Listen = []netip.AddrPort{at("[::ffff:10.0.0.3]:12345")}
	a := newNode(t, h, newKeys(t), db, cfg)
	must(t, a.send(b.hash, 1)) // or B refuses it
	until(t, w, "a message", func() bool { return len(b.got) == 1 })
}

func TestWaitingMessagesAreBounded(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	all := simNodes(t, w, 2)
	a, b := all[0], all[1]
	w.Unplug(b.h.(*sim.Host))
	const size = 1024 - 128 // a kilobyte with what it costs
	for id := range uint32(200) {
		must(t, a.sendAs(b.hash, id, size, bandwidth.Transit))
	}
	for id := range uint32(40) {
		must(t, a.sendAs(b.hash, 1000+id, size, bandwidth.Own))
	}
	if s := a.tr.Stats(); s.Dropped != 200-96+40 || s.Dialled != 1 {
		t.Errorf("%+v", s)
	}
	w.Plug(b.h.(*sim.Host))
	until(t, w, "messages", func() bool { return len(b.got) == 96 })
	var want []uint32 // our own first, the latest in transit
	for id := range uint32(40) {
		want = append(want, 1000+id)
	}
	for id := uint32(144); id < 200; id++ {
		want = append(want, id)
	}
	if !slices.Equal(b.ids(), want) {
		t.Errorf("came: %v", b.ids())
	}

	// Our own make room for nothing, and what is in transit gets stale.
	c := simNode(t, w, a.known, "10.0.0.9", nil)
	w.Unplug(c.h.(*sim.Host))
	must(t, a.sendAs(c.hash, 0, size, bandwidth.Transit))
	for id := range uint32(96) {
		must(t, a.sendAs(c.hash, id, size, bandwidth.Own))
	}
	for _, class := range []bandwidth.Class{bandwidth.Own, bandwidth.Transit} {
		if err := a.sendAs(c.hash, 99, size, class); !errors.Is(err, host.ErrFull) {
			t.Errorf("class %d: %v", class, err)
		}
	}
	d := simNode(t, w, a.known, "10.0.0.10", nil)
	w.Unplug(d.h.(*sim.Host))
	must(t, a.sendAs(d.hash, 1, size, bandwidth.Transit))
	must(t, a.sendAs(d.hash, 2, size, bandwidth.Own))
	w.Run(5 * time.Second)
	w.Plug(d.h.(*sim.Host))
	w.Run(10 * time.Second)
	if !slices.Equal(d.ids(), []uint32{2}) {
		t.Errorf("after five seconds %v came", d.ids())
	}
}

func TestDialsAreBounded(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	a := simNodes(t, w, 1)[0]
	h := w.Host("10.0.9.9")
	w.Unplug(h)
	full := 0
	for i := range 600 {
		k := newKeys(t)
		a.known.put(k.info(w.Now(), k.at(3, netip.AddrPortFrom(h.Addr(), uint16(1000+i)))))
		if err := a.send(k.local.Hash, 1); errors.Is(err, host.ErrFull) {
			full++
		} else {
			must(t, err)
		}
	}
	if s := a.tr.Stats(); full != 600-512 || s.Dialling != 512 {
		t.Errorf("%d were too many, %+v", full, s)
	}
	w.Run(time.Minute)
	if s := a.tr.Stats(); s.Dialling != 0 || len(a.failed) != 512 {
		t.Errorf("%+v, %d failed", s, len(a.failed))
	}
}

func TestPortsOfOtherServicesAreLeftAlone(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	a := simNode(t, w, newKnown(), "9.1.0.1", func(c *transport.Config) { c.AllowPrivate = false })
	for addr, want := range map[string]error{
		"9.2.0.1:25": transport.ErrNoAddress, "9.2.0.1:8080": transport.ErrNoAddress, "9.2.0.1:9999": nil,
		"10.0.0.1:9999": transport.ErrNoAddress, "[2a01:4f8::1]:9999": transport.ErrNoAddress, // we have no IPv6
	} {
		k := newKeys(t)
		a.known.put(k.info(w.Now(), k.at(3, at(addr))))
		if err := a.connect(k.local.Hash); err != want {
			t.Errorf("%s: %v, want %v", addr, err, want)
		}
	}
}
