package sim_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"allium/internal/host"
	"allium/internal/sim"
)

func TestMovedHostIsReachedAtItsNewAddressOnly(t *testing.T) {
	w := sim.New(t, 51, sim.Config{})
	a, b := w.Host("198.51.100.1"), w.Host("198.51.100.2")
	near, far := connect(t, w, a, b)
	anywhere := &server{}
	_, err := b.ListenTCP(netip.AddrPortFrom(netip.IPv4Unspecified(), 1001), func(_ *host.Round, s host.Stream) host.StreamHandler {
		c := &handler{stream: s}
		anywhere.accepted = append(anywhere.accepted, c)
		return c
	})
	if err != nil {
		t.Fatal(err)
	}
	old := b.Addr()
	w.Move(b, "198.51.100.3")
	if all := b.Addrs(); len(all) != 1 || all[0] != b.Addr() || b.Addr() == old {
		t.Errorf("has %v", all)
	}
	_ = near.stream.Write([]byte("lost"))
	_ = far.stream.Write([]byte("lost"))
	there, gone := &handler{}, &handler{}
	a.DialTCP(netip.Addr{}, netip.AddrPortFrom(b.Addr(), 1001), there)
	a.DialTCP(netip.Addr{}, netip.AddrPortFrom(old, 1001), gone)
	w.Run(30 * time.Second)
	if len(far.data)+len(near.data) > 0 || !errors.Is(near.reason, host.ErrTimeout) || !errors.Is(far.reason, host.ErrTimeout) {
		t.Errorf("the old connection brought %q and %q and ended with %v and %v", far.data, near.data, near.reason, far.reason)
	}
	if there.opened.IsZero() || len(anywhere.accepted) != 1 || !errors.Is(gone.reason, host.ErrTimeout) {
		t.Errorf("dialled: %+v, %+v", there, gone)
	}
	w.Move(b)
	nowhere := &handler{}
	b.DialTCP(netip.Addr{}, netip.AddrPortFrom(a.Addr(), 1000), nowhere)
	w.Run(time.Second)
	if b.Addr().IsValid() || !errors.Is(nowhere.reason, host.ErrUnreachable) {
		t.Errorf("without an address: %v", nowhere.reason)
	}
}

func TestFrozenHostDoesNothingUntilItThaws(t *testing.T) {
	w := sim.New(t, 52, sim.Config{})
	a, b := w.Host("198.51.100.1"), w.Host("198.51.100.2")
	near, far := connect(t, w, a, b)
	var calls []string
	note := func(what string) func(*host.Round) { return func(*host.Round) { calls = append(calls, what) } }
	b.AfterFunc(2*time.Second, note("second"))
	b.AfterFunc(time.Second, note("first"))
	stopped := b.AfterFunc(3*time.Second, note("stopped"))
	b.Spawn(note("work"))
	w.Freeze(b)
	_ = near.stream.Write([]byte("nobody hears"))
	_ = far.stream.Write([]byte("nor this"))
	w.Run(time.Hour)
	stopped.Stop()
	if len(calls) > 0 || !far.closed.IsZero() || !errors.Is(near.reason, host.ErrTimeout) {
		t.Errorf("called %v; the connection ended with %v and %v", calls, near.reason, far.reason)
	}
	w.Thaw(b)
	w.Run(time.Second)
	if len(calls) != 3 || calls[0] != "work" || calls[1] != "first" || calls[2] != "second" || far.reason == nil {
		t.Errorf("called %v; the connection ended with %v", calls, far.reason)
	}
	if fresh := dial(a, b.Addr()); !w.RunUntil(func() bool { return !fresh.opened.IsZero() }, time.Second) {
		t.Error("does not listen any more")
	}
}
