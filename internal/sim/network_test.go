package sim_test

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"allium/internal/host"
	"allium/internal/sim"
)

// pair is two hosts on the given network.
func pair(t *testing.T, cfg sim.Config) (w *sim.World, a, b *sim.Host) {
	w = sim.New(t, 1, cfg)
	return w, w.Host("198.51.100.1"), w.Host("198.51.100.2")
}

// send sends n numbered packets, one a millisecond, and waits for the last.
func send(w *sim.World, from, to *box, n, size int) {
	for i := range n {
		b := make([]byte, size)
		b[0], b[1] = byte(i>>8), byte(i)
		from.Send(to.Addr(), b)
		w.Run(time.Millisecond)
	}
	w.Run(10 * time.Second)
}

func TestLatencyIsTheSameBothWays(t *testing.T) {
	w, a, b := pair(t, sim.Config{MinLatency: 20 * time.Millisecond, MaxLatency: 30 * time.Millisecond})
	boxes := []*box{socket(t, a, 1000), socket(t, b, 1000)}
	var delays []time.Duration
	for i := range boxes {
		start := w.Now()
		boxes[i].Send(boxes[1-i].Addr(), []byte("x"))
		w.Run(time.Second)
		delays = append(delays, boxes[1-i].times[0].Sub(start))
	}
	if delays[0] != delays[1] || delays[0] < 20*time.Millisecond || delays[0] > 30*time.Millisecond {
		t.Errorf("the delays are %v", delays)
	}
	start := w.Now()
	c := dial(a, b.Addr())
	w.Run(time.Second)
	if !errors.Is(c.reason, host.ErrRefused) || c.closed.Sub(start) != 2*delays[0] {
		t.Errorf("refused after %v (%v), a round trip is %v", c.closed.Sub(start), c.reason, 2*delays[0])
	}
}

func TestDatagramsAreLostDoubledAndReordered(t *testing.T) {
	w, a, b := pair(t, sim.Config{})
	from, to := socket(t, a, 1000), socket(t, b, 1000)
	a.Shape(sim.Link{Loss: 0.2, Duplicate: 0.1, Reorder: 0.1})
	send(w, from, to, 1000, 100)
	seen := make(map[int]int)
	doubled, late, last := 0, 0, -1
	for _, p := range to.bytes {
		n := int(p[0])<<8 | int(p[1])
		if seen[n]++; seen[n] == 2 {
			doubled++
		}
		if n < last {
			late++
		}
		last = max(last, n)
	}
	if lost := 1000 - len(seen); lost < 150 || lost > 250 {
		t.Errorf("%d of 1000 were lost", lost)
	}
	if doubled < 50 || doubled > 150 || late < 50 {
		t.Errorf("%d came twice, %d late", doubled, late)
	}
}

func TestSlowLinksDelayAndDrop(t *testing.T) {
	for name, link := range map[string]sim.Link{"up": {Up: 10_000}, "down": {Down: 10_000}} {
		w, a, b := pair(t, sim.Config{})
		if name == "up" {
			a.Shape(link)
		} else {
			b.Shape(link)
		}
		from, to := socket(t, a, 1000), socket(t, b, 1000)
		start := w.Now()
		for range 100 {
			from.Send(to.Addr(), make([]byte, 1000-28))
		}
		w.Run(time.Minute)
		// Half a second of waiting is room for five packets beside the one
		// that is being sent.
		if n := len(to.times); n < 5 || n > 7 {
			t.Errorf("%s: %d packets came through", name, n)
		} else if last := to.times[n-1].Sub(start); last < 500*time.Millisecond || last > time.Second {
			t.Errorf("%s: the last one took %v", name, last)
		}
	}
}

func TestLargePacketsAreDroppedByTheMTU(t *testing.T) {
	w, a, b := pair(t, sim.Config{})
	b.Shape(sim.Link{MTU: 1400})
	from, to := socket(t, a, 1000), socket(t, b, 1000)
	from.Send(to.Addr(), make([]byte, 1400-28))
	from.Send(to.Addr(), make([]byte, 1400-27))
	w.Run(time.Second)
	if len(to.bytes) != 1 {
		t.Errorf("%d packets came through", len(to.bytes))
	}
}

func TestStreamSurvivesALossyLink(t *testing.T) {
	w, a, b := pair(t, sim.Config{Link: sim.Link{Loss: 0.1, Jitter: 20 * time.Millisecond}})
	near, far := connect(t, w, a, b)
	want := make([]byte, 200_000)
	for i := range want {
		want[i] = byte(w.Rand().Uint32())
	}
	near.stream.Write(want)
	if !w.RunUntil(func() bool { return len(far.data) == len(want) }, 10*time.Minute) {
		t.Fatalf("%d of %d bytes came", len(far.data), len(want))
	}
	if !bytes.Equal(far.data, want) {
		t.Error("the bytes differ")
	}
}

func TestStreamKeepsToTheLinksSpeed(t *testing.T) {
	for _, slow := range []sim.Link{{Up: 100_000}, {Down: 100_000}} {
		w, a, b := pair(t, sim.Config{})
		near, far := connect(t, w, a, b)
		if slow.Up > 0 {
			a.Shape(slow)
		} else {
			b.Shape(slow)
		}
		start, sent := w.Now(), 0
		for sent < 1_000_000 {
			if near.stream.Write(make([]byte, 10_000)) == nil {
				sent += 10_000
			} else {
				w.Run(100 * time.Millisecond)
			}
		}
		w.RunUntil(func() bool { return len(far.data) == sent }, time.Minute)
		if d := far.last.Sub(start); d < 9*time.Second || d > 12*time.Second {
			t.Errorf("%+v: a megabyte took %v", slow, d)
		}
	}
}

func TestStreamsAreCutAndJoined(t *testing.T) {
	for _, whole := range []bool{false, true} {
		w, a, b := pair(t, sim.Config{Whole: whole})
		near, far := connect(t, w, a, b)
		for range 300 {
			near.stream.Write(make([]byte, 100))
			near.stream.Write(make([]byte, 100))
			w.Run(time.Second)
		}
		shorter, longer := 0, 0
		for _, n := range far.reads {
			switch {
			case n < 100:
				shorter++
			case n > 100:
				longer++
			}
		}
		if whole && (shorter > 0 || longer > 0) {
			t.Errorf("whole: %d reads were shorter, %d longer", shorter, longer)
		}
		if !whole && (shorter < 20 || longer < 50) {
			t.Errorf("%d reads were shorter, %d longer", shorter, longer)
		}
	}
}

func TestPartitionEndsStreamsInTheEnd(t *testing.T) {
	w, a, b := pair(t, sim.Config{StreamTimeout: 15 * time.Second})
	near, far := connect(t, w, a, b)
	w.Partition(a, b)
	start := w.Now()
	near.stream.Write([]byte("hello"))
	w.Run(time.Minute)
	if !errors.Is(near.reason, host.ErrTimeout) || near.closed.Sub(start) < 15*time.Second || near.closed.Sub(start) > 16*time.Second {
		t.Errorf("the sender was told %v after %v", near.reason, near.closed.Sub(start))
	}
	if far.reason != nil {
		t.Errorf("the silent end was told %v", far.reason)
	}
	if c := dial(a, b.Addr()); !w.RunUntil(func() bool { return c.reason != nil }, time.Minute) || !errors.Is(c.reason, host.ErrTimeout) {
		t.Errorf("the dialler was told %v", c.reason)
	}
}

func TestShortPartitionIsBridged(t *testing.T) {
	w, a, b := pair(t, sim.Config{})
	near, far := connect(t, w, a, b)
	from, to := socket(t, a, 1000), socket(t, b, 1000)
	for range 20 {
		near.stream.Write([]byte("before "))
		w.Partition(a, b)
		from.Send(to.Addr(), []byte("lost"))
		w.Run(3 * time.Second)
		near.stream.Write([]byte("after "))
		w.Heal(a, b)
		w.Run(10 * time.Second)
	}
	if want := bytes.Repeat([]byte("before after "), 20); !bytes.Equal(far.data, want) {
		t.Errorf("got %q", far.data)
	}
	if len(to.bytes) > 0 {
		t.Errorf("%d packets passed the partition", len(to.bytes))
	}
}

func TestUnpluggedHostGoesOnAlone(t *testing.T) {
	w, a, b := pair(t, sim.Config{})
	from, to := socket(t, a, 1000), socket(t, b, 1000)
	fired := false
	w.Unplug(b)
	b.AfterFunc(time.Second, func(*host.Round) { fired = true })
	from.Send(to.Addr(), []byte("lost"))
	to.Send(from.Addr(), []byte("lost"))
	w.Run(2 * time.Second)
	w.Plug(b)
	from.Send(to.Addr(), []byte("back"))
	w.Run(2 * time.Second)
	if !fired || len(from.bytes) > 0 || len(to.bytes) != 1 || string(to.bytes[0]) != "back" {
		t.Errorf("fired: %v, %q and %q came", fired, from.bytes, to.bytes)
	}
}

func TestKilledHostIsSilent(t *testing.T) {
	w, a, b := pair(t, sim.Config{})
	near, far := connect(t, w, a, b)
	idle, _ := connectAgain(w, a, b)
	fired := false
	b.AfterFunc(time.Second, func(*host.Round) { fired = true })
	b.Spawn(func(*host.Round) { fired = true })
	far.stream.Write([]byte("under way"))
	w.Kill(b)
	near.stream.Write([]byte("into the void"))
	w.Run(time.Minute)
	if fired || far.reason != nil || len(far.data) > 0 {
		t.Errorf("the dead host's handlers were called: %v, %v, %q", fired, far.reason, far.data)
	}
	if string(near.data) != "under way" || !errors.Is(near.reason, host.ErrTimeout) || idle.reason != nil {
		t.Errorf("got %q, then %v; the idle stream got %v", near.data, near.reason, idle.reason)
	}
	if far.stream.Write([]byte("x")) == nil || b.AfterFunc(0, nil).Stop() || b.Spawn(nil) {
		t.Error("the dead host takes work")
	}

	next := w.Restart(b)
	s := listen(t, next)
	idle.stream.Write([]byte("still there?"))
	c := dial(a, next.Addr())
	w.Run(time.Second)
	if !errors.Is(idle.reason, host.ErrReset) {
		t.Errorf("the stream of the former life got %v", idle.reason)
	}
	if c.opened.IsZero() || len(s.accepted) != 1 {
		t.Error("the restarted host takes no connections")
	}
}

// connectAgain makes one more connection to the listener connect left.
func connectAgain(w *sim.World, a, b *sim.Host) (*handler, bool) {
	c := dial(a, b.Addr())
	return c, w.RunUntil(func() bool { return !c.opened.IsZero() }, time.Minute)
}

func TestClosedHostTakesLeave(t *testing.T) {
	w, a, b := pair(t, sim.Config{})
	near, far := connect(t, w, a, b)
	fired := false
	b.AfterFunc(time.Second, func(*host.Round) { fired = true })
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if !errors.Is(far.reason, host.ErrClosed) {
		t.Errorf("its own handler was told %v", far.reason)
	}
	c := dial(a, b.Addr())
	w.Run(time.Minute)
	if near.reason != io.EOF || !errors.Is(c.reason, host.ErrRefused) || fired {
		t.Errorf("the peer was told %v, a dialler %v, timers fired: %v", near.reason, c.reason, fired)
	}
}

func TestCloseGivesUpOnADeadPeer(t *testing.T) {
	w, a, b := pair(t, sim.Config{Window: 1000})
	near, _ := connect(t, w, a, b)
	w.Kill(b)
	near.stream.Write(make([]byte, 10_000))
	start := w.Now()
	near.stream.Close()
	w.Run(time.Minute)
	if d := near.closed.Sub(start); !errors.Is(near.reason, host.ErrClosed) || d > 10*time.Second {
		t.Errorf("told %v after %v", near.reason, d)
	}
}

func TestSocketsTakeOnlyTheirAddresses(t *testing.T) {
	w := sim.New(t, 1, sim.Config{})
	a := w.Host("198.51.100.1", "198.51.100.2", "2001:db8::1")
	b := socket(t, w.Host("198.51.100.3"), 1000)
	second := &box{}
	d, err := a.ListenUDP(netip.MustParseAddrPort("198.51.100.2:5"), second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.ListenUDP(netip.MustParseAddrPort("0.0.0.0:5"), second); err == nil {
		t.Error("the port could be taken twice")
	}
	if _, err := a.ListenUDP(netip.MustParseAddrPort("[::]:5"), second); err != nil {
		t.Errorf("the port is free for IPv6: %v", err)
	}
	for _, to := range []string{"198.51.100.1:5", "198.51.100.2:5", "198.51.100.2:6"} {
		b.Send(netip.MustParseAddrPort(to), []byte(to))
	}
	d.Send(b.Addr(), []byte("hello"))
	w.Run(time.Second)
	if len(second.bytes) != 1 || string(second.bytes[0]) != "198.51.100.2:5" {
		t.Errorf("got %q", second.bytes)
	}
	if len(b.from) != 1 || b.from[0] != d.Addr() {
		t.Errorf("the source was %v", b.from)
	}
	if c := a.DialTCP(netip.Addr{}, netip.MustParseAddrPort("198.51.100.3:5"), &handler{}); c.Local().IsValid() {
		t.Errorf("local address %v before it opened", c.Local())
	}
}
